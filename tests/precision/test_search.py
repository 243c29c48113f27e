"""Greedy search on losses that are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeseg.precision.search import search_float_layers
from edgeseg.precision.sensitivity import LayerError

RANKING = [LayerError(f"layer{n}", "Conv", 10.0 + n) for n in range(20)]


def needs(count: int) -> Callable[[tuple[str, ...]], float]:
    """A loss of 5 points that the worst `count` layers cause in equal parts."""
    return lambda layers: 5.0 * max(count - len(layers), 0) / max(count, 1)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 11])
def test_the_fewest_layers_are_kept(count: int) -> None:
    found = search_float_layers(RANKING, needs(count), max_drop=0.0, evaluations=12)
    assert found.met
    assert found.float_layers == tuple(f"layer{n}" for n in range(count))
    assert found.loss == 0.0


def test_what_was_tried_is_told_in_order() -> None:
    found = search_float_layers(RANKING, needs(3), max_drop=0.0)
    assert [len(step.float_layers) for step in found.steps] == [0, 1, 2, 4, 3]
    assert [step.loss for step in found.steps] == [
        5.0,
        pytest.approx(10 / 3),
        pytest.approx(5 / 3),
        0.0,
        0.0,
    ]
    assert [error.snr_db for error in found.kept] == [10.0, 11.0, 12.0]


def test_no_more_evaluations_than_allowed() -> None:
    for allowed in range(1, 9):
        found = search_float_layers(RANKING, needs(7), max_drop=0.0, evaluations=allowed)
        assert len(found.steps) <= allowed
        assert found.met == (found.loss <= 0.0)


def test_a_network_that_never_gets_there_gives_its_best() -> None:
    losses = {0: 9.0, 1: 6.0, 2: 4.0, 4: 5.0, 8: 7.0, 16: 8.0, 20: 8.0}
    found = search_float_layers(RANKING, lambda layers: losses[len(layers)], max_drop=1.0)
    assert not found.met
    assert (len(found.kept), found.loss) == (2, 4.0)


def test_without_layers_there_is_one_step() -> None:
    found = search_float_layers([], lambda layers: 3.0, max_drop=1.0)
    assert (found.met, found.kept, len(found.steps)) == (False, (), 1)


def test_a_loss_is_never_asked_twice() -> None:
    asked: list[tuple[str, ...]] = []

    def loss(layers: tuple[str, ...]) -> float:
        asked.append(layers)
        return needs(6)(layers)

    search_float_layers(RANKING, loss, max_drop=0.0, evaluations=20)
    assert len(asked) == len(set(asked))


def test_no_evaluation_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one evaluation"):
        search_float_layers(RANKING, needs(0), max_drop=1.0, evaluations=0)
