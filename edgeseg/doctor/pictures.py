"""Windows and video files: what OpenCV and PyAV were built with."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from edgeseg.doctor.finding import Finding, load

_ENCODERS = {
    "libx264": "H.264",
    "libx265": "HEVC",
    "libvpx-vp9": "VP9",
    "libsvtav1": "AV1",
}
_DECODERS = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1", "mjpeg": "MJPEG"}


def opencv() -> Iterator[Finding]:
    """Says whether windows can be shown, and cameras read through GStreamer."""
    cv2, failed = load("cv2", "OpenCV")
    if cv2 is None:
        yield failed
        return
    build = str(cv2.getBuildInformation())
    gui = opencv_feature(build, "GUI")
    windows = gui not in ("", "NONE", "NO")
    yield Finding(
        "OpenCV",
        "windows",
        "ok" if windows else "note",
        gui if windows else "this build has none: runs need -o FILE",
        "" if windows else "pip uninstall opencv-python-headless; pip install opencv-python",
    )
    gstreamer = opencv_feature(build, "GStreamer").startswith("YES")
    yield Finding(
        "OpenCV",
        "GStreamer",
        "ok" if gstreamer else "note",
        "yes" if gstreamer else "no: csi:// and gst: sources need it",
        "" if gstreamer else "use the system's OpenCV (Jetson: sudo apt install python3-opencv)",
    )
    shown = has_display()
    yield Finding(
        "OpenCV",
        "display",
        "ok" if shown else "note",
        "yes" if shown else "no display: runs need -o FILE or --no-window",
        "" if shown else "log in on the desktop, or connect with: ssh -X",
    )


def opencv_feature(build: str, name: str) -> str:
    """Returns what OpenCV's build information says of a feature, "" if it does not name it."""
    found = re.search(rf"^\s*{re.escape(name)}:[ \t]*(.*)$", build, re.MULTILINE)
    return found.group(1).strip() if found else ""


def has_display() -> bool:
    """Says whether windows can appear: a desktop session, or an X or Wayland server named."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def codecs() -> Iterator[Finding]:
    """Says which video files can be read and written."""
    av, failed = load("av", "video files")
    if av is None:
        yield failed
        return
    available = av.codecs_available
    encoders = [label for name, label in _ENCODERS.items() if name in available]
    works = "libx264" in available
    yield Finding(
        "video files",
        "writes",
        "ok" if works else "missing",
        ", ".join(encoders) or "nothing",
        "" if works else "this PyAV has no libx264: pip install --force-reinstall av",
    )
    lacking = [label for name, label in _DECODERS.items() if name not in available]
    decoders = [label for name, label in _DECODERS.items() if name in available]
    yield Finding(
        "video files",
        "reads",
        "note" if lacking else "ok",
        ", ".join(decoders) + (f"; not {', '.join(lacking)}" if lacking else ""),
        "pip install --force-reinstall av" if lacking else "",
    )
