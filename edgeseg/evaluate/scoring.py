"""What every kind of evaluation has in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseg.evaluate.drawing import Bgr
from edgeseg.types import U8, Result


@dataclass(frozen=True, slots=True)
class Confusion:
    """counts: pixels [true class, predicted class], the columns as ``columns`` names them."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: NDArray[np.int64]


class Scoring(Protocol):
    """A labelled data set, and the scores of what was predicted on it so far."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the data was read."""
        ...

    @property
    def pictures(self) -> Sequence[Path]:
        """The picture files, numbered by position."""
        ...

    def add(self, index: int, result: Result) -> float:
        """Scores the result of a picture and returns how right it is, 0..1.

        Raises ConfigError when its labels cannot be read or have another size.
        """
        ...

    def figures(self) -> dict[str, Any]:
        """Returns the figures so far under their report names; None where nothing defines one."""
        ...

    def confusion(self) -> Confusion | None:
        """Returns which class was taken for which; None where pixels are not classified."""
        ...

    def drawing(self, index: int, image: U8, result: Result) -> U8:
        """Returns a BGR picture that shows what is right and wrong in a result."""
        ...

    def legend(self) -> Mapping[str, Bgr]:
        """Returns what the colours of a drawing mean."""
        ...


def ratio(part: float, whole: float) -> float | None:
    """Returns a share as a report figure; None of nothing."""
    return number(part / whole) if whole else None


def number(value: float) -> float | None:
    """Returns a report figure; None for NaN."""
    return None if math.isnan(value) else round(float(value), 5)


def by_name(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, Any]:
    """Returns a report figure per class."""
    return {name: number(float(value)) for name, value in zip(names, values, strict=True)}


def mean_of(values: NDArray[np.float64]) -> float | None:
    """Returns the mean of what is not NaN as a report figure; None without any."""
    known = values[~np.isnan(values)]
    return number(float(known.mean())) if known.size else None
