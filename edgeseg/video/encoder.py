"""Planes into a compressed video stream, without ever becoming RGB."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from edgeseg.config import OutputConfig
from edgeseg.types import U8, ColorSpace, Planes, Size

KEYFRAME_S = 2
"""Longest time between key frames, and so between the fragments of a file being written."""
EARLY_KEYFRAMES_S = (0.25, 0.75)
"""Extra key frames at the start, so that a run killed in its first seconds is playable too."""

_MATRIX = {"bt709": 1, "bt601": 6}  # AVCOL_SPC_BT709, AVCOL_SPC_SMPTE170M
_TEN_BIT = "yuva444p10le"
_RANGE = {False: 1, True: 2}  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG


T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder, its pixel format and its options. even: needs even width and height."""

    name: str
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False


@dataclass(frozen=True, slots=True)
class VideoTags:
    """What the video stream says about itself; 2 = not stated (AVColorPrimaries and the like)."""

    color: ColorSpace
    primaries: int = 2
    transfer: int = 2
    aspect: Fraction | None = None


def choose_codec(suffix: str, config: OutputConfig, *, alpha: bool, live: bool) -> Codec | None:
    """Returns the encoder for a container, or None where the container cannot carry alpha.

    x264's ``ultrafast`` takes ``crf`` as a constant quantiser: without macroblock trees, adaptive
    quantisation and look-ahead it is all that crf means, but x264 still searches motion twice for
    it. Measured with 23, 720p / 1080p: 2.3 / 5.6 ms instead of 2.9 / 8.0 a frame, as many dB for
    as many bytes on six clips.

    Alpha in .mov is ProRes 4444 by the ``prores`` encoder. Measured on masked 720p: 30 ms and
    0.36 MB a frame, prores_ks 100 ms, qtrle 17 ms but 0.96 MB and RGB, png 29 ms.
    """
    if suffix == ".webm":
        # realtime, no look-ahead: a killed run loses no more than the open cluster
        options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0"}
        options |= {"crf": str(min(63, config.crf + 7)), "auto-alt-ref": "0"}
        return Codec("libvpx-vp9", "yuva420p" if alpha else "yuv420p", options)
    if alpha:
        return Codec("prores", _TEN_BIT, even=True) if suffix == ".mov" else None
    quality = "qp" if config.preset == "ultrafast" else "crf"
    options = {"preset": config.preset, quality: str(config.crf)}
    if live:
        options["tune"] = "zerolatency"
    return Codec("libx264", "yuv420p", options, even=True)


class VideoEncoder:
    """One video stream of an output container.

    size: of the pictures; the stream is up to one pixel larger where the codec needs even sizes.
    Raises av.FFmpegError when the encoder does not take these settings.
    """

    def __init__(
        self,
        container: OutputContainer,
        codec: Codec,
        *,
        size: Size,
        fps: Fraction,
        time_base: Fraction,
        threads: int,
        tags: VideoTags,
    ) -> None:
        self.size = size
        self.coded = Size(*(n + n % 2 for n in size)) if codec.even else size
        self._tags = tags
        self._time_base = time_base
        stream = container.add_stream(codec.name, rate=fps, options=dict(codec.options))
        assert isinstance(stream, VideoStream)
        self.stream = stream
        context = stream.codec_context
        context.width, context.height = self.coded
        context.pix_fmt = codec.pix_fmt
        context.time_base = stream.time_base = time_base
        context.gop_size = min(max(round(fps * KEYFRAME_S), 1), 600)
        early = {round(fps * Fraction(seconds)) for seconds in EARLY_KEYFRAMES_S}
        self._early = early if codec.name == "libx264" else set()
        self._count = 0
        context.thread_count = threads
        # ProRes players know no full range; _fill_ten_bit converts
        self._range = _RANGE[tags.color.full_range and codec.pix_fmt != _TEN_BIT]
        context.color_range = self._range
        context.colorspace = self._matrix = _MATRIX[tags.color.matrix]
        context.color_primaries = tags.primaries
        context.color_trc = tags.transfer
        if tags.aspect is not None:
            context.sample_aspect_ratio = tags.aspect
        context.open()
        self._frame = av.VideoFrame(self.coded.width, self.coded.height, codec.pix_fmt)
        self._fill = _fill_ten_bit if codec.pix_fmt == _TEN_BIT else _fill_i420

    def encode(self, planes: Planes, pts: int) -> list[av.Packet[VideoStream]]:
        """Encodes a picture of ``size``; returns the packets that are ready, in decoding order."""
        # One frame is reused: the encoder has copied it unless it says so by holding on to it.
        self._frame.make_writable()
        self._fill(self._frame, planes, self._tags.color)
        frame = self._frame
        frame.pts, frame.time_base = pts, self._time_base
        frame.color_range, frame.colorspace = self._range, self._matrix
        frame.pict_type = PictureType.I if self._count in self._early else PictureType.NONE
        self._count += 1
        return self._own(self.stream.encode(frame))

    def flush(self) -> list[av.Packet[VideoStream]]:
        """Returns the packets still inside the encoder; it takes no picture after this."""
        return self._own(self.stream.encode(None))

    def _own(self, packets: list[av.Packet[VideoStream]]) -> list[av.Packet[VideoStream]]:
        for packet in packets:
            packet.stream = self.stream
        return packets


