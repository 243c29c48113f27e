from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from edgeseg.types import Planes, Size
from edgeseg.video.decode import Orientation, Timeline

TICK = Fraction(1, 90_000)
STEP = Fraction(1, 30)


def place(timeline: Timeline, times: list[Fraction | None]) -> list[Fraction | None]:
    return [timeline.place(t) for t in times]


def test_ordinary_times_pass_unchanged() -> None:
    times: list[Fraction | None] = [Fraction(n, 30) for n in (7, 8, 12, 13, 100)]
    assert place(Timeline(tick=TICK), times) == times


def test_without_any_time_there_is_none() -> None:
    assert place(Timeline(tick=TICK), [None, None]) == [None, None]


def test_a_missing_time_follows_the_last() -> None:
    placed = place(Timeline(tick=TICK), [STEP * 3, STEP * 4, None, STEP * 6])
    assert placed == [STEP * 3, STEP * 4, STEP * 5, STEP * 6]


def test_doubled_and_slightly_swapped_times_stay_apart() -> None:
    placed = place(Timeline(tick=TICK), [STEP, STEP, STEP * 3, STEP * 2, STEP * 4])
    assert placed == [STEP, STEP + TICK, STEP * 3, STEP * 3 + TICK, STEP * 4]


def test_a_jump_back_continues_from_the_last() -> None:
    placed = place(Timeline(tick=TICK), [STEP * 299, STEP * 300, STEP * 0, STEP * 1, STEP * 2])
    assert placed == [STEP * n for n in (299, 300, 301, 302, 303)]


@pytest.mark.parametrize("first", [STEP * 0, STEP * 5000])
def test_a_new_beginning_follows_after_the_gap(first: Fraction) -> None:
    timeline = Timeline(tick=TICK)
    timeline.place(STEP * 10)
    timeline.continue_after(2.0)
    assert timeline.place(first) == STEP * 10 + 2
    assert timeline.place(first + STEP) == STEP * 11 + 2


def test_a_gap_is_at_least_a_tick_and_whole_ticks() -> None:
    timeline = Timeline(tick=TICK)
    placed = [timeline.place(STEP)]
    for gap in (0.0, -3.0, 0.123456789):
        timeline.continue_after(gap)
        placed.append(timeline.place(Fraction(0)))
    times = [t for t in placed if t is not None]
    assert all(a < b for a, b in pairwise(times))
    assert all((t / TICK).denominator == 1 for t in times)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (Orientation(), [[1, 2, 3], [4, 5, 6]]),
        (Orientation(flip_x=True), [[3, 2, 1], [6, 5, 4]]),
        (Orientation(flip_y=True), [[4, 5, 6], [1, 2, 3]]),
        (Orientation(flip_x=True, flip_y=True), [[6, 5, 4], [3, 2, 1]]),
        (Orientation(transposed=True), [[1, 4], [2, 5], [3, 6]]),
        (Orientation(transposed=True, flip_x=True), [[4, 1], [5, 2], [6, 3]]),
        (Orientation(transposed=True, flip_y=True), [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_orientations(orientation: Orientation, upright: list[list[int]]) -> None:
    planes = Planes.empty(Size(3, 2))
    planes.y[:] = [[1, 2, 3], [4, 5, 6]]
    turned = orientation.apply(planes)
    assert turned.y.tolist() == upright
    assert turned.u.shape == (turned.size.chroma.height, turned.size.chroma.width)
    assert np.shares_memory(turned.y, planes.y) == (not any(orientation))
