"""Cameras through OpenCV: V4L2 on Linux, AVFoundation on macOS, Media Foundation on Windows."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable
from fractions import Fraction

import cv2

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceNotFound
from edgeseg.types import Size, SourceInfo
from edgeseg.video.capture import Capture, CaptureReader, CaptureSource, quiet_opencv

CaptureFactory = Callable[[int], Capture]
"""Opens the camera of an index; the result may be closed."""

_HD_WIDTH = 1280
_API = {
    "linux": cv2.CAP_V4L2,
    "darwin": cv2.CAP_AVFOUNDATION,
    "win32": cv2.CAP_MSMF,
}


class CameraSource(CaptureSource):
    """Frames of one camera, newest first served; ``pts`` is None, ``captured_at`` is the clock.

    size, fps and fourcc of the configuration are requests; ``info`` tells what the camera gave.
    Without a ``fourcc``, MJPG is asked for at 1280 pixels and wider on V4L2, because uncompressed
    HD does not fit through USB 2 (a webcam then gives 5 to 10 frames a second).

    >>> source = CameraSource(SourceConfig(uri="0", size=Size(1280, 720)))  # doctest: +SKIP
    >>> source.info.notes  # doctest: +SKIP
    ('camera 0: 1280x720 MJPG at 30 fps',)
    """

    def __init__(self, config: SourceConfig, *, factory: CaptureFactory | None = None) -> None:
        """Opens the camera, makes the requests and waits for the first picture.

        Raises:
            SourceNotFound: no such camera, no permission, or it gives no picture.
        """
        index = camera_index(config.uri)
        name = f"camera {index}"
        capture = _open(index, factory or open_capture)
        _request(capture, config)
        fps = _positive(capture.get(cv2.CAP_PROP_FPS))
        fourcc = fourcc_name(capture.get(cv2.CAP_PROP_FOURCC))
        reader = CaptureReader(capture, name=name, live=True, stale_s=config.stale_s)
        size = reader.first_size(timeout_s=config.timeout_s)
        if size is None:
            reader.close()
            raise SourceNotFound(
                f"{name} opened but gave no picture within {config.timeout_s:g} s; is another "
                "program using it?"
            )
        info = SourceInfo(
            uri=config.uri,
            size=size,
            fps=fps,
            frames=config.max_frames,
            live=True,
            notes=given(name, config, size, fps, fourcc),
        )
        super().__init__(reader, info, max_frames=config.max_frames)


def camera_index(uri: str) -> int:
    """Returns the number in ``0`` or ``/dev/video0``."""
    return int(uri.removeprefix("/dev/video"))


def open_capture(index: int) -> Capture:
    """Opens a camera by the platform's own interface, by any other if that is not built in."""
    capture = cv2.VideoCapture(index, _API.get(sys.platform, cv2.CAP_ANY))
    return capture if capture.isOpened() else cv2.VideoCapture(index, cv2.CAP_ANY)


def given(
    name: str, config: SourceConfig, size: Size, fps: Fraction | None, fourcc: str
) -> tuple[str, ...]:
    """Returns what the camera gave and, where it differs, what was asked for."""
    rate = f" at {float(fps):g} fps" if fps else ""
    notes = [f"{name}: {size}{f' {fourcc}' if fourcc else ''}{rate}"]
    missed = []
    if config.size is not None and config.size != size:
        missed.append(str(config.size))
    if config.fps is not None and (fps is None or abs(float(fps) - config.fps) > 0.5):
        missed.append(f"{config.fps:g} fps")
    if config.fourcc is not None and config.fourcc != fourcc:
        missed.append(config.fourcc)
    if missed:
        notes.append(f"{name} does not give what was asked for: {', '.join(missed)}")
    return tuple(notes)


def fourcc_name(code: float) -> str:
    """Returns a pixel format code as four letters, an empty string where there is none."""
    letters = int(code).to_bytes(8, "little", signed=True)[:4]
    return letters.decode("ascii").strip() if letters.isalnum() else ""


def _open(index: int, factory: CaptureFactory) -> Capture:
    with quiet_opencv():
        capture = factory(index)
    if not capture.isOpened():
        capture.release()
        raise SourceNotFound(_no_camera(index))
    return capture


def _no_camera(index: int) -> str:
    device = f"/dev/video{index}"
    if os.path.exists(device) and not os.access(device, os.R_OK | os.W_OK):
        return f"camera {index}: no permission for {device}; add yourself to its group (video)"
    if sys.platform == "darwin":
        return f"camera {index}: none there, or this terminal may not use it (Privacy settings)"
    found = sorted(glob.glob("/dev/video*"))
    if not found:
        return f"camera {index}: no camera found; plug one in, or give a video file"
    return f"camera {index}: cannot be opened; devices here: {', '.join(found)}"


def _request(capture: Capture, config: SourceConfig) -> None:
    """Asks for format, size and rate, in the order V4L2 needs."""
    fourcc = config.fourcc
    if fourcc is None and config.size is not None and config.size.width >= _HD_WIDTH:
        fourcc = "MJPG" if sys.platform == "linux" else None
    with quiet_opencv():
        if fourcc is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
        if config.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.size.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.size.height)
        if config.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, config.fps)


def _positive(fps: float) -> Fraction | None:
    return Fraction(fps).limit_denominator(1001) if 0 < fps < 1000 else None
