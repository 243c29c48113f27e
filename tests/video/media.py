"""Real test clips, written with PyAV, whose every frame carries its own number.

``picture`` draws frame ``i``: a 3x4 grid of black and white cells that spell ``i`` in binary, over
a grey ramp, with the left half reddish. ``number_of`` reads the number back from a decoded luma
plane, also after lossy coding, which makes lost, doubled and swapped frames visible.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from edgeseg.types import U8, Planes, Size

BITS = 12
"""Numbers up to 4095 fit the grid."""

SMALL = Size(160, 96)
"""Size of a clip unless said otherwise."""

_ROWS, _COLS = 3, 4
_MPEG, _JPEG = 1, 2  # AVColorRange
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_MATRICES = {"bt709": 1, "bt601": 6, "bt2020": 9}  # AVColorSpace
_PREFERRED = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast"}}
_PREFERRED["libx265"]["x265-params"] = "log-level=none:pools=1:frame-threads=1"
_PREFERRED["libvpx-vp9"] = {"deadline": "realtime", "cpu-used": "8"}
_PREFERRED["libsvtav1"] = {"preset": "12", "svtav1-params": "lp=1"}


def has_encoder(name: str) -> bool:
    """Tells whether this build of FFmpeg can write a codec."""
    try:
        av.codec.Codec(name, "w")
    except ValueError:
        return False
    return True


def picture(index: int, size: Size) -> Planes:
    """Returns frame ``index``: I420, limited range, any size from 16x12."""
    planes = Planes.empty(size)
    planes.y[:] = np.linspace(60, 180, size.width, dtype=np.uint8)
    for bit in range(BITS):
        top, left, bottom, right = _cell(bit, size)
        planes.y[top:bottom, left:right] = 220 if index >> bit & 1 else 30
    planes.u[:], planes.v[:] = 128, 128
    planes.v[:, : size.chroma.width // 2] = 180
    return planes


def _cell(bit: int, size: Size) -> tuple[int, int, int, int]:
    row, col = divmod(bit, _COLS)
    high, wide = size.height // _ROWS, size.width // _COLS
    return row * high, col * wide, row * high + high, col * wide + wide


def number_of(luma: U8) -> int:
    """Reads the frame number from a luma plane, upright and undamaged."""
    size = Size(luma.shape[1], luma.shape[0])
    value = 0
    for bit in range(BITS):
        top, left, bottom, right = _cell(bit, size)
        high, wide = bottom - top, right - left
        middle = luma[top + high // 4 : bottom - high // 4, left + wide // 4 : right - wide // 4]
        value |= int(middle.mean() > 125) << bit
    return value


def to_av(planes: Planes, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """Returns planes as an av frame, odd sizes included, converted to ``pix_fmt``."""
    frame = av.VideoFrame(planes.size.width, planes.size.height, "yuv420p")
    for plane, source in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
        rows[: source.shape[0], : source.shape[1]] = source
        plane.update(rows.tobytes())
    return frame if pix_fmt == "yuv420p" else frame.reformat(format=pix_fmt)


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    size: Size = SMALL,
    frames: int = 20,
    rate: Fraction | int = 30,
    pix_fmt: str = "yuv420p",
    times: Sequence[Fraction] | None = None,
    start: Fraction = Fraction(0),
    rotation: int = 0,
    mirrored: bool = False,
    matrix: str | None = None,
    full_range: bool | None = None,
    audio: bool = False,
    gop: int = 12,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Writes numbered frames and returns ``path``. The codec may need an even size (libx264 does).

    times: presentation time of each frame in seconds (variable rate); otherwise ``rate`` is
    constant from ``start``. rotation: degrees clockwise that a player has to turn the picture by.
    audio: adds a 48 kHz mono AAC (Opus in WebM and MKV) sine track of the same length.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    rate = Fraction(rate)
    target = av.open(str(path), "w", format=container_format, options=container_options or {})
    with target, own_scheduling():
        stream: Any = target.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, pix_fmt
        stream.options = {**_PREFERRED.get(codec, {}), **(options or {})}
        context = stream.codec_context
        context.gop_size = gop
        base = Fraction(1, 90_000) if times is not None or start else 1 / rate
        context.time_base = base
        if matrix is not None:
            context.colorspace = _MATRICES[matrix]
        if full_range is not None:
            context.color_range = _JPEG if full_range else _MPEG
        sound = _add_audio(target, path) if audio else None
        moments = list(times) if times is not None else [start + i / rate for i in range(frames)]
        for i, moment in enumerate(moments):
            frame = to_av(picture(i, size), pix_fmt)
            frame.time_base, frame.pts = base, round(moment / base)
            if full_range is not None:
                frame.color_range = _JPEG if full_range else _MPEG
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
        if sound is not None:
            _write_sine(target, sound, seconds=float(moments[-1] + 1 / rate))
    if rotation or mirrored:
        _turn(path, rotation, mirrored=mirrored)
    return path


@contextmanager
def own_scheduling() -> Iterator[None]:
    """Undoes that SVT-AV1, run by root, makes the calling thread a real-time one.

    Later threads and child processes inherit it, and then starve what they talk to.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameter)


def _turn(path: Path, degrees: int, *, mirrored: bool) -> None:
    """Writes the display matrix into an MP4's first track header, as phones do."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    a, b, c, d = cosine, sine, -sine, cosine  # x' = ax + cy, y' = bx + dy
    if mirrored:
        a, c = -a, -c
    one, unit = 1 << 16, 1 << 30
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, unit)
    content = path.read_bytes()
    at = content.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2, version 0
    path.write_bytes(content[:at] + matrix + content[at + len(matrix) :])


def _add_audio(target: Any, path: Path) -> Any:
    codec = "libopus" if path.suffix in {".webm", ".mkv"} else "aac"
    sound = target.add_stream(codec, rate=48_000)
    sound.layout = "mono"
    return sound


def _write_sine(target: Any, sound: Any, *, seconds: float) -> None:
    chunk = 960
    for first in range(0, int(48_000 * seconds), chunk):
        wave = 0.2 * np.sin(np.arange(first, first + chunk) * (2 * np.pi * 440 / 48_000))
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, first, Fraction(1, 48_000)
        target.mux(sound.encode(frame))
    target.mux(sound.encode(None))


def write_sound(path: Path, *, cover: bool = False) -> Path:
    """Writes one second of sound, with a cover picture if asked for, and returns ``path``."""
    with av.open(str(path), "w", format="mp4") as target:
        image: Any = None
        if cover:
            image = target.add_stream("mjpeg", rate=1)
            image.width, image.height, image.pix_fmt = SMALL.width, SMALL.height, "yuvj420p"
            image.disposition = _ATTACHED_PICTURE
        sound = _add_audio(target, path)
        if image is not None:
            target.mux(image.encode(to_av(picture(0, SMALL), "yuvj420p")))
            target.mux(image.encode(None))
        _write_sine(target, sound, seconds=1.0)
    return path


def damage(path: Path, *, at: float, length: int, seed: int = 0) -> None:
    """Overwrites ``length`` bytes with noise, from the fraction ``at`` of the file's length on."""
    content = bytearray(path.read_bytes())
    first = int(len(content) * at)
    noise = np.random.default_rng(seed).integers(0, 256, length, np.uint8).tobytes()
    content[first : first + length] = noise[: len(content) - first]
    path.write_bytes(bytes(content))


def truncate(path: Path, *, keep: float) -> None:
    """Cuts a file to the fraction ``keep`` of its length."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
