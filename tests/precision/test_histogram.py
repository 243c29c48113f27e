"""Ranges of values whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.precision.histogram import BINS, LOOKED_AT, Histogram, Method


def filled(*parts: object) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


def test_minmax_is_exact_also_where_few_values_are_counted() -> None:
    values = np.zeros(5 * LOOKED_AT, np.float32)
    values[1], values[-1] = -3.25, 7.5
    assert filled(values, [1, 2]).range("minmax") == (-3.25, 7.5)


def test_a_range_that_grows_loses_no_count() -> None:
    parts = [np.linspace(-top, top, 1000, dtype=np.float32) for top in (0.01, 3, 0.5, 700, 1)]
    grown, at_once = filled(*parts), filled(np.concatenate([parts[3], *parts]))
    assert grown.counts.sum() == 5000
    assert grown.width == at_once.width
    at_once.counts -= filled(parts[3]).counts
    np.testing.assert_array_equal(grown.counts, at_once.counts)


def test_percentile_leaves_out_the_rarest_on_either_side() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, 60_000).astype(np.float32)
    values[:2], values[2:3] = 50, -20
    least, greatest = filled(values).range("percentile")
    assert least == pytest.approx(-1, abs=0.06)
    assert greatest == pytest.approx(3, abs=0.06)


def test_percentile_stays_within_what_was_seen() -> None:
    assert filled(np.full(100, 0.3)).range("percentile") == pytest.approx((0.3, 0.3), abs=1e-3)
    least, greatest = filled(np.linspace(0, 6, 999)).range("percentile")
    assert (least, greatest) == (0, 6)


def test_entropy_cuts_a_thin_tail() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 60_000)
    values[:5] = 40
    least, greatest = filled(values).range("entropy")
    assert 2.5 < greatest < 10
    assert -10 < least < -2.5


def test_entropy_keeps_an_even_spread() -> None:
    values = np.random.default_rng(0).uniform(0, 6, 60_000)
    assert filled(values).range("entropy")[1] > 5.8


def test_zeros_of_a_relu_do_not_narrow_the_entropy_range() -> None:
    values = np.abs(np.random.default_rng(0).normal(0, 1, 60_000))
    alone = filled(values).range("entropy")[1]
    with_zeros = filled(np.concatenate([values[:6000], np.zeros(54_000)])).range("entropy")[1]
    assert with_zeros > 0.7 * alone


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_nothing_or_only_zeros_have_an_empty_range(method: Method) -> None:
    assert Histogram().range(method) == (0, 0)
    assert filled(np.zeros(10)).range(method) == (0, 0)
    assert filled(np.zeros(0)).range(method) == (0, 0)


def test_every_n_th_value_is_counted_from_another_start_each_time() -> None:
    kinds = np.array([1, 2, 3, 5], np.float32)
    values = np.tile(kinds, LOOKED_AT)
    for start in range(5):
        histogram = Histogram()
        histogram.add(values, start)
        assert histogram.counts.sum() == LOOKED_AT
        at = np.flatnonzero(histogram.counts)
        assert at.tolist() == [BINS // 2 + int(kinds[start % 4] / histogram.width)]
