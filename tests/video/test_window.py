"""A real window on a real (virtual) display, with real keys; skipped where there is none."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgeseg
from edgeseg.types import U8
from edgeseg.video.window import key_name

ROOT = Path(edgeseg.__file__).parents[1]
LINUX = sys.platform == "linux"

PRELUDE = """
import ctypes, subprocess, sys, time
import numpy as np
from edgeseg.ops.planes import from_bgr
from edgeseg.types import Frame, OutputInfo, Rendered, Size, SourceInfo
from edgeseg.video.window import WindowSink
size = Size(321, 241)
bgr = np.zeros((241, 321, 3), np.uint8)
bgr[:, :160], bgr[:, 160:] = (0, 0, 255), (255, 0, 0)
planes = from_bgr(bgr)
info = OutputInfo(SourceInfo("clip.mp4", size, None, None, False), size)
item = Rendered(planes, Frame(planes, 0, 0.0), None)
sink = WindowSink()
sink.open(info)
def show(seconds):
    end, keys = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        sink.write(item)
        keys += sink.poll()
    return keys
def find():
    '''Draws until the window is there; returns its number.'''
    for _ in range(100):
        show(0.1)
        search = ("xdotool", "search", "--onlyvisible", "--name", "edgeseg - clip.mp4")
        found = subprocess.run(search, capture_output=True, text=True).stdout.split()
        if found:
            show(0.2)
            return found[0]
def press(key, expect=True):
    '''Presses a key and draws until it has arrived.'''
    run("xdotool", "key", key)
    if not expect:
        return show(0.3)
    for _ in range(100):
        keys = show(0.05)
        if keys:
            return keys
    return ""
def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
"""


def python(code: str, **env: str | None) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own: a toolkit may end the process it lives in."""
    full = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    full |= {k: v for k, v in env.items() if v is not None} | {"PYTHONPATH": str(ROOT)}
    source = PRELUDE + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env=full, timeout=60
    )


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    if not LINUX or shutil.which("Xvfb") is None or shutil.which("xdotool") is None:
        pytest.skip("needs Xvfb and xdotool (apt install xvfb xdotool)")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-noreset", "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        try:
            yield f":{number}"
        finally:
            server.terminate()


