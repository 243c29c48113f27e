from __future__ import annotations

import pytest

from edgeseg.meter import Histogram, Meter, Rate


def test_rate_divides_intervals_not_stamps() -> None:
    rate = Rate(window_s=2)
    rate.tick(1.0)
    rate.tick(1.1)
    assert rate.value(1.1) == pytest.approx(10)


def test_rate_forgets_what_left_the_window() -> None:
    rate = Rate(window_s=1)
    for now in (0.0, 0.1, 5.0, 5.5):
        rate.tick(now)
    assert rate.value(5.5) == pytest.approx(2)
    assert rate.value(9.0) is None


def test_two_workers_ending_together_are_no_rate() -> None:
    rate = Rate()
    rate.tick(1.0)
    rate.tick(1.003)
    assert rate.value(1.003) is None
    rate.tick(1.1)
    assert rate.value(1.1) == pytest.approx(20)


def test_rate_of_one_event_is_unknown() -> None:
    rate = Rate()
    rate.tick(1.0)
    assert rate.value(1.0) is None


def test_percentiles_of_a_known_set() -> None:
    histogram = Histogram()
    for ms in range(1, 1001):
        histogram.add(ms / 1000)
    for percent, expected in ((50, 0.5), (90, 0.9), (99, 0.99), (100, 1.0)):
        assert histogram.percentile(percent) == pytest.approx(expected, rel=0.011)


def test_percentile_of_nothing_is_unknown() -> None:
    assert Histogram().percentile(50) is None


def test_histogram_is_bounded() -> None:
    histogram = Histogram()
    for exponent in range(-9, 5):
        for mantissa in range(1, 400):
            histogram.add(mantissa / 40 * 10.0**exponent)
    assert len(histogram._bins) < 2600


def test_report_counts_and_units() -> None:
    meter = Meter()
    for _ in range(4):
        meter.count("captured")
        meter.record("infer", 0.010, 0.005)
        meter.latency(0.1)
    meter.count("written", 3)
    meter.count("dropped")
    report = meter.report(duplicated=2, lost_by_source=5)
    assert report["frames"] == {
        "captured": 4,
        "inferred": 0,
        "rendered": 0,
        "written": 3,
        "dropped": 6,
        "duplicated": 2,
    }
    assert report["latency_ms"]["p50"] == pytest.approx(100, rel=0.02)
    assert report["stages_ms"]["infer"]["p99"] == pytest.approx(10, rel=0.02)
    assert report["stages_ms"]["infer"]["cpu"] == pytest.approx(5, rel=0.01)
    assert report["stages_ms"]["encode"] == {"p50": None, "p99": None, "cpu": None}
    assert report["cpu_ms_per_frame"] > 0


def test_cpu_per_frame_is_unknown_when_nothing_was_written() -> None:
    assert Meter().report()["cpu_ms_per_frame"] is None


def test_snapshot_latency_is_of_recent_frames() -> None:
    meter = Meter()
    for _ in range(500):
        meter.latency(1.0)
    for _ in range(120):
        meter.latency(0.02)
    assert meter.snapshot().latency_p99_ms == pytest.approx(20)


def test_an_unknown_stage_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Meter().record("thinking", 1, 1)
