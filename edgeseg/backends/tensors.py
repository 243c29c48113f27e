"""Tensors of a network: whether they are its recipe's, constant ones to warm it up, wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeseg.errors import SpecMismatch
from edgeseg.model_file import mismatches
from edgeseg.protocols import BackendInfo, Tensor, TensorInfo
from edgeseg.spec import ModelSpec


def check_tensors(spec: ModelSpec, info: BackendInfo, loaded: str = "loaded graph") -> None:
    """Raises SpecMismatch unless what a backend loaded is what the recipe says."""
    found = mismatches(spec, info.inputs, info.outputs)
    if found:
        raise SpecMismatch(f"{info.file}: recipe and {loaded} differ: {'; '.join(found)}")


def neutral_inputs(info: BackendInfo) -> dict[str, Tensor]:
    """Returns one constant tensor per input; free axes become 1, or 64 for height and width."""
    feeds: dict[str, Tensor] = {}
    for tensor in info.inputs:
        free = [1, 64, 64, 64]
        shape = [
            side or free[min(axis, 3) if len(tensor.shape) == 4 else 0]
            for axis, side in enumerate(tensor.shape)
        ]
        value = 128 if tensor.dtype == "uint8" else 0.25
        feeds[tensor.name] = np.full(shape, value, np.dtype(tensor.dtype))
    return feeds


def wrong_inputs(wanted: Sequence[TensorInfo], given: Mapping[str, Tensor]) -> str:
    """Returns in which way inputs are not those wanted, "" when they are.

    For runtimes that would convert a tensor of another dtype without a word.
    """
    names = [info.name for info in wanted]
    if sorted(names) != sorted(given):
        return f"it takes {', '.join(names)}, got {', '.join(given) or 'nothing'}"
    for info in wanted:
        tensor = given[info.name]
        fits = len(tensor.shape) == len(info.shape) and all(
            side in (None, length) for side, length in zip(info.shape, tensor.shape, strict=True)
        )
        if not fits or tensor.dtype != info.dtype:
            shape = [side or "?" for side in info.shape]
            return (
                f"input {info.name!r} takes {info.dtype} {_text(shape)}, "
                f"got {tensor.dtype} {_text(tensor.shape)}"
            )
    return ""


def _text(shape: Sequence[int | str]) -> str:
    return "x".join(str(side) for side in shape) or "scalar"
