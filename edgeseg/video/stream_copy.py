"""Sound, subtitles and other streams of the source file, carried over packet by packet."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from edgeseg.types import Size
from edgeseg.video.encoder import VideoTags

AnyPacket: TypeAlias = "av.Packet[Stream]"

log = logging.getLogger(__name__)

_DAMAGE_LIMIT = 100  # failing reads in a row before the rest of the source is given up
_CONTAINER_TAGS = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "location-eng",
    "com.apple.quicktime.location.iso6709",
}  # fmt: skip
_STREAM_TAGS = ("language", "title", "handler_name", "creation_time", "timecode")
_UNKNOWN = 2


class StreamCopy:
    """The streams of a source file that are not its picture, read by a demuxer of its own.

    Pictures are never copied, neither a second camera nor a cover: they would show what an effect
    is there to hide. Packets keep their bytes and their times.
    """

    def __init__(self, path: str) -> None:
        """Opens the source again. Raises av.FFmpegError or OSError when that fails."""
        self._input: InputContainer = av.open(path, metadata_errors="replace")
        pictures = self._input.streams.video
        covers = [s for s in pictures if "attached_pic" in str(s.disposition)]
        self._picture = next((s for s in pictures if s not in covers), None)
        self._targets: dict[int, Any] = {}
        self._unwrap: dict[int, BitStreamFilterContext] = {}
        self._last_dts: dict[int, int] = {}
        self._packets: Iterator[AnyPacket] = iter(())
        self._waiting: AnyPacket | None = None
        self._path = path

    def add_streams(self, output: OutputContainer) -> None:
        """Adds every stream that the container can hold to ``output``, and logs the others once."""
        left_out = []
        for stream in self._input.streams:
            if stream.type == "video":
                if hasattr(stream, "discard"):  # PyAV 17 and later
                    stream.discard = av.stream.Discard.all  # not read from the file
            elif _fits(stream, output):
                self._add(stream, output)
            elif "timecode" not in stream.metadata:  # that is a tag of the picture, too
                left_out.append(f"{stream.type} {_codec_name(stream)}")
        if len(self._input.streams.video) > 1:
            left_out.append("further pictures")
        if left_out:
            log.warning("%s: not carried over: %s", output.format.name, ", ".join(left_out))
        if self._targets:
            self._packets = self._read()

    def _add(self, stream: Any, output: OutputContainer) -> None:
        self._targets[stream.index] = target = output.add_stream_from_template(stream)
        _copy_tags(stream, target)
        if _codec_name(stream) == "aac" and not stream.codec_context.extradata:
            # MPEG-TS wraps AAC in ADTS; FFmpeg unwraps it by itself, but not with delay_moov
            self._unwrap[stream.index] = BitStreamFilterContext("aac_adtstoasc", stream)

    def copy_metadata(self, output: OutputContainer, picture: VideoStream) -> None:
        """Copies title, creation time, place and the like; not rotation, pixels are upright."""
        if self._picture is not None:
            _copy_tags(self._picture, picture)
        tags = {k.lower(): (k, v) for k, v in self._input.metadata.items()}
        apple_place = tags.get("com.apple.quicktime.location.iso6709")
        if apple_place is not None:
            tags.setdefault("location", ("location", apple_place[1]))
        for lower, (key, value) in tags.items():
            if lower not in _CONTAINER_TAGS:
                output.metadata["location" if lower == "location" else key] = value

    def tags(self, *, size: Size, base: VideoTags) -> VideoTags:
        """Returns ``base`` with primaries, transfer and pixel shape of the source's picture."""
        stream = self._picture
        if stream is None:
            return base
        context = stream.codec_context
        aspect = stream.sample_aspect_ratio or None
        turned = context.width != context.height and (context.height, context.width) == size
        return VideoTags(
            base.color,
            primaries=context.color_primaries or _UNKNOWN,
            transfer=context.color_trc or _UNKNOWN,
            aspect=1 / aspect if aspect and turned else aspect,
        )

    def until(self, time: Fraction) -> Iterator[AnyPacket]:
        """Gives the packets that start up to ``time`` (seconds of the source), ready to mux."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = packet
            if packet is None or _start(packet) > time:
                return
            self._waiting = None
            if packet.stream_index in self._targets:
                yield self._retarget(packet)

    def rest(self, end: Fraction) -> Iterator[AnyPacket]:
        """Gives what belongs to a picture that ends at ``end``.

        That is everything when ``end`` is where the source's own picture ends, else up to there.
        """
        own_end = self._picture_end()
        if own_end is not None and end >= own_end:
            return self.until(Fraction(10**9))
        return self.until(end)

    def give_up(self, packet: AnyPacket, why: str) -> None:
        """Stops copying the stream that a packet belongs to, and logs why."""
        for index, target in list(self._targets.items()):
            if target is packet.stream:
                del self._targets[index]
                log.warning("%s: the rest of its %s is lost: %s", self._path, target.type, why)

    def close(self) -> None:
        """Closes the second demuxer."""
        self._packets, self._waiting = iter(()), None
        self._input.close()

    def _picture_end(self) -> Fraction | None:
        """Where the source's picture ends, less half a frame for rounding; None when unknown."""
        stream = self._picture
        if stream is None:
            return None
        margin = 1 / (2 * (stream.average_rate or Fraction(25)))
        if stream.duration is not None and stream.time_base is not None:
            return ((stream.start_time or 0) + stream.duration) * stream.time_base - margin
        if self._input.duration is None:
            return None
        start = self._input.start_time or 0
        return Fraction(start + self._input.duration, av.time_base) - margin

    def _read(self) -> Iterator[AnyPacket]:
        """Gives the packets of the copied streams; damage in the source is stepped over."""
        streams = [self._input.streams[index] for index in self._targets]
        failures = 0
        while failures < _DAMAGE_LIMIT:
            try:
                for packet in self._input.demux(streams):
                    failures = 0
                    if packet.size and (packet.pts is not None or packet.dts is not None):
                        yield from self._filtered(packet)
                return
            except av.EOFError:
                return
            except av.FFmpegError as error:
                failures += 1
                log.debug("%s: %s", self._path, error)
        log.warning("%s: damaged, the rest of its sound and subtitles is lost", self._path)

    def _filtered(self, packet: AnyPacket) -> list[AnyPacket]:
        unwrap = self._unwrap.get(packet.stream_index)
        if unwrap is None:
            return [packet]
        stream = packet.stream
        packets = unwrap.filter(packet)
        for packet in packets:
            packet.stream = stream
        return packets

    def _retarget(self, packet: AnyPacket) -> AnyPacket:
        """Binds a packet to its stream of the output, with a decoding time that increases."""
        index = packet.stream_index
        if packet.dts is None:
            packet.dts = packet.pts
        last = self._last_dts.get(index)
        if last is not None and packet.dts is not None and packet.dts <= last:
            packet.dts = last + 1
        if packet.dts is not None:
            self._last_dts[index] = packet.dts
            packet.pts = max(packet.pts if packet.pts is not None else packet.dts, packet.dts)
        packet.stream = self._targets[index]
        return packet


def _fits(stream: Any, output: OutputContainer) -> bool:
    """Tries whether a container takes a stream, by writing one into memory."""
    options = dict(output.container_options)
    trial = av.open(io.BytesIO(), "w", format=output.format.name, container_options=options)
    try:
        copy = trial.add_stream_from_template(stream)
        trial.start_encoding()
        if stream.type == "data":  # some fail only when they end
            packet = av.Packet(bytes(4))
            packet.pts, packet.dts, packet.time_base = 0, 0, stream.time_base
            packet.stream = copy
            trial.mux_one(packet)
        trial.close()
    except (av.FFmpegError, ValueError, TypeError, AttributeError):
        return False
    return True


def _copy_tags(source: Stream, target: Stream) -> None:
    for key in _STREAM_TAGS:
        if key in source.metadata:
            target.metadata[key] = source.metadata[key]


def _start(packet: AnyPacket) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    assert ticks is not None
    assert packet.time_base is not None
    return ticks * packet.time_base


def _codec_name(stream: Any) -> str:
    context = getattr(stream, "codec_context", None)
    return context.name if context is not None else "of unknown kind"
