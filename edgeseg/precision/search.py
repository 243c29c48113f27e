"""Which layers to keep in floating point so that a quantised network loses little enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeseg.precision.sensitivity import LayerError


@dataclass(frozen=True, slots=True)
class SearchStep:
    """One evaluation: layers kept in floating point, and the points lost then."""

    float_layers: tuple[str, ...]
    loss: float


@dataclass(frozen=True, slots=True)
class Search:
    """kept: layers in floating point, with why. loss: points lost then. steps: in their order.

    met: whether the loss is within what was allowed; where not, ``kept`` is the best tried.
    """

    kept: tuple[LayerError, ...]
    loss: float
    steps: tuple[SearchStep, ...]
    met: bool

    @property
    def float_layers(self) -> tuple[str, ...]:
        """Names of the kept layers."""
        return tuple(error.layer for error in self.kept)


def search_float_layers(
    ranking: Sequence[LayerError],
    loss: Callable[[tuple[str, ...]], float],
    *,
    max_drop: float,
    evaluations: int = 8,
) -> Search:
    """Returns the fewest of the worst layers that must stay float, by at most so many evaluations.

    loss: points lost (positive is worse) with these layers in floating point.
    """
    raise NotImplementedError
