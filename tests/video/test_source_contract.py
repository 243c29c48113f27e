"""What every Source promises, checked on every source that can run here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import write_clip
from servers import endless, serving
from test_camera import FileCamera

from edgeseg.config import SourceConfig
from edgeseg.protocols import Source
from edgeseg.types import Size, SourceCounters, SourceInfo
from edgeseg.video.camera import CameraSource
from edgeseg.video.files import FileSource
from edgeseg.video.images import ImageSource
from edgeseg.video.streams import StreamSource
from edgeseg.video.synthetic import SyntheticSource

ODD = Size(161, 97)
Opener = Callable[[Path, int | None], AbstractContextManager[Source]]


@contextmanager
def video_file(tmp: Path, limit: int | None) -> Iterator[Source]:
    path = write_clip(tmp / "a.webm", codec="libvpx-vp9", size=ODD, frames=limit or 12)
    yield FileSource(SourceConfig(uri=str(path)))


@contextmanager
def rotated_file(tmp: Path, limit: int | None) -> Iterator[Source]:
    path = write_clip(tmp / "a.mp4", rotation=90, frames=limit or 12)
    yield FileSource(SourceConfig(uri=str(path)))


@contextmanager
def endless_file(tmp: Path, limit: int | None) -> Iterator[Source]:
    path = write_clip(tmp / "a.mp4", frames=5, rate=100)
    yield FileSource(SourceConfig(uri=str(path), loop=True, paced=True, max_frames=limit))


@contextmanager
def pictures(tmp: Path, limit: int | None) -> Iterator[Source]:
    for i in range(3):
        image = np.full((ODD.height, ODD.width, 3), i * 50, np.uint8)
        cv2.imwrite(filename=str(tmp / f"{i}.png"), img=image)
    yield ImageSource(SourceConfig(uri=str(tmp), loop=True, max_frames=limit, fps=10))


@contextmanager
def camera(tmp: Path, limit: int | None) -> Iterator[Source]:
    path = write_clip(tmp / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=90)
    config = SourceConfig(uri="0", max_frames=limit)
    yield CameraSource(config, factory=lambda _index: FileCamera(path))


@contextmanager
def silent_stream(tmp: Path, limit: int | None) -> Iterator[Source]:
    content = write_clip(tmp / "a.ts", frames=40).read_bytes()
    with serving(endless(content, seconds=0.3, then_hang=True)) as server:
        yield StreamSource(SourceConfig(uri=server.url, max_frames=limit, stale_s=60))


@contextmanager
def synthetic(tmp: Path, limit: int | None) -> Iterator[Source]:
    uri = "synthetic://shapes?size=161x97&fps=50&seed=1"
    yield SyntheticSource(SourceConfig(uri=uri, paced=True, max_frames=limit))


SOURCES: list[Opener] = [
    video_file,
    rotated_file,
    endless_file,
    pictures,
    camera,
    silent_stream,
    synthetic,
]


@pytest.fixture(params=SOURCES, ids=lambda opener: opener.__name__)
def opener(request: pytest.FixtureRequest) -> Opener:
    found: Opener = request.param
    return found


def test_it_has_the_shape_of_a_source(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path, 8) as source:
        assert isinstance(source, Source)
        assert isinstance(source.info, SourceInfo)
        assert isinstance(source.counters, SourceCounters)
        assert source.info.time_base > 0
        source.close()


def test_frames_in_order_then_none_for_ever(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path, 8) as source:
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        assert source.read() is None
        assert source.read() is None
        source.close()
        info = source.info

    assert [f.index for f in frames] == list(range(8))
    assert {f.size for f in frames} == {info.size}
    assert info.frames == 8
    for frame in frames:
        planes, chroma = frame.planes, frame.size.chroma
        assert planes.y.shape == (frame.size.height, frame.size.width)
        assert planes.u.shape == planes.v.shape == (chroma.height, chroma.width)
        for plane in (planes.y, planes.u, planes.v):
            assert plane.dtype == np.uint8
            assert plane.strides[1] == 1
            assert not plane.flags.writeable
        assert frame.color == info.color
    captured = [f.captured_at for f in frames]
    assert captured == sorted(captured)
    assert captured[-1] <= time.perf_counter()
    times = [f.pts for f in frames]
    if times[0] is not None:
        assert all(a < b for a, b in pairwise(times) if a is not None and b is not None)
        assert all((t / info.time_base).denominator == 1 for t in times if t is not None)


def test_interrupt_from_another_thread_ends_it_and_close_twice_is_fine(
    opener: Opener, tmp_path: Path
) -> None:
    with opener(tmp_path, None) as source:
        others = set(threading.enumerate())
        timer = threading.Timer(0.4, source.interrupt)
        timer.start()
        begun = time.monotonic()
        while source.read() is not None:
            time.sleep(0.001)
        timer.join()
        assert time.monotonic() - begun < 2.6
        assert source.read() is None
        source.close()
        source.close()
        assert timer not in threading.enumerate()
        assert set(threading.enumerate()) <= others


def test_closing_in_the_middle_leaves_no_thread(opener: Opener, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with opener(tmp_path, None) as source:
        assert source.read() is not None
        source.close()
    assert set(threading.enumerate()) <= before


def test_frames_outlive_their_source(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path, 3) as source:
        frame = source.read()
        assert frame is not None
        before = frame.planes.y.copy()
        while source.read() is not None:
            pass
        source.close()
        del source
    np.testing.assert_array_equal(frame.planes.y, before)
