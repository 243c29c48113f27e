"""Network streams: RTSP, HTTP, UDP, TCP and whatever else FFmpeg opens by URL."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceError, SourceNotFound
from edgeseg.types import Frame, Size, SourceCounters, SourceInfo
from edgeseg.video.connection import Connection
from edgeseg.video.decode import Decoder, Timeline, Unpacker, orientation_of
from edgeseg.video.transport import backoff_s, masked

log = logging.getLogger(__name__)

_MAX_FPS = 1000


class _Decoded(NamedTuple):
    """A decoded picture, when its last packet arrived, and whether it opens a connection."""

    picture: av.VideoFrame
    arrived_at: float
    first: bool


class StreamSource:
    """Frames of a network stream that reconnects by itself.

    An endless stream is live: its frames carry their time of arrival, and a reader that falls two
    seconds behind is moved to the newest key frame. A stream that breaks off, or falls silent for
    ``stale_s``, is opened again after ``backoff_s`` and twice that each time, until ``reconnect``
    attempts in a row brought no frame; the first frame after that is marked as a cut, and times
    run on by the clock. A file behind a URL is read to its end like a file.

    >>> source = StreamSource(SourceConfig(uri="rtsp://camera/live"))  # doctest: +SKIP
    >>> while (frame := source.read()) is not None:  # doctest: +SKIP
    ...     print(frame.index, frame.pts, source.counters.reconnects)
    """

    def __init__(self, config: SourceConfig) -> None:
        """Connects and decodes the first frame.

        Raises:
            SourceNotFound: no connection within ``timeout_s``, or no video behind the URL.
        """
        self._config = config
        self._name = masked(config.uri)
        self._counters = SourceCounters()
        self._interrupted = threading.Event()
        self._lock = threading.Lock()
        self._opened = False
        self._failures = 0  # attempts in a row that brought no frame
        self._index = 0
        self._last_at = 0.0
        self._untimed = False
        self._unpack = Unpacker()
        self._connection = Connection(config, self._counters)
        try:
            self._pictures = self._play()
            first = self._first()
            self._orientation = orientation_of(first.picture)
            self._info = self._describe(first.picture)
        except BaseException:
            self._connection.close()
            raise
        self._pending: _Decoded | None = first
        self._timeline = Timeline(tick=self._info.time_base)

    @property
    def info(self) -> SourceInfo:
        """What the stream said when it was first opened; a password in the URL is masked."""
        return self._info

    @property
    def counters(self) -> SourceCounters:
        """Reconnects, damage, and packets skipped for a slow reader so far."""
        return self._counters

    def read(self) -> Frame | None:
        """Returns the next frame; None at the end of a file or after ``interrupt``.

        Raises:
            SourceError: the stream was lost and did not come back.
        """
        limit = self._config.max_frames
        if self._interrupted.is_set() or (limit is not None and self._index >= limit):
            return None
        decoded, self._pending = self._pending, None
        if decoded is None:
            decoded = next(self._pictures, None)
        return None if decoded is None else self._frame(decoded)

    def interrupt(self) -> None:
        """Ends the stream for the reader, from any thread, also while it connects or waits."""
        self._interrupted.set()
        with self._lock:
            self._connection.abort()

    def close(self) -> None:
        """Ends the connection."""
        self.interrupt()
        self._pictures = iter(())
        self._connection.close()

    def _frame(self, decoded: _Decoded) -> Frame:
        picture = decoded.picture
        planes, color = self._unpack(picture)
        cut = decoded.first and self._index > 0
        if cut:
            self._counters.reconnects += 1
            self._orientation = orientation_of(picture)
            self._timeline.continue_after(decoded.arrived_at - self._last_at)
        pts = None if self._connection.clockless else self._place(picture)
        self._last_at = decoded.arrived_at
        frame = Frame(
            planes=self._orientation.apply(planes),
            index=self._index,
            captured_at=decoded.arrived_at if self._info.live else time.perf_counter(),
            pts=pts,
            color=color,
            cut=cut,
            owner=picture,
        )
        self._index += 1
        return frame

    def _place(self, picture: av.VideoFrame) -> Fraction | None:
        pts = _seconds(picture)
        if self._index == 0:
            self._untimed = pts is None  # RTSP often has no time for its first frame
            pts = pts or Fraction(0)
        elif self._untimed:
            self._untimed = False
            self._timeline.continue_after(float(1 / (self._info.fps or 30)))
        return self._timeline.place(pts)

    def _first(self) -> _Decoded:
        try:
            first = next(self._pictures, None)
        except SourceError as error:
            raise SourceNotFound(str(error)) from error
        if first is None:
            raise SourceNotFound(f"{self._name}: it ended before its first picture")
        return first

    def _play(self) -> Iterator[_Decoded]:
        """Yields pictures over reconnects until the end, an interruption, or the last attempt."""
        while True:
            connection = self._connection
            yield from self._decode(connection)
            if self._interrupted.is_set() or connection.finished:
                return
            self._give_up_or_wait(connection)
            connection.close()
            with self._lock:
                if self._interrupted.is_set():
                    return
                self._connection = Connection(self._config, self._counters)

    def _decode(self, connection: Connection) -> Iterator[_Decoded]:
        """Yields one connection's pictures; a live one ends when none came for ``stale_s``."""
        if not connection.wait_open(self._config.timeout_s):
            return
        assert connection.stream is not None
        decoder = Decoder(
            connection.stream,
            self._counters,
            threads=self._config.decode_threads,
            low_delay=connection.live,
        )
        first, deadline = True, time.monotonic() + self._config.timeout_s
        while True:
            left = deadline - time.monotonic() if connection.live else None
            item = None if left is not None and left <= 0 else connection.take(left)
            if item is None:
                return
            packet, arrived_at = item
            for picture in decoder.feed(packet):
                self._failures, self._opened = 0, True
                yield _Decoded(picture, arrived_at, first)
                first, deadline = False, time.monotonic() + self._config.stale_s

    def _give_up_or_wait(self, connection: Connection) -> None:
        """Pauses before the next attempt. Raises SourceError when there is none."""
        why = connection.why()
        if not self._opened:
            raise SourceError(f"{self._name}: cannot be opened: {why}")
        if not connection.live:
            raise SourceError(f"{self._name}: lost after {self._index} frames: {why}")
        if self._failures >= self._config.reconnect:
            raise SourceError(
                f"{self._name}: lost after {self._index} frames and not back after "
                f"{self._failures} attempts: {why}"
            )
        log.info("%s: %s; connecting again", self._name, why)
        self._interrupted.wait(backoff_s(self._config, self._failures))
        self._failures += 1

    def _describe(self, first: av.VideoFrame) -> SourceInfo:
        stream = self._connection.stream
        assert stream is not None
        rate = stream.average_rate or stream.guessed_rate
        fps = rate if rate and rate < _MAX_FPS else None
        size = Size(first.width, first.height)
        _planes, color = self._unpack(first)
        return SourceInfo(
            uri=self._name,
            size=Size(*reversed(size)) if self._orientation.transposed else size,
            fps=fps,
            frames=self._expected(fps),
            live=self._connection.live,
            time_base=stream.time_base or Fraction(1, 90_000),
            color=color,
            notes=(f"{stream.codec_context.name}, {first.format.name}",),
        )

    def _expected(self, fps: Fraction | None) -> int | None:
        limit, container = self._config.max_frames, self._connection.container
        if container is None or not container.duration or fps is None:
            return limit
        lasting = round(Fraction(container.duration, av.time_base) * fps)
        return lasting if limit is None else min(lasting, limit)


def _seconds(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base
