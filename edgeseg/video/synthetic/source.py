"""SyntheticSource: drawn pictures with their ground truth, as a source."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from fractions import Fraction

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceError
from edgeseg.types import Frame, Size, SourceCounters, SourceInfo
from edgeseg.video.synthetic.film import Film
from edgeseg.video.synthetic.options import SyntheticOptions, parse_uri

_LARGEST_DENOMINATOR = 86_400


class SyntheticSource:
    """Gives the frames of a ``synthetic://`` address; see the package's documentation.

    The configuration's size and fps hold where the address names none, ``paced`` adds to it,
    ``max_frames`` shortens it, and ``loop`` lets it go on beyond ``frames``.

    >>> source = SyntheticSource.of("synthetic://shapes?size=64x48&frames=2")
    >>> [frame.index for frame in iter(source.read, None)]
    [0, 1]
    >>> source.close()

    Raises: SourceNotFound for an unknown scene, ConfigError for a wrong option or value.
    """

    def __init__(self, config: SourceConfig) -> None:
        self._uri = uri = config.uri
        self._options = options = _resolve(config)
        self._film: Film | None = Film(options)
        self._labels = self._film.labels
        self._stopped = threading.Event()
        self._next = 0
        self._started_at: float | None = None
        self._counters = SourceCounters()
        self._info = SourceInfo(
            uri=uri,
            size=options.size,
            fps=options.fps,
            frames=options.frames or None,
            live=options.paced,
            time_base=1 / options.fps,
        )

    @staticmethod
    def of(uri: str) -> SyntheticSource:
        """Opens an address with nothing else configured."""
        return SyntheticSource(SourceConfig(uri=uri))

    @property
    def info(self) -> SourceInfo:
        """Size, rate and length as asked for; live when paced."""
        return self._info

    @property
    def counters(self) -> SourceCounters:
        """``duplicated`` counts the repeats given so far."""
        return self._counters

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels in ``Frame.truth``, in order."""
        return self._labels

    def read(self) -> Frame | None:
        """Returns the next frame, None at the end and once interrupted or closed.

        Raises: SourceError at the frame named by ``fail``, and at every read after it.
        """
        index, options = self._next, self._options
        ended = options.frames and index >= options.frames
        if ended or self._film is None or self._stopped.is_set():
            return None
        failed = index == options.fail
        picture = None if failed else self._film.picture(index)
        if self._stopped.wait(self._pause(index)):
            return None
        if picture is None:
            raise SourceError(f"{self._uri}: failed at frame {index}, as fail={index} asks for")
        self._next += 1
        self._counters.duplicated += index in options.repeats
        return Frame(
            planes=picture.planes,
            index=index,
            captured_at=time.perf_counter(),
            pts=index / options.fps,
            truth=picture.truth,
            cut=index in options.cuts,
        )

    def interrupt(self) -> None:
        """Ends a waiting read at once; it and all later ones return None."""
        self._stopped.set()

    def close(self) -> None:
        """Releases the scene."""
        self._stopped.set()
        self._film = None

    def _pause(self, index: int) -> float:
        """Returns the seconds until a frame is due: its stall, after its time when paced."""
        stall = self._options.stalls.get(index, 0.0)
        if not self._options.paced:
            return stall
        now = time.perf_counter()
        if self._started_at is None:
            self._started_at = now
        due = self._started_at + float(index / self._options.fps)
        return max(0.0, due + stall - now)


def _resolve(config: SourceConfig) -> SyntheticOptions:
    """Returns the address's options with what else is configured."""
    defaults: dict[str, Size | Fraction] = {}
    if config.size is not None:
        defaults["size"] = config.size
    if config.fps is not None:
        # 29.97002997 means 30000/1001; no rate below one frame in a day is of use.
        rate = Fraction(str(config.fps)).limit_denominator(_LARGEST_DENOMINATOR)
        defaults["fps"] = max(rate, Fraction(1, _LARGEST_DENOMINATOR))
    options = parse_uri(config.uri, defaults)
    frames = 0 if config.loop else options.frames
    limits = [n for n in (frames, config.max_frames) if n]
    return replace(options, frames=min(limits, default=0), paced=options.paced or config.paced)
