"""Video files: every frame of an intact one, upright, with its exact time; damage is survived."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
from av.stream import Disposition

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceNotFound
from edgeseg.types import Frame, Size, SourceCounters, SourceInfo
from edgeseg.video.decode import Decoder, Orientation, Timeline, Unpacker, demux, orientation_of

log = logging.getLogger(__name__)

_TEXT_FORMATS = frozenset({"tty", "srt", "ass", "webvtt"})  # FFmpeg would "play" some of these


class FileSource:
    """Frames of one video file, as fast as they are asked for, or paced as if they were live.

    ``frame.pts`` is the file's own time in seconds, its start offset and variable rate kept.
    With ``loop`` the file repeats for ever: times run on and the first frame of a repetition is
    marked as a cut.

    >>> source = FileSource(SourceConfig(uri="clip.mp4"))  # doctest: +SKIP
    >>> while (frame := source.read()) is not None:  # doctest: +SKIP
    ...     print(frame.index, frame.pts, frame.planes.y.shape)
    >>> source.close()  # doctest: +SKIP
    """

    def __init__(self, config: SourceConfig) -> None:
        """Opens the file and decodes its first frame.

        Raises:
            SourceNotFound: the file is missing, empty, damaged beyond reading, or no video.
        """
        self._config = config
        self._counters = SourceCounters()
        self._interrupted = threading.Event()
        self._unpack = Unpacker()
        self._index = 0
        self._cut = False
        self._started_at = 0.0
        self._container, self._stream = _open(config.uri)
        try:
            self._frames = self._decode()
            self._pending = next(self._frames, None)
            if self._pending is None:
                raise SourceNotFound(
                    f"{config.uri}: no picture could be decoded from its {_codec(self._stream)} "
                    "stream; the file is damaged, try playing it or copy it again"
                )
            self._orientation = orientation_of(self._pending)
            self._info = self._describe(self._pending)
        except BaseException:
            self._container.close()
            raise
        self._timeline = Timeline(tick=self._info.time_base)

    @property
    def info(self) -> SourceInfo:
        """What the file holds; ``frames`` is estimated where the container does not say."""
        return self._info

    @property
    def counters(self) -> SourceCounters:
        """Damage so far."""
        return self._counters

    def read(self) -> Frame | None:
        """Returns the next frame, None at the end or after ``interrupt``."""
        limit = self._config.max_frames
        if self._interrupted.is_set() or (limit is not None and self._index >= limit):
            return None
        decoded = self._next()
        if decoded is None:
            return None
        planes, color = self._unpack(decoded)
        pts = self._timeline.place(_seconds(decoded))
        if self._config.paced and not self._wait_until_due(pts):
            return None
        frame = Frame(
            planes=self._orientation.apply(planes),
            index=self._index,
            captured_at=time.perf_counter(),
            pts=pts,
            color=color,
            cut=self._cut,
            owner=decoded,
        )
        self._index += 1
        self._cut = False
        return frame

    def interrupt(self) -> None:
        """Ends the stream for the reader, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Releases the file; frames that were read stay valid."""
        self._interrupted.set()
        self._frames = iter(())
        self._container.close()

    def _next(self) -> av.VideoFrame | None:
        pending, self._pending = self._pending, None
        if pending is None:
            pending = next(self._frames, None)
        if pending is None and self._config.loop and self._index and not self._stopped():
            self._container.close()
            self._container, self._stream = _open(self._config.uri)
            self._frames = self._decode()
            self._timeline.continue_after()
            self._cut = True
            pending = next(self._frames, None)
        return pending

    def _stopped(self) -> bool:
        return self._interrupted.is_set()

    def _decode(self) -> Iterator[av.VideoFrame]:
        decoder = Decoder(self._stream, self._counters, threads=self._config.decode_threads)
        for packet in demux(self._container, self._stream, self._counters):
            yield from decoder.feed(packet)
        missing = _indexed(self._container, self._stream) - decoder.packets
        if missing > 0:
            self._counters.damaged += missing
            log.warning("%s: the file ends %d frames early", self._config.uri, missing)

    def _wait_until_due(self, pts: Fraction | None) -> bool:
        """Sleeps until a frame's presentation time; False when interrupted."""
        now = time.perf_counter()
        if self._index == 0:
            self._started_at = now - float(pts or 0)
        fps = self._info.fps or 25
        due = self._started_at + float(self._index / fps if pts is None else pts)
        return due <= now or not self._interrupted.wait(due - now)

    def _describe(self, first: av.VideoFrame) -> SourceInfo:
        stream, config = self._stream, self._config
        rate = stream.average_rate or stream.guessed_rate
        fps = rate if rate else None
        _planes, color = self._unpack(first)
        return SourceInfo(
            uri=config.uri,
            size=_upright(Size(first.width, first.height), self._orientation),
            fps=fps,
            frames=_count(self._container, stream, fps, config),
            live=config.paced,
            time_base=stream.time_base or Fraction(1, 90_000),
            color=color,
            path=config.uri,
            notes=_notes(stream, first, self._orientation),
        )


