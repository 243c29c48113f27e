"""CameraSource over OpenCV captures of real files, paced like a camera; there is none in CI."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media import number_of, picture, write_clip

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceError, SourceNotFound
from edgeseg.types import U8, Frame, Size
from edgeseg.video.camera import CameraSource, camera_index, fourcc_name
from edgeseg.video.capture import CaptureReader


class FileCamera:
    """A video file that gives pictures at a camera's pace, and records what is asked of it."""

    def __init__(self, path: Path, *, interval_s: float = 0.02, repeat: int = 1) -> None:
        self._capture = cv2.VideoCapture(str(path))
        self._interval_s = interval_s
        self._repeat = repeat
        self._count = 0
        self._image: U8 | None = None
        self.asked: list[tuple[int, float]] = []
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return bool(self._capture.isOpened())

    def grab(self) -> bool:
        time.sleep(self._interval_s)
        self._count += 1
        if (self._count - 1) % self._repeat:
            return True
        ok, self._image = self._capture.read()
        return bool(ok)

    def retrieve(self) -> tuple[bool, U8 | None]:
        return True, self._image

    def get(self, propId: int) -> float:  # noqa: N803
        return float(self._capture.get(propId))

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.asked.append((propId, value))
        return False

    def release(self) -> None:
        self.released = True
        self._capture.release()


def exhaust(read: Callable[[], Frame | None]) -> None:
    while read() is not None:
        pass


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "camera.avi", codec="mjpeg", pix_fmt="yuvj420p", frames=40)


def test_frames_come_in_order_with_their_time_of_capture(clip: Path) -> None:
    camera = FileCamera(clip)
    source = CameraSource(SourceConfig(uri="0", max_frames=15), factory=lambda _index: camera)
    assert source.info.live
    assert source.info.size == Size(160, 96)
    assert source.info.fps == 30
    assert source.info.notes == ("camera 0: 160x96 MJPG at 30 fps",)
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    assert [number_of(f.planes.y) for f in frames] == list(range(15))
    assert [f.index for f in frames] == list(range(15))
    steps = np.diff([f.captured_at for f in frames])
    assert (steps > 0.015).all()
    assert {f.pts for f in frames} == {None}
    assert not frames[0].planes.y.flags.writeable
    assert camera.released


def test_a_slow_reader_gets_the_newest_picture(clip: Path) -> None:
    source = CameraSource(SourceConfig(uri="0"), factory=lambda _index: FileCamera(clip))
    assert source.read() is not None
    time.sleep(0.2)
    frame = source.read()
    assert frame is not None
    assert number_of(frame.planes.y) > 4
    assert source.counters.dropped >= 4
    assert time.perf_counter() - frame.captured_at < 0.3
    source.close()


def test_a_stalled_camera_that_repeats_itself_is_noticed(clip: Path) -> None:
    config = SourceConfig(uri="0", max_frames=12)
    source = CameraSource(config, factory=lambda _index: FileCamera(clip, repeat=3))
    exhaust(source.read)
    source.close()
    assert source.counters.duplicated == 8


def test_an_unplugged_camera_is_an_error(clip: Path) -> None:
    source = CameraSource(SourceConfig(uri="/dev/video2"), factory=lambda _index: FileCamera(clip))
    message = r"camera 2 stopped giving pictures after \d\.\d s \(5 reads failed in a row\)"
    with pytest.raises(SourceError, match=message) as caught:
        exhaust(source.read)
    assert caught.value.exit_code == 3
    source.close()


def test_a_silent_camera_is_an_error_and_can_be_interrupted(clip: Path) -> None:
    class Stuck(FileCamera):
        def grab(self) -> bool:
            if self._count >= 3:
                freed.wait(10)
            return super().grab()

    freed = threading.Event()
    reader = CaptureReader(Stuck(clip), name="camera 0", live=True, stale_s=0.2)
    with pytest.raises(SourceError, match=r"camera 0 gave no picture for 0\.2 s after 3 frames"):
        exhaust(reader.read)
    freed.set()
    reader.close()

    freed = threading.Event()
    reader = CaptureReader(Stuck(clip), name="camera 0", live=True, stale_s=60)
    threading.Timer(0.2, reader.stop).start()
    begun = time.monotonic()
    exhaust(reader.read)
    assert time.monotonic() - begun < 2
    freed.set()
    reader.close()


def test_requests_and_what_came_of_them(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    camera = FileCamera(clip)
    config = SourceConfig(uri="0", size=Size(1280, 720), fps=60)
    source = CameraSource(config, factory=lambda _index: camera)
    source.close()
    assert camera.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 60),
    ]
    assert source.info.notes[1] == "camera 0 does not give what was asked for: 1280x720, 60 fps"


def test_a_chosen_format_is_asked_for(clip: Path) -> None:
    camera = FileCamera(clip)
    config = SourceConfig(uri="0", size=Size(160, 96), fourcc="YUYV")
    source = CameraSource(config, factory=lambda _index: camera)
    source.close()
    assert camera.asked[0] == (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV"))
    assert source.info.notes[1] == "camera 0 does not give what was asked for: YUYV"


def test_no_camera_is_one_quiet_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        SourceNotFound, match=r"^camera 99: (no camera found|cannot be op)"
    ) as found:
        CameraSource(SourceConfig(uri="99"))
    assert found.value.exit_code == 2
    assert capfd.readouterr() == ("", ""), "OpenCV talks to the terminal"


def test_a_camera_without_pictures(clip: Path) -> None:
    class Blind(FileCamera):
        def retrieve(self) -> tuple[bool, U8 | None]:
            return False, None

    config = SourceConfig(uri="0", timeout_s=0.5)
    with pytest.raises(SourceNotFound, match="camera 0 opened but gave no picture"):
        CameraSource(config, factory=lambda _index: Blind(clip))


@pytest.mark.parametrize(("uri", "index"), [("0", 0), ("/dev/video12", 12)])
def test_camera_index(uri: str, index: int) -> None:
    assert camera_index(uri) == index


def test_fourcc_names() -> None:
    assert fourcc_name(float(cv2.VideoWriter.fourcc(*"YUYV"))) == "YUYV"
    assert [fourcc_name(code) for code in (0.0, -1.0, 22.0)] == ["", "", ""]


def test_pipeline_pictures_in_i420_are_not_converted() -> None:
    class Pipeline(FileCamera):
        def __init__(self) -> None:
            self.sent = 0

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def grab(self) -> bool:
            self.sent += 1
            return self.sent <= 3

        def retrieve(self) -> tuple[bool, Any]:
            planes = picture(self.sent, Size(32, 24))
            return True, np.concatenate([p.reshape(-1, 32) for p in (planes.y, planes.u, planes.v)])

        def release(self) -> None:
            pass

    reader = CaptureReader(Pipeline(), name="gst", live=False, stale_s=5)
    frames = [reader.read() for _ in range(5)]
    reader.close()
    assert frames[3:] == [None, None]
    for i, frame in enumerate(frames[:3]):
        assert frame is not None
        np.testing.assert_array_equal(frame.planes.y, picture(i + 1, Size(32, 24)).y)
        np.testing.assert_array_equal(frame.planes.v, picture(i + 1, Size(32, 24)).v)
