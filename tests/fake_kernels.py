"""The kernels' twins, called with addresses of a FakeDriver as the kernels are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeseg.cuda.recipes import INPUT_RECIPE, SCORE_RECIPE, frame_bytes
from edgeseg.cuda.twins import DTYPES, i420_to_input, person_to_bytes, scores_to_labels
from edgeseg.types import Size


class Viewed(Protocol):
    """Memory that can be seen as arrays."""

    def view(self, address: int, dtype: DTypeLike, count: int) -> NDArray[Any]: ...


def _run_input(memory: Viewed, picture: int, recipe: int, tensor: int, damaged: int) -> None:
    told = memory.view(recipe, INPUT_RECIPE, 1)[0]
    luma = told["planes"][0]
    size = Size(int(luma["x"]["size"]), int(luma["y"]["size"]))
    made = i420_to_input(memory.view(picture, np.uint8, frame_bytes(size)), told).reshape(-1)
    memory.view(tensor, made.dtype, made.size)[:] = made
    memory.view(damaged, np.uint32, 1)[:] = 0


def _run_scores(memory: Viewed, scores: int, recipe: int, out: int, damaged: int) -> None:
    _decide(memory, scores_to_labels, (scores, recipe, out, damaged))


def _run_person(memory: Viewed, scores: int, recipe: int, out: int, damaged: int) -> None:
    _decide(memory, person_to_bytes, (scores, recipe, out, damaged))


def _decide(memory: Viewed, twin: Callable[..., Any], at: tuple[int, int, int, int]) -> None:
    scores, recipe, out, damaged = at
    told = memory.view(recipe, SCORE_RECIPE, 1)[0]
    count = int(told["rows"]) * int(told["columns"]) * int(told["channels"])
    values, wrong = twin(memory.view(scores, DTYPES[int(told["kind"])], count), told)
    memory.view(out, np.uint8, values.size)[:] = values
    if wrong:
        memory.view(damaged, np.uint32, 1)[:] = 1


KERNELS: dict[str, Callable[..., None]] = {
    "i420_to_input": _run_input,
    "scores_to_labels": _run_scores,
    "person_to_bytes": _run_person,
}
"""The twins, by kernel name; each takes addresses as the kernel does."""
