"""Weights and pictures that anybody can make again: they follow from names and numbers alone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PERIOD = 65521
"""Large tensors repeat themselves, for speed; a prime, so that no two filters are alike."""
PEAKED = 20.0
CLASS_LAYERS = ("conf_layer.weight", "classifier.classifier.3.weight", "conv_cls.weight")
"""Class layers are this much stronger, or all classes would be about equally likely."""


def made_up_state(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Weights that depend on their name alone, tame enough for a deep network."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
            continue
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        numbers = rng.standard_normal(min(PERIOD, math.prod(shape)), dtype=np.float32)
        values = np.resize(numbers, tuple(shape))
        if name.endswith("running_var"):
            values = np.float32(1.0) + np.float32(0.5) * np.abs(values)
        elif len(shape) == 1:
            weight = name.endswith("weight")
            values = np.float32(0.7 if weight else 0.0) + np.float32(0.1) * values
        else:
            gain = PEAKED if name.endswith(CLASS_LAYERS) else 1.0
            values *= np.float32(gain / math.sqrt(math.prod(shape[1:])))
        state[name] = torch.from_numpy(values)
    return state


def made_up_picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Slow waves of colour with noise, uint8 RGB [height, width, 3], from whole numbers only."""
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[None, :, None]
    slopes = rng.integers(1, 9, (2, 3))
    phase = (rows * slopes[0] + columns * slopes[1]) % 400
    waves = np.minimum(phase, 400 - phase)  # 0..200
    picture: NDArray[np.uint8] = (waves + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)
    return picture
