"""From packets to upright I420 planes: what files and streams have in common.

8-bit 4:2:0 video, which is nearly all there is, is not copied at all: the planes of a Frame are
read-only views into the decoder's picture. Everything else is converted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.error
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from edgeseg.errors import SourceError
from edgeseg.ops.planes import NEUTRAL, from_bgr
from edgeseg.types import BT601, U8, ColorSpace, Matrix, Planes, Size, SourceCounters

_HD_PIXELS = 1280 * 720
_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_BT2020 = (9, 10)  # AVCOL_SPC_BT2020_NCL, _CL
_MATRICES: dict[int, Matrix] = {
    1: "bt709",  # AVCOL_SPC_BT709
    4: "bt601",  # FCC
    5: "bt601",  # BT470BG
    6: "bt601",  # SMPTE170M
    7: "bt709",  # SMPTE240M, the nearest of the two
    9: "bt709",  # BT2020_NCL and _CL are converted
    10: "bt709",
}
_SWS: dict[Matrix, int] = {"bt601": 5, "bt709": 1}  # SWS_CS_ITU601, SWS_CS_ITU709
_SWS_BT2020 = 9
_SWS_EXACT = 0x2 | 0x2000 | 0x40000  # bilinear, full chroma, accurate rounding: as fast, and
# without them BT.2020 comes out 2.5 levels too dark
_ZERO_COPY = frozenset({"yuv420p", "yuvj420p", "yuva420p"})
_MAX_DEMUX_FAILURES = 32
_JUMP_BACK_S = 1


class Orientation(NamedTuple):
    """How a stored picture becomes upright: transposed first, then flipped."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, planes: Planes) -> Planes:
        """Returns the upright picture; the same planes where nothing has to be done."""
        if not any(self):
            return planes
        y, u, v = (self._turn(plane) for plane in (planes.y, planes.u, planes.v))
        return Planes(y, u, v).freeze()

    def _turn(self, plane: U8) -> U8:
        turned: U8 = cv2.transpose(src=plane) if self.transposed else plane
        if self.flip_x or self.flip_y:
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            turned = cv2.flip(src=turned, flipCode=code)
        return turned


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Reads the display matrix that phones write, quarter turns and mirrors."""
    side: Any = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return Orientation()
    a, b, _, c, d = memoryview(side).cast("i")[:5].tolist()  # x' = ax + cy, y' = bx + dy
    if max(abs(a), abs(d)) >= max(abs(b), abs(c)):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def color_of(frame: av.VideoFrame) -> ColorSpace:
    """Returns the colour space of a decoded frame; untagged HD is BT.709, the rest BT.601."""
    guess: Matrix = "bt709" if frame.width * frame.height >= _HD_PIXELS else "bt601"
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return ColorSpace(_MATRICES.get(int(frame.colorspace), guess), bool(full))


class Unpacker:
    """Turns decoded frames into read-only I420 planes as stored (not yet upright)."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> tuple[Planes, ColorSpace]:
        """Returns planes and their colour space; the planes keep the decoder's buffer alive."""
        kind = frame.format
        if kind.is_rgb or kind.has_palette:
            bgr: Any = self._reformatter.reformat(frame, format="bgr24").to_ndarray()
            return from_bgr(bgr).freeze(), BT601
        if kind.name.startswith("gray"):
            return self._grey(frame)
        color = color_of(frame)
        if kind.name not in _ZERO_COPY or int(frame.colorspace) in _BT2020:
            frame = self._to_i420(frame, color)
        y, u, v = (_view(plane) for plane in frame.planes[:3])
        return Planes(y, u, v), color

    def _grey(self, frame: av.VideoFrame) -> tuple[Planes, ColorSpace]:
        """Grey is full range in FFmpeg, whatever its tag says."""
        y = _view(self._reformatter.reformat(frame, format="gray").planes[0])
        size = Size(frame.width, frame.height).chroma
        neutral = np.full((size.height, size.width), NEUTRAL, np.uint8)
        neutral.flags.writeable = False
        return Planes(y, neutral, neutral), color_of(frame)._replace(full_range=True)

    def _to_i420(self, frame: av.VideoFrame, color: ColorSpace) -> av.VideoFrame:
        matrix = _SWS[color.matrix]
        levels = _FULL_RANGE if color.full_range else _LIMITED_RANGE
        return self._reformatter.reformat(
            frame,
            format="yuvj420p" if frame.format.name.startswith("yuvj") else "yuv420p",
            src_colorspace=_SWS_BT2020 if int(frame.colorspace) in _BT2020 else matrix,
            dst_colorspace=matrix,
            src_color_range=levels,
            dst_color_range=levels,
            interpolation=_SWS_EXACT,
        )


