"""One connection to a network stream: a thread that opens it and queues its packets."""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections import deque
from typing import TypeAlias

import av
import av.error

from edgeseg.config import SourceConfig
from edgeseg.errors import EdgesegError, SourceError
from edgeseg.types import SourceCounters
from edgeseg.video.http_reader import HttpReader
from edgeseg.video.transport import FailsOnce, Lifeline, TcpReader, UdpReader, masked

log = logging.getLogger(__name__)

Packet: TypeAlias = "av.Packet[av.VideoStream]"
Reader: TypeAlias = HttpReader | TcpReader | UdpReader

_QUEUED = 240
"""Packets a slow reader may fall behind before a live stream skips to the next key frame."""

_BEHIND_S = 2.0
"""Age of the next packet at which a live stream skips to the newest key frame at hand."""

_KEYLESS = 300
"""Packets after which a stream that never marks a key frame is decoded anyway."""

_RTSP_POLL_S = 1.0
_JOIN_S = 2.0
_IO_BUFFER = 1 << 16  # holds the largest datagram
_PROBING = {"analyzeduration": "500000"}  # us; an RTSP stream opens in 0.7 s instead of 2.0 s
_PLAYLISTS = (".m3u8", ".mpd")
_PLAYLIST_TYPES = frozenset(
    {
        "application/dash+xml",
        "application/vnd.apple.mpegurl",
        "application/x-mpegurl",
        "audio/mpegurl",
    }
)
_CLOCKLESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "jpeg_pipe", "m4v"})


