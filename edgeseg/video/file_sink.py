"""Video files: mp4, mov, mkv and webm that keep time, sound and tags, and survive a killed run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from edgeseg.config import OutputConfig
from edgeseg.errors import SinkError, SinkRefused
from edgeseg.spec import one_line
from edgeseg.types import OutputInfo, Rendered
from edgeseg.video.encoder import KEYFRAME_S, VideoEncoder, VideoTags, choose_codec
from edgeseg.video.fit import letterbox
from edgeseg.video.output_file import OutputFile, refuse_unwritable, write_failed
from edgeseg.video.stamps import Stamper
from edgeseg.video.stream_copy import AnyPacket, StreamCopy

log = logging.getLogger(__name__)

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_HYBRID_SINCE = (62, 12, 0)  # FFmpeg 8.1; with delay_moov, 7.1 and 8.0 overwrite the head


class FileSink:
    """Writes a video file. Implements Sink.

    H.264 in mp4, mov and mkv, VP9 in webm; with alpha ProRes 4444 in mov and VP9 in webm. Nothing
    is on disk before the first frame. While it is written, mp4 and mov are fragmented (at most
    about two seconds are lost when the process is killed); a clean end makes them ordinary files.
    A frame of another size than the first is scaled into it, its shape kept. mkv and webm store
    milliseconds, so times are exact in mp4 and mov only.
    """

    def __init__(self, uri: str, config: OutputConfig | None = None) -> None:
        self._uri = uri
        self._path = Path(uri)
        self._config = config or OutputConfig()
        self._container: OutputContainer | None = None
        self._copy: StreamCopy | None = None
        self._started = False
        self._end = Fraction(0)
        self.written = 0

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return self._uri

    def open(self, info: OutputInfo) -> None:
        """Checks the path and prepares encoder and container; the file comes with a frame.

        Raises SinkRefused.
        """
        suffix = self._path.suffix.lower()
        if suffix not in _FORMATS:
            raise SinkRefused(f"{self._uri}: expected one of {', '.join(_FORMATS)}, got {suffix!r}")
        refuse_unwritable(self._path, source=info.source.path, overwrite=info.overwrite)
        self._info = info
        self._file = OutputFile(self._path)
        try:
            self._prepare(suffix, info)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._release()
            if isinstance(error, SinkRefused):
                raise
            raise SinkRefused(
                f"{self._uri}: no {info.size} video can be written: {one_line(error)}"
            ) from error

    def write(self, item: Rendered) -> None:
        """Encodes and writes a frame. Raises SinkError, when the disk is full for example."""
        if self._container is None:
            raise SinkError(f"{self._uri}: not open")
        if not self._started:
            self._start()
        stamp = self._stamper.stamp(item.frame)
        self._end = (stamp + self._stamper.step) * self._stamper.time_base
        picture = letterbox(item.picture, self._encoder.size, self._info.source.color)
        try:
            self._mux(self._encoder.encode(picture, stamp))
        except (av.FFmpegError, ValueError) as error:
            raise SinkError(f"writing {self._uri} failed: {one_line(error)}") from error
        self._check_disk()
        self.written += 1

    def close(self) -> None:
        """Writes what is still in the encoder and ends the file. Raises SinkError.

        After a failed write it only closes: what is on disk stays playable.
        """
        if self._container is None:
            return
        healthy = self._started and self._file.error is None
        try:
            if healthy:
                self._finish()
        except (av.FFmpegError, ValueError) as error:
            raise SinkError(f"ending {self._uri} failed: {one_line(error)}") from error
        finally:
            self._release()
            if self._file.error is not None:
                self._remove_unless_playable()
        if healthy:
            self._check_disk()

    def _prepare(self, suffix: str, info: OutputInfo) -> None:
        config, source = self._config, info.source
        codec = choose_codec(suffix, config, alpha=info.alpha, live=source.live)
        if codec is None:
            stem = self._path.with_suffix("")
            raise SinkRefused(
                f"{self._uri}: {suffix} cannot carry transparency; "
                f"use {stem}.mov, {stem}.webm or {stem}_%06d.png"
            )
        name = _FORMATS[suffix]
        self._stamper = Stamper(source)
        self._container = av.open(
            self._file,
            "w",
            format=name,
            container_options=_muxer_options(name, self._stamper.time_base),
            buffer_size=1 << 18,
        )
        tags = VideoTags(source.color)
        if source.path is not None:
            tags = self._open_copy(source.path, tags)
        self._encoder = VideoEncoder(
            self._container,
            codec,
            size=info.size,
            fps=self._stamper.fps,
            time_base=self._stamper.time_base,
            threads=config.encode_threads,
            tags=tags,
        )
        if self._encoder.coded != info.size:
            log.info("%s: %s padded to even %s", self._uri, info.size, self._encoder.coded)
        if self._copy is not None:
            self._copy.copy_metadata(self._container, self._encoder.stream)
            if config.audio:
                self._copy.add_streams(self._container)

    def _open_copy(self, path: str, tags: VideoTags) -> VideoTags:
        try:
            self._copy = StreamCopy(path)
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: its sound and tags cannot be read: %s", path, one_line(error))
            return tags
        return self._copy.tags(size=self._info.source.size, base=tags)

    def _start(self) -> None:
        assert self._container is not None
        try:
            self._file.create(overwrite=self._info.overwrite)
            self._started = True
        except FileExistsError as error:
            raise SinkRefused(
                f"{self._path} exists already; add --overwrite to replace it"
            ) from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SinkError(f"{self._uri} cannot be written: {one_line(error)}") from error
        self._check_disk()

    def _mux(self, packets: list[av.Packet[VideoStream]]) -> None:
        """Writes picture packets, each after the other streams' packets up to its time."""
        assert self._container is not None
        for packet in packets:
            if self._copy is not None and packet.dts is not None:
                time = packet.dts * self._stamper.time_base
                self._carry(self._copy.until(time))
            self._container.mux_one(packet)
            self._file.mark()

    def _carry(self, packets: Iterator[AnyPacket]) -> None:
        """Writes packets of the source; one that the container refuses costs only its stream."""
        assert self._container is not None
        assert self._copy is not None
        for packet in packets:
            try:
                self._container.mux_one(packet)
            except (av.FFmpegError, ValueError) as error:
                self._copy.give_up(packet, one_line(error))

    def _finish(self) -> None:
        assert self._container is not None
        self._mux(self._encoder.flush())
        if self._copy is not None:
            self._carry(self._copy.rest(self._end))
        self._container.close()

    def _check_disk(self) -> None:
        if self._file.error is not None:
            kept = f"{self.written} frames are kept, less about the last two seconds"
            raise write_failed(self._path, self._file.error, kept=kept)

    def _remove_unless_playable(self) -> None:
        """Deletes a file whose disk was full before its first fragment was complete."""
        try:
            with av.open(self._path) as container:
                next(container.decode(video=0))
        except (av.FFmpegError, OSError, IndexError, StopIteration):
            self._path.unlink(missing_ok=True)

    def _release(self) -> None:
        """Closes everything; what a muxer still wants to write after a failure is swallowed."""
        container, self._container = self._container, None
        if container is not None:
            try:
                container.close()
            except (av.FFmpegError, ValueError) as error:
                log.debug("%s: %s", self._uri, error)
        if self._copy is not None:
            self._copy.close()
            self._copy = None
        self._file.close()


def _muxer_options(name: str, time_base: Fraction) -> dict[str, str]:
    """Returns muxer options that keep a file playable at any moment while it grows."""
    common = {"flush_packets": "1", "max_interleave_delta": "1000000"}
    if name in ("matroska", "webm"):
        return common | {"cluster_time_limit": "1000"}
    # delay_moov: edit lists keep a start that is not zero; hybrid crashes without it when empty
    flags = "frag_keyframe+delay_moov+default_base_moof"
    if av.library_versions["libavformat"] >= _HYBRID_SINCE:
        flags += "+hybrid_fragmented"
    return common | {
        "movflags": flags,
        "frag_duration": str(KEYFRAME_S * 1_000_000),
        "movie_timescale": str(time_base.denominator),  # a start that is not zero stays exact
    }