def _fill_i420(frame: av.VideoFrame, planes: Planes, color: ColorSpace) -> None:
    sources = (planes.y, planes.u, planes.v, planes.a)
    for index, plane in enumerate(frame.planes):
        _copy_padded(sources[index], _rows(plane, np.dtype(np.uint8)))


def _copy_padded(source: U8 | None, target: NDArray[np.uint8]) -> None:
    """Copies into the top left; a pixel that is left over repeats the edge. None is opaque."""
    if source is None:
        target[...] = 255
        return
    height, width = source.shape
    np.copyto(target[:height, :width], source)
    _repeat_edge(target, width, height)


def _repeat_edge(target: NDArray[T], width: int, height: int) -> None:
    """Fills what is right of ``width`` and below ``height`` with the last column and row."""
    if width < target.shape[1]:
        target[:height, width:] = target[:height, width - 1 : width]
    if height < target.shape[0]:
        target[height:] = target[height - 1]


def _fill_ten_bit(frame: av.VideoFrame, planes: Planes, color: ColorSpace) -> None:
    """Writes 4:4:4 ten-bit limited range, the only one ProRes players know."""
    luma, chroma, alpha = _ten_bit_tables(color.full_range)
    width, height = planes.size
    targets = [_rows(plane, np.dtype(np.uint16)) for plane in frame.planes]
    for target, source in zip(targets[1:3], (planes.u, planes.v), strict=True):
        np.take(chroma, _double(source)[: target.shape[0], : target.shape[1]], out=target)
    np.take(luma, planes.y, out=targets[0][:height, :width])
    if planes.a is None:
        targets[3][...] = 1023
    else:
        np.take(alpha, planes.a, out=targets[3][:height, :width])
    for target in targets:
        _repeat_edge(target, width, height)


def _double(chroma: U8) -> U8:
    height, width = chroma.shape
    big: U8 = cv2.resize(src=chroma, dsize=(width * 2, height * 2), interpolation=cv2.INTER_LINEAR)
    return big


def _ten_bit_tables(full_range: bool) -> NDArray[np.uint16]:
    """Returns uint16 [3, 256]: luma, chroma, alpha from 8 to 10 bits."""
    levels = np.arange(256, dtype=np.float64)
    alpha = levels * 1023 / 255
    if full_range:
        tables = [64 + levels * 876 / 255, 512 + (levels - 128) * 896 / 255, alpha]
    else:
        tables = [levels * 4, levels * 4, alpha]
    return np.clip(np.rint(tables), 0, 1023).astype(np.uint16)


def _rows(plane: VideoPlane, dtype: np.dtype[T]) -> NDArray[T]:
    """Views a plane of an av frame as [height, width], without its row padding."""
    flat: NDArray[T] = np.frombuffer(memoryview(plane), dtype)
    return flat.reshape(plane.height, -1)[:, : plane.width]
