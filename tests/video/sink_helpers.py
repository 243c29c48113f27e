"""What sink tests share: frames to write and ways to read a file back, all through real codecs."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from media import number_of, picture

from edgeseg.protocols import Sink
from edgeseg.types import (
    BT601,
    U8,
    ColorSpace,
    Frame,
    Geometry,
    Matte,
    OutputInfo,
    Planes,
    Rect,
    Rendered,
    Size,
    SourceInfo,
)

SIZE = Size(64, 48)


def source_info(
    size: Size = SIZE,
    *,
    fps: Fraction | None = Fraction(30),
    time_base: Fraction = Fraction(1, 90_000),
    color: ColorSpace = BT601,
    live: bool = False,
    path: Path | None = None,
    uri: str = "test",
    frames: int | None = None,
) -> SourceInfo:
    text = None if path is None else str(path)
    return SourceInfo(text or uri, size, fps, frames, live, time_base, color, text)


def output_info(
    source: SourceInfo | None = None, *, alpha: bool = False, overwrite: bool = False
) -> OutputInfo:
    source = source or source_info()
    return OutputInfo(source, source.size, alpha=alpha, overwrite=overwrite)


def rendered(
    index: int,
    *,
    size: Size = SIZE,
    pts: Fraction | None = None,
    captured_at: float = 0.0,
    color: ColorSpace = BT601,
    alpha: U8 | None = None,
) -> Rendered:
    """A numbered picture of any size, with a matte whose left half is person."""
    planes = picture(index, size) if min(size) >= 16 else flat(index % 256, size)
    planes = Planes(planes.y, planes.u, planes.v, alpha)
    frame = Frame(planes, index, captured_at, pts=pts, color=color)
    return Rendered(planes, frame, half_matte(size))


def flat(value: int, size: Size) -> Planes:
    planes = Planes.empty(size)
    for plane, level in ((planes.y, value), (planes.u, 128), (planes.v, 128)):
        plane[...] = level
    return planes


def half_matte(size: Size, *, present: bool = True) -> Matte:
    person = np.zeros((4, 8), np.float32)
    person[:, :4] = 1
    return Matte(person, Geometry(size, Size(8, 4), Rect(0, 0, 8, 4)), present=present)


def write_all(sink: Sink, info: OutputInfo, items: Iterable[Rendered]) -> None:
    sink.open(info)
    try:
        for item in items:
            sink.write(item)
    finally:
        sink.close()


def decoded(path: Path) -> list[av.VideoFrame]:
    """Every frame up to the end or to where the file is torn."""
    frames = []
    with av.open(str(path)) as container:
        try:
            frames.extend(container.decode(video=0))
        except av.FFmpegError:
            return frames
    return frames


def times(path: Path) -> list[Fraction]:
    found = []
    for frame in decoded(path):
        assert frame.pts is not None
        assert frame.time_base is not None
        found.append(frame.pts * frame.time_base)
    return found


def luma(frame: av.VideoFrame) -> U8:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def numbers(path: Path) -> list[int]:
    return [number_of(luma(frame)) for frame in decoded(path)]


def packets(path: Path, kind: str = "audio") -> list[tuple[bytes, Fraction]]:
    """Bytes and presentation time of every packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream: Any = getattr(container.streams, kind)[0]
        return [(bytes(p), p.pts * p.time_base) for p in container.demux(stream) if p.size]


def boxes(path: Path) -> list[bytes]:
    """Names of the top-level boxes of an mp4 or mov."""
    content, at, names = path.read_bytes(), 0, []
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        names.append(content[at + 4 : at + 8])
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        at += max(length, 8)
    return names
