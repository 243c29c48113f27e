"""The tiny network's picture, its answer by hand, and a backend's."""

from __future__ import annotations

import numpy as np
from tiny_onnx import GAIN, SIZE

from edgeseg.protocols import Backend, Tensor
from edgeseg.types import F32


def picture(level: int) -> dict[str, Tensor]:
    return {"image": np.full((1, SIZE.height, SIZE.width, 3), level, np.uint8)}


def expected(level: int) -> float:
    return float(1 / (1 + np.exp(-GAIN * (level - 127.5))))


def person(backend: Backend, level: int) -> F32:
    return np.asarray(backend.infer(picture(level))["person"], np.float32)