def _view(plane: VideoPlane) -> U8:
    flat = np.frombuffer(memoryview(plane).toreadonly(), np.uint8)
    return flat.reshape(plane.height, plane.line_size)[:, : plane.width]


class Decoder:
    """Decodes one stream's packets; what damage costs is counted, not raised."""

    def __init__(
        self,
        stream: av.VideoStream,
        counters: SourceCounters,
        *,
        threads: int = 1,
        low_delay: bool = False,
    ) -> None:
        """threads: 1 decodes in the calling thread, 0 lets the decoder choose.

        low_delay: no frame threads, each of which holds one picture back.
        """
        self.stream = stream
        self.packets = 0
        self._counters = counters
        stream.thread_count = threads
        if threads != 1:
            stream.thread_type = "SLICE" if low_delay else "AUTO"

    def feed(self, packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame]:
        """Returns the frames a packet completes; an empty packet flushes the decoder."""
        if packet.size:
            self.packets += 1
        damaged = bool(packet.is_corrupt)
        try:
            frames = packet.decode()
        except av.error.EOFError:
            frames = []
        except av.error.FFmpegError:
            frames, damaged = [], True
        self._counters.damaged += damaged + sum(1 for f in frames if f.is_corrupt)
        return frames


def demux(
    container: av.container.InputContainer, stream: av.VideoStream, counters: SourceCounters
) -> Iterator[av.Packet[av.VideoStream]]:
    """Yields a stream's packets, over damaged stretches, and an empty one at the end.

    Raises SourceError when the file cannot be read any more for a reason other than damage.
    """
    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
        except av.error.InvalidDataError:
            counters.damaged += 1
            failures += 1
            if failures < _MAX_DEMUX_FAILURES:
                continue
            flush: Any = av.Packet()
            flush.stream = stream
            yield flush
        except av.error.FFmpegError as error:
            raise SourceError(f"{container.name}: reading failed: {error.strerror}") from error
        return


class Timeline:
    """Keeps presentation times exact and strictly increasing over jumps, loops and reconnects."""

    def __init__(self, *, tick: Fraction) -> None:
        """tick: unit of the stream's timestamps in seconds."""
        self._tick = tick
        self._last: Fraction | None = None
        self._step = tick
        self._offset = Fraction(0)
        self._gap: Fraction | None = None

    def continue_after(self, gap_s: float | None = None) -> None:
        """Lets the next time follow the last one, by ``gap_s`` or by the last frame's length."""
        gap = self._step if gap_s is None else Fraction(round(gap_s / self._tick)) * self._tick
        self._gap = max(gap, self._tick)

    def place(self, pts: Fraction | None) -> Fraction | None:
        """Returns the time to give a frame whose stream time is ``pts``.

        A frame without a time follows the last one by that one's length; None before any time.
        """
        last = self._last
        if last is None:
            self._last, self._gap = pts, None
            return pts
        if pts is None:
            pts = last + self._step - self._offset
        if self._gap is not None:
            self._offset, self._gap = last + self._gap - pts, None
        elif pts + self._offset < last - _JUMP_BACK_S:
            self._offset = last + self._step - pts
        placed = max(pts + self._offset, last + self._tick)
        self._step, self._last = placed - last, placed
        return placed