def test_keys_arrive_in_order(display: str) -> None:
    done = python(
        """
        run("xdotool", "windowfocus", "--sync", find())
        keys = ""
        for key in ("e", "m", "s", "space", "H", "Left", "q", "Escape"):
            keys += press(key, expect=key != "Left")
        print(repr(keys))
        sink.close()
        sink.close()
        """,
        DISPLAY=display,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "'ems hqq'"
    assert done.stderr == ""


def test_keys_arrive_while_nothing_is_drawn(display: str) -> None:
    done = python(
        """
        run("xdotool", "windowfocus", "--sync", find())
        run("xdotool", "key", "space")
        keys, end = "", time.monotonic() + 10
        while not keys and time.monotonic() < end:
            keys += sink.poll()
            time.sleep(0.05)
        print(repr(keys))
        """,
        DISPLAY=display,
    )
    assert done.stdout.strip() == "' '", done.stderr


CLOSE = """
def close_by_mouse():
    '''Sends what a window manager sends when the user clicks the cross.'''
    window = int(find())
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    d = ctypes.c_void_p(x.XOpenDisplay(None))
    class Message(ctypes.Structure):
        _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int),
                    ("display", ctypes.c_void_p), ("window", ctypes.c_ulong),
                    ("kind", ctypes.c_ulong), ("format", ctypes.c_int),
                    ("data", ctypes.c_ulong * 5), ("pad", ctypes.c_ulong * 12)]
    m = Message(33, 0, 1, None, window, x.XInternAtom(d, b"WM_PROTOCOLS", 0), 32)
    m.data[0] = x.XInternAtom(d, b"WM_DELETE_WINDOW", 0)
    x.XSendEvent(d, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(m))
    x.XFlush(d)
"""


def test_a_closed_window_is_q_and_stays_closed(display: str) -> None:
    done = python(
        CLOSE
        + textwrap.dedent(
            """
            close_by_mouse()
            keys = ""
            for _ in range(50):
                keys += show(0.1)
                if keys:
                    break
            print(repr(keys + show(0.3)))
            try:
                print(run("xdotool", "search", "--onlyvisible", "--name", "clip.mp4"))
            except subprocess.CalledProcessError:
                print("gone")
            sink.close()
            """
        ),
        DISPLAY=display,
    )
    assert done.stdout.split() == ["'q'", "gone"], done.stderr
    assert done.returncode == 0


def test_the_picture_is_shown_in_its_colours_and_keeps_its_shape(
    display: str, tmp_path: Path
) -> None:
    if shutil.which("xwd") is None:
        pytest.skip("needs xwd (apt install x11-apps)")
    shot = tmp_path / "shot.xwd"
    code = f"""
        window = find()
        for size in (("321", "241"), ("600", "241")):
            run("xdotool", "windowsize", window, *size)
            for _ in range(20):
                show(0.3)
                run("xwd", "-root", "-silent", "-out", {str(shot)!r})
                drawn = any(open({str(shot)!r}, "rb").read()[-800 * 400 * 4:-800 * 370 * 4])
                if "x".join(size) in run("xdotool", "getwindowgeometry", window) and drawn:
                    break
            show(0.5)
        run("xwd", "-root", "-silent", "-out", {str(shot)!r})
        """
    for _ in range(3):  # without a window manager a resize can overtake the window's own start
        done = python(code, DISPLAY=display)
        assert done.returncode == 0, done.stderr
        pixels = read_xwd(shot)
        if pixels.any():
            break
    row = pixels[120, :600]
    red = [i for i, p in enumerate(row) if p[2] > 200 and p[0] < 60]
    blue = [i for i, p in enumerate(row) if p[0] > 200 and p[2] < 60]
    assert max(red) < min(blue)
    assert abs(len(red) + len(blue) - 321) < 12  # bars left and right, not stretched to 600


def read_xwd(path: Path) -> U8:
    """Returns uint8 [H, W, 3] BGR from an X window dump of 24-bit depth."""
    content = path.read_bytes()
    head = struct.unpack(">25I", content[:100])
    width, height, depth_bits, stride = head[4], head[5], head[11], head[12]
    start = head[0] + head[19] * 12
    rows = np.frombuffer(content, np.uint8, height * stride, start).reshape(height, stride)
    channels = depth_bits // 8
    return rows[:, : width * channels].reshape(height, width, channels)[..., :3]


@pytest.mark.skipif(not LINUX, reason="displays are a matter of X11 and Wayland")
@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({}, "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"),
        ({"DISPLAY": ":4321"}, "display :4321 does not answer"),
        ({"DISPLAY": "nowhere.invalid:0"}, "display nowhere.invalid:0 does not answer"),
    ],
)
def test_no_display_is_refused_not_fatal(env: dict[str, str], reason: str) -> None:
    done = python("", **env)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"edgeseg.errors.SinkRefused: no window can be shown: {reason}; "
        "use --no-window, and -o out.mp4 to keep the result"
    )
    assert done.returncode == 1  # an exception, not the toolkit's abort


@pytest.mark.parametrize(
    ("code", "name"),
    [(ord("q"), "q"), (ord("Q"), "q"), (27, "q"), (32, " "), (0x100000 + ord("h"), "h"), (13, ""),
     (0xFF51, ""), (0x10FF51, ""), (225, ""), (-1, "")],
)  # fmt: skip
def test_key_names(code: int, name: str) -> None:
    assert key_name(code) == name


def test_waiting_is_short(display: str) -> None:
    done = python(
        """
        find()
        start = time.monotonic()
        for _ in range(30):
            sink.poll()
        print(time.monotonic() - start)
        """,
        DISPLAY=display,
    )
    assert float(done.stdout) < 6, done.stderr