def _open(uri: str) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Opens a file and picks its video stream, never a cover picture."""
    if not os.path.isfile(uri):
        raise SourceNotFound(f"{uri}: no such file")
    if os.path.getsize(uri) == 0:
        raise SourceNotFound(f"{uri}: the file is empty (0 bytes)")
    try:
        container = av.open(uri, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise SourceNotFound(f"{uri}: {_why(uri, error)}") from error
    try:
        return container, _video_stream(container, uri)
    except SourceNotFound:
        container.close()
        raise


def _why(uri: str, error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.PermissionError):
        return "not readable by this user; check its permissions"
    if not isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return f"cannot be opened: {error.strerror}"
    with open(uri, "rb") as file:
        box = file.read(12)[4:8]
    if box in {b"ftyp", b"mdat", b"moov", b"free", b"wide", b"skip"}:
        return "this MP4 or MOV is cut off or damaged: its index (moov) is missing or unreadable"
    if isinstance(error, av.error.EOFError):
        return "it ends before its first picture; the file is cut off, copy it again"
    return "not a video file that FFmpeg knows"


def _video_stream(container: av.container.InputContainer, uri: str) -> av.VideoStream:
    if container.format.name in _TEXT_FORMATS:
        raise SourceNotFound(f"{uri}: a text file, not a video")
    videos = [s for s in container.streams.video if not _is_cover(s)]
    if not videos:
        kinds = {"a cover picture" if s.type == "video" else str(s.type) for s in container.streams}
        held = f"only {' and '.join(sorted(kinds))}" if kinds else "it has no streams at all"
        raise SourceNotFound(f"{uri}: no video in this file, {held}")
    stream = videos[0]
    if stream.codec_context is None:
        raise SourceNotFound(f"{uri}: this FFmpeg has no decoder for its video codec")
    return stream


def _indexed(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Returns how many packets an MP4's index lists (edit lists applied), 0 where unknown."""
    if "mp4" not in container.format.name:
        return 0  # other containers list key frames only, or chunks that may be empty
    return len(getattr(stream, "index_entries", ()))


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _codec(stream: av.VideoStream) -> str:
    return stream.codec_context.name


def _upright(size: Size, orientation: Orientation) -> Size:
    return Size(size.height, size.width) if orientation.transposed else size


def _seconds(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _count(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    fps: Fraction | None,
    config: SourceConfig,
) -> int | None:
    """Returns how many frames to expect; what the container says, or duration times rate."""
    expected: int | None = stream.frames or None
    lasting = _duration_s(container, stream)
    if fps is not None and lasting is not None:
        by_time = round(lasting * fps)
        if expected is None or expected - by_time > 1:  # an edit list hides frames
            expected = by_time
    if config.loop:
        return config.max_frames
    if config.max_frames is not None:
        return config.max_frames if expected is None else min(expected, config.max_frames)
    return expected


def _duration_s(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _notes(
    stream: av.VideoStream, first: av.VideoFrame, orientation: Orientation
) -> tuple[str, ...]:
    notes = [f"{_codec(stream)}, {first.format.name}"]
    if any(orientation):
        notes.append("turned upright as its rotation metadata says")
    return tuple(notes)
