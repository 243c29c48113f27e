"""A live window with keys, drawn by OpenCV."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import cv2

from edgeseg.errors import SinkError, SinkRefused
from edgeseg.ops.planes import to_bgr
from edgeseg.types import OutputInfo, Rendered, Size

TITLE = "edgeseg"
LARGEST = Size(1280, 800)
"""A new window is made no larger than this; the user may resize it."""

_ESC = 27
_INSTEAD = "use --no-window, and -o out.mp4 to keep the result"


class WindowSink:
    """Shows frames in a resizable window. Implements InteractiveSink.

    Use from the main thread only, as every window toolkit asks. After the user closed the window
    frames are no longer shown, and ``poll`` says ``"q"`` once.
    """

    def __init__(self, uri: str = "window://", *, title: str = TITLE) -> None:
        self._uri = uri
        self._title = title
        self._keys = ""
        self._open = False
        self._shown = False

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return self._uri

    def open(self, info: OutputInfo) -> None:
        """Makes the window. Raises SinkRefused where there is no display or no window toolkit."""
        reason = why_no_window()
        if reason is not None:
            raise SinkRefused(f"no window can be shown: {reason}; {_INSTEAD}")
        size = _fit(info.size)
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(winname=self._title, flags=flags)
            cv2.resizeWindow(winname=self._title, width=size.width, height=size.height)
            cv2.setWindowTitle(winname=self._title, title=f"{TITLE} - {info.source.uri}")
        except cv2.error as error:
            raise SinkRefused(f"no window can be shown: {_short(error)}; {_INSTEAD}") from error
        self._open, self._shown, self._keys = True, False, ""

    def write(self, item: Rendered) -> None:
        """Shows a frame and takes the keys pressed meanwhile. Raises SinkError."""
        if not self._open:
            return
        try:
            cv2.imshow(winname=self._title, mat=to_bgr(item.picture, item.frame.color))
        except cv2.error as error:
            raise SinkError(f"the window failed: {_short(error)}") from error
        self._shown = True
        self._pump()

    def poll(self) -> str:
        """Returns the keys pressed since the last call; Esc and a closed window are ``"q"``."""
        if self._open:
            self._pump()
        keys, self._keys = self._keys, ""
        return keys

    def close(self) -> None:
        """Removes the window."""
        if not self._open:
            return
        self._open = False
        try:
            cv2.destroyWindow(winname=self._title)
            cv2.waitKey(delay=1)  # lets the toolkit carry it out
        except cv2.error:
            return  # the user was faster

    def _pump(self) -> None:
        """Lets the toolkit work and collects keys; notices a closed window."""
        while (key := cv2.waitKeyEx(delay=1)) >= 0:
            self._keys += key_name(key)
        if self._shown and not self._visible():
            self._open = False
            self._keys += "q"

    def _visible(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:
            return False


def key_name(code: int) -> str:
    """Returns the character of a ``waitKeyEx`` code in lower case; "" for keys without one.

    The low byte alone will not do: it makes the left arrow (0xFF51) a ``Q``.
    """
    code &= 0xFFFF  # above are the states of Shift, Num Lock and the like
    if code == _ESC:
        return "q"
    return chr(code).lower() if 32 <= code < 127 else ""


def why_no_window() -> str | None:
    """Returns why no window can be shown here, or None.

    Asked before the toolkit is touched: Qt ends the whole process when it finds no display.
    """
    toolkit = _toolkit()
    if toolkit == "NONE":
        return "this OpenCV was built without windows (opencv-python-headless)"
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return None
    if os.environ.get("DISPLAY"):
        if not _x_server_answers():
            return f"display {os.environ['DISPLAY']} does not answer"
        return _broken_plugin()
    if not os.environ.get("WAYLAND_DISPLAY"):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    plugins = _bundled_plugins()
    if plugins and not any("wayland" in p.name for p in plugins):
        return "this OpenCV shows windows through X11 only and DISPLAY is not set (start XWayland)"
    return None


def _toolkit() -> str:
    """Returns what OpenCV shows windows with, such as QT5, GTK3, COCOA or NONE."""
    for line in cv2.getBuildInformation().splitlines():
        head, _, value = line.partition(":")
        if head.strip() == "GUI":
            return str(value.strip().upper() or "UNKNOWN")
    return "UNKNOWN"


def _x_server_answers() -> bool:
    """Connects to the X server as Qt would, permissions included."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # cannot be asked; imshow will say
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    answers = xcb.xcb_connection_has_error(connection) == 0
    xcb.xcb_disconnect(connection)
    return bool(answers)


def _bundled_plugins() -> list[Path]:
    """Returns the Qt display plugins that come inside opencv-python; none in other builds."""
    return sorted((Path(cv2.__file__).parent / "qt" / "plugins" / "platforms").glob("*.so"))


def _broken_plugin() -> str | None:
    """Returns which system library Qt's X11 plugin lacks, or None."""
    for plugin in _bundled_plugins():
        try:
            ctypes.CDLL(str(plugin))
        except OSError as error:
            library = str(error).partition(":")[0]
            return f"the system library {library} is missing (apt install libsm6 libxext6)"
    return None


def _fit(size: Size) -> Size:
    scale = min(1.0, LARGEST.width / size.width, LARGEST.height / size.height)
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
