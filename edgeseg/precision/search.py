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

    First none is kept, then the worst one, two, four, ... until the loss is within ``max_drop``;
    evaluations that are left then narrow down how many of these are needed. Layers are taken in
    the order of ``ranking``, so the outcome depends on it and on ``loss`` only.

    loss: points lost (positive is worse) with these layers in floating point.
    """
    if evaluations < 1:
        raise ValueError(f"expected at least one evaluation, got {evaluations}")
    steps: dict[int, float] = {}

    def within(count: int) -> bool:
        if count not in steps:
            steps[count] = loss(tuple(error.layer for error in ranking[:count]))
        return steps[count] <= max_drop

    count, too_few = 0, -1
    while not within(count) and count < len(ranking) and len(steps) < evaluations:
        too_few, count = count, min(max(1, 2 * count), len(ranking))
    while within(count) and count - too_few > 1 and len(steps) < evaluations:
        middle = (too_few + count) // 2
        if within(middle):
            count = middle
        else:
            too_few = middle
    best = min(steps, key=lambda n: (n if steps[n] <= max_drop else len(ranking) + 1, steps[n], n))
    tried = tuple(
        SearchStep(tuple(error.layer for error in ranking[:n]), lost) for n, lost in steps.items()
    )
    return Search(tuple(ranking[:best]), steps[best], tried, steps[best] <= max_drop)