class Connection:
    """Packets of the first video stream of a URL, ready when ``opened`` is set.

    live: the stream has no known end. clockless: its timestamps are invented by the demuxer.
    finished: a stream that is not live came to its end. error: what ended it otherwise.
    """

    def __init__(self, config: SourceConfig, counters: SourceCounters) -> None:
        self.stream: av.VideoStream | None = None
        self.container: av.container.InputContainer | None = None
        self.live = True
        self.clockless = False
        self.finished = False
        self.error: BaseException | None = None
        self._config = config
        self._counters = counters
        self._lifeline = Lifeline()
        self._reader: Reader | None = None
        self._changed = threading.Condition()
        self._queue: deque[tuple[Packet, float]] = deque()
        self._skipping = True  # until a key frame
        self._skipped = 0
        self._ended = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="stream reader", daemon=True)
        self._thread.start()

    def wait_open(self, timeout_s: float) -> bool:
        """Waits until the streams are known; False when that failed, was aborted or took long."""
        with self._changed:
            self._changed.wait_for(self._settled, timeout_s)
            return self.stream is not None and not self._lifeline.aborted

    def take(self, timeout_s: float | None) -> tuple[Packet, float] | None:
        """Returns the next packet and when it arrived; None when there is none in time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._queue or self._ended or self._lifeline.aborted, timeout_s
            )
            if not self._queue or self._lifeline.aborted:
                return None
            if self.live and time.perf_counter() - self._queue[0][1] > _BEHIND_S:
                self._skip_to_newest_key()
            item = self._queue.popleft()
            self._changed.notify_all()
            return item

    def why(self) -> str:
        """Returns what ended the connection, for people."""
        with self._changed:
            return reason(self.error) if self._ended else "it fell silent"

    def abort(self) -> None:
        """Ends the connection from any thread; a blocked ``take`` returns at once."""
        self._lifeline.abort()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the connection and releases everything; its packets must not be decoded after."""
        self.abort()
        self._thread.join(_JOIN_S)
        with self._changed:
            self._abandoned = not self._ended
        if self._abandoned:
            log.warning(
                "%s: stuck in the network; released once it answers", masked(self._config.uri)
            )
        else:
            self._release()

    def _release(self) -> None:
        self._queue.clear()
        if self.container is not None:
            self.container.close()
        if self._reader is not None:
            self._reader.close()

    def _settled(self) -> bool:
        return self.stream is not None or self._ended or self._lifeline.aborted

    def _run(self) -> None:
        try:
            self.container = self._open()
            self._pump(self.container)
        except (OSError, EdgesegError, av.error.FFmpegError, http.client.HTTPException) as error:
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                abandoned = self._abandoned
                self._changed.notify_all()
            if abandoned:
                self._release()

    def _open(self) -> av.container.InputContainer:
        config, scheme = self._config, self._config.uri.partition("://")[0].lower()
        if scheme in {"http", "https"} and not _is_playlist(config.uri):
            self._reader = HttpReader(config, self._counters, self._lifeline)
        elif scheme == "tcp":
            self._reader = TcpReader(config, self._lifeline)
        elif scheme == "udp":
            self._reader = UdpReader(config, self._lifeline)
        kind = getattr(self._reader, "content_type", "")
        if self._reader is not None and kind in _PLAYLIST_TYPES:
            self._reader.close()
            self._reader = None
        if self._reader is None:
            return self._open_by_ffmpeg(scheme)
        return av.open(
            FailsOnce(self._reader),
            mode="r",
            format="mpjpeg" if kind == "multipart/x-mixed-replace" else None,
            buffer_size=_IO_BUFFER,
            options=_PROBING,
            metadata_errors="replace",
        )

    def _open_by_ffmpeg(self, scheme: str) -> av.container.InputContainer:
        rtsp = scheme in {"rtsp", "rtsps"}
        begun = time.monotonic()
        # Over UDP lost packets show as smear. Not "nobuffer": it throws the first key frame away.
        try:
            return av.open(
                self._config.uri,
                mode="r",
                options={**_PROBING, "rtsp_transport": "tcp"} if rtsp else {},
                timeout=(self._config.timeout_s, _RTSP_POLL_S if rtsp else self._config.stale_s),
                metadata_errors="replace",
            )
        except av.error.InvalidDataError as error:
            # FFmpeg may take the silence at which it was interrupted for a broken answer.
            if time.monotonic() - begun >= self._config.timeout_s:
                raise TimeoutError("no answer in time") from error
            raise

    def _pump(self, container: av.container.InputContainer) -> None:
        if not container.streams.video:
            raise SourceError("there is no video in it")
        stream = container.streams.video[0]
        length = getattr(self._reader, "length", None)
        with self._changed:
            self.live = length is None and not (container.duration or 0) > 0
            self.clockless = self.live and container.format.name in _CLOCKLESS
            self.stream = stream
            self._changed.notify_all()
        heard_at = time.monotonic()
        while not self._lifeline.aborted:
            try:
                for packet in container.demux(stream):
                    heard_at = time.monotonic()
                    self._post(packet)
                    self._lifeline.check()
            except av.error.ExitError:
                # RTSP is polled: a read that timed out between packets can be repeated.
                if time.monotonic() - heard_at > self._config.stale_s:
                    raise TimeoutError("silent") from None
                continue
            self.finished = not self.live
            return

    def _post(self, packet: Packet) -> None:
        with self._changed:
            if self.live:
                if len(self._queue) >= _QUEUED:
                    self._counters.dropped += len(self._queue)
                    self._queue.clear()
                    self._skipping, self._skipped = True, 0
                if self._skip(packet):
                    return
            else:
                self._changed.wait_for(lambda: len(self._queue) < _QUEUED or self._lifeline.aborted)
            self._queue.append((packet, time.perf_counter()))
            self._changed.notify_all()

    def _skip_to_newest_key(self) -> None:
        """Drops what came before the newest key frame, such as while a model was loading."""
        keys = [i for i, (packet, _) in enumerate(self._queue) if packet.is_keyframe]
        for _ in range(keys[-1] if keys else 0):
            self._queue.popleft()
            self._counters.dropped += 1

    def _skip(self, packet: Packet) -> bool:
        """Tells whether a packet of a live stream cannot be decoded yet."""
        if self._skipping and (packet.is_keyframe or self._skipped >= _KEYLESS):
            self._skipping = False
        self._skipped += self._skipping
        return self._skipping and packet.size > 0


def reason(error: BaseException | None) -> str:
    """Returns why a connection ended, for people."""
    if error is None:
        return "the server ended the stream"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be verified: {error.verify_message}"
    if isinstance(error, TimeoutError | av.error.ExitError):
        return "no answer in time"
    if isinstance(error, av.error.InvalidDataError):
        return "what it sends is not a video stream that FFmpeg knows"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)


def _is_playlist(uri: str) -> bool:
    return uri.partition("?")[0].partition("#")[0].endswith(_PLAYLISTS)
