"""SyntheticSource keeps the contract of a source, and its failures come when asked for."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError, SourceError
from edgeseg.protocols import Source
from edgeseg.types import Frame, Size
from edgeseg.video.synthetic import SCENES, SyntheticSource

TINY = "size=32x18"
SOON_S = 1.0


def read_all(source: SyntheticSource) -> list[Frame]:
    frames = list(iter(source.read, None))
    source.close()
    return frames


def seconds_to_read(source: SyntheticSource) -> float:
    begin = time.perf_counter()
    source.read()
    return time.perf_counter() - begin


@pytest.mark.parametrize("scene", SCENES)
def test_frames_come_in_order_read_only_and_end(scene: str) -> None:
    uri = f"synthetic://{scene}?size=33x19&fps=30000/1001&frames=5"
    source = SyntheticSource.of(uri)
    assert isinstance(source, Source)
    info = source.info
    assert (info.uri, info.size, info.fps) == (uri, Size(33, 19), Fraction(30000, 1001))
    assert (info.frames, info.live, info.time_base) == (5, False, Fraction(1001, 30000))
    frames = [source.read() for _ in range(7)]
    assert frames[5:] == [None, None]
    taken = [frame for frame in frames if frame is not None]
    assert [f.index for f in taken] == list(range(5))
    assert [f.pts for f in taken] == [Fraction(k * 1001, 30000) for k in range(5)]
    stamps = [f.captured_at for f in taken]
    assert stamps == sorted(stamps)
    for frame in taken:
        assert frame.size == info.size
        assert frame.truth is not None
        assert frame.truth.shape == (19, 33)
        for plane in (frame.planes.y, frame.planes.u, frame.planes.v, frame.truth):
            assert not plane.flags.writeable
    assert frames[0] is not None
    assert not np.shares_memory(taken[0].planes.y, taken[1].planes.y)
    assert source.labels
    source.close()
    assert source.read() is None


def test_without_a_number_of_frames_it_does_not_end() -> None:
    source = SyntheticSource.of(f"synthetic://shapes?{TINY}")
    assert source.info.frames is None
    assert all(source.read() is not None for _ in range(400))
    source.close()


def test_cut_and_repeat_are_told() -> None:
    frames = read_all(
        source := SyntheticSource.of(f"synthetic://shapes?{TINY}&frames=9&cut=3,6&repeat=5")
    )
    assert [f.index for f in frames if f.cut] == [3, 6]
    np.testing.assert_array_equal(frames[4].planes.y, frames[5].planes.y)
    assert frames[5].pts == Fraction(5, 30)
    assert source.counters.duplicated == 1


def test_it_fails_when_asked_to_and_keeps_failing() -> None:
    source = SyntheticSource.of(f"synthetic://road?{TINY}&fail=2")
    assert [source.read() is not None for _ in range(2)] == [True, True]
    for _ in range(2):
        with pytest.raises(SourceError, match="failed at frame 2, as fail=2 asks for") as caught:
            source.read()
        assert caught.value.exit_code == 3
    source.close()


def test_a_stall_holds_back_one_frame() -> None:
    source = SyntheticSource.of(f"synthetic://shapes?{TINY}&stall=1:0.3")
    assert seconds_to_read(source) < 0.25
    assert 0.3 <= seconds_to_read(source) < 0.3 + SOON_S
    assert seconds_to_read(source) < 0.25
    source.close()


def test_paced_frames_come_in_real_time_and_catch_up_after_a_stall() -> None:
    source = SyntheticSource.of(f"synthetic://shapes?{TINY}&fps=50&paced=1&frames=40&stall=10:0.4")
    assert source.info.live
    stamps = np.array([f.captured_at for f in read_all(source)])
    due = stamps[0] + np.arange(40) / 50
    assert (stamps >= due - 0.005).all()
    assert stamps[10] - stamps[0] >= 0.595
    assert stamps[20] - stamps[10] < 0.1  # held up by 0.4 s, twenty frames are overdue
    assert stamps[39] - due[39] < SOON_S


@pytest.mark.parametrize("waiting", ["stall=1:60", "paced=1&fps=1/60"])
def test_interrupt_ends_a_wait_at_once(waiting: str) -> None:
    source = SyntheticSource.of(f"synthetic://shapes?{TINY}&{waiting}")
    assert source.read() is not None
    timer = threading.Timer(0.1, source.interrupt)
    timer.start()
    begin = time.perf_counter()
    assert source.read() is None
    assert 0.05 < time.perf_counter() - begin < SOON_S
    assert source.read() is None
    timer.join()
    source.close()


def test_the_run_configuration_fills_in_what_the_address_leaves_open() -> None:
    config = SourceConfig(
        uri="synthetic://shapes", size=Size(40, 30), fps=29.97002997, max_frames=3, paced=True
    )
    source = SyntheticSource(config)
    info = source.info
    assert (info.size, info.fps, info.frames) == (Size(40, 30), Fraction(30000, 1001), 3)
    assert info.live
    source.close()


@pytest.mark.parametrize(
    ("query", "max_frames", "loop", "expected"),
    [("frames=4", 9, False, 4), ("frames=9", 4, False, 4), ("frames=4", None, True, None),
     ("frames=4", 7, True, 7)],
)  # fmt: skip
def test_length_is_the_shortest_that_is_asked_for(
    query: str, max_frames: int | None, loop: bool, expected: int | None
) -> None:
    uri = f"synthetic://shapes?{TINY}&{query}"
    source = SyntheticSource(SourceConfig(uri=uri, max_frames=max_frames, loop=loop))
    assert source.info.frames == expected
    source.close()


def test_the_address_wins_over_the_run_configuration() -> None:
    config = SourceConfig(uri=f"synthetic://shapes?{TINY}&fps=25", size=Size(640, 480), fps=60)
    source = SyntheticSource(config)
    assert (source.info.size, source.info.fps) == (Size(32, 18), Fraction(25))
    source.close()


def test_a_wrong_option_is_found_when_the_source_opens() -> None:
    with pytest.raises(ConfigError, match="unknown option 'sed'; did you mean 'seed'"):
        SyntheticSource.of("synthetic://shapes?sed=1")
