"""Our SINet against the official code, without its weights.

`golden/sinet_official.json` was written by running the official code
(clovaai/ext_portrait_segmentation, `models/SINet.py`) on the weights of `made_up_state` and the
picture of `made_up_picture`: the names and shapes of its state, and samples of its output.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch

from edgeseg.models.sinet import SINet, channel_shuffle

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sinet_official.json").read_text())


def made_up_state(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Weights that depend on their name alone, tame enough for a deep network."""
    state = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        values = rng.standard_normal(shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
            continue
        if name.endswith("running_var"):
            values = 1.0 + 0.5 * np.abs(values)
        elif len(shape) == 1:
            values = 0.7 + 0.1 * values if name.endswith("weight") else 0.1 * values
        else:
            values = values / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy(np.asarray(values)).double()
    return state


def made_up_picture() -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.standard_normal((1, 3, 64, 96)))


def test_names_and_shapes_are_the_official_ones() -> None:
    ours = {name: list(value.shape) for name, value in SINet().state_dict().items()}
    assert ours == GOLDEN["shapes"]


def test_outputs_equal_the_official_code() -> None:
    network = SINet().double().eval()
    network.load_state_dict(made_up_state(GOLDEN["shapes"]))
    with torch.inference_mode():
        scores = network(made_up_picture())
    assert list(scores.shape) == [1, 2, 64, 96]
    assert scores[0, :, ::16, ::24].flatten().tolist() == pytest.approx(
        GOLDEN["scores"], rel=1e-6, abs=1e-8
    )


def test_shuffling_interleaves_the_groups() -> None:
    x = torch.arange(6.0)[None, :, None, None]
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
