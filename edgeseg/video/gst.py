"""``csi://`` cameras and ``gst:`` pipelines, for an OpenCV that was built with GStreamer."""

from __future__ import annotations

import re
from fractions import Fraction

import cv2

from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError, SourceNotFound
from edgeseg.types import Size, SourceInfo
from edgeseg.video.capture import CaptureReader, CaptureSource, quiet_opencv

_CSI_SIZE = Size(1280, 720)
_CSI_FPS = Fraction(30)
_TAIL = "videoconvert ! video/x-raw, format=I420 ! appsink"


class GstSource(CaptureSource):
    """Frames of a Jetson CSI camera, or of a GStreamer pipeline given as ``gst:PIPELINE``.

    A pipeline without an ``appsink`` gets one that gives I420. One with its own must end in BGR
    or I420. A ``gst:`` pipeline may end; a CSI camera that stops is an error.
    """

    def __init__(self, config: SourceConfig) -> None:
        """Builds the pipeline and waits for its first picture.

        Raises:
            SourceNotFound: this OpenCV has no GStreamer, or the pipeline does not start.
        """
        text = pipeline_for(config)
        if not has_gstreamer():
            raise SourceNotFound(
                f"{config.uri}: needs an OpenCV built with GStreamer, which OpenCV "
                f"{cv2.__version__} here is not; on a Jetson use the system's (python3-opencv, "
                "in a venv made with --system-site-packages)"
            )
        with quiet_opencv():
            capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            capture.release()
            raise SourceNotFound(f"{config.uri}: GStreamer cannot start this pipeline: {text}")
        live = config.uri.startswith("csi:")
        rate = capture.get(cv2.CAP_PROP_FPS)
        reader = CaptureReader(capture, name=config.uri, live=live, stale_s=config.stale_s)
        size = reader.first_size(timeout_s=config.timeout_s)
        if size is None:
            reader.close()
            raise SourceNotFound(
                f"{config.uri}: no picture within {config.timeout_s:g} s from: {text}"
            )
        info = SourceInfo(
            uri=config.uri,
            size=size,
            fps=Fraction(rate).limit_denominator(1001) if rate > 0 else None,
            frames=config.max_frames,
            live=live,
            notes=(f"pipeline: {text}",),
        )
        super().__init__(reader, info, max_frames=config.max_frames)


def has_gstreamer() -> bool:
    """Tells whether this OpenCV was built with GStreamer."""
    return re.search(r"GStreamer:\s+YES", cv2.getBuildInformation()) is not None


def pipeline_for(config: SourceConfig) -> str:
    """Returns the pipeline text of a ``csi://N`` or ``gst:PIPELINE`` source.

    Raises:
        ConfigError: no camera number after ``csi://``, or nothing after ``gst:``.
    """
    if config.uri.startswith("csi://"):
        return csi_pipeline(config)
    text = config.uri.removeprefix("gst:").strip()
    if not text:
        raise ConfigError("gst: without a pipeline; expected for example 'gst:videotestsrc'")
    return text if "appsink" in text else f"{text} ! {_TAIL}"


def csi_pipeline(config: SourceConfig) -> str:
    """Returns the Jetson pipeline: sensor in NVMM memory, I420 by the hardware converter."""
    number = config.uri.removeprefix("csi://")
    if not number.isdecimal():
        raise ConfigError(f"{config.uri}: expected a camera number, for example csi://0")
    width, height = config.size or _CSI_SIZE
    fps = _CSI_FPS if config.fps is None else Fraction(config.fps).limit_denominator(1001)
    return (
        f"nvarguscamerasrc sensor-id={int(number)} ! "
        f"video/x-raw(memory:NVMM), width={width}, height={height}, "
        f"framerate={fps.numerator}/{fps.denominator}, format=NV12 ! "
        "nvvidconv ! video/x-raw, format=I420 ! appsink drop=true max-buffers=1 sync=false"
    )
