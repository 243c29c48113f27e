"""Sizes of a network's tensors on a GPU, which are fixed."""

from __future__ import annotations

import math

import numpy as np

from edgeseg.errors import ModelError
from edgeseg.protocols import TensorInfo


def fixed_shape(info: TensorInfo) -> tuple[int, ...]:
    """Returns a tensor's shape. Raises ModelError where a side is free."""
    shape = tuple(side for side in info.shape if side is not None)
    if len(shape) != len(info.shape):
        sides = "x".join("?" if side is None else str(side) for side in info.shape)
        raise ModelError(
            f"tensor {info.name!r} has shape {sides}; a GPU needs every side fixed: export the "
            "model with a fixed input size"
        )
    return shape


def byte_count(info: TensorInfo) -> int:
    """Returns a tensor's length in memory. Raises ModelError where a side is free."""
    return math.prod(fixed_shape(info)) * np.dtype(info.dtype).itemsize
