"""Integer timestamps for frames on their way into a file: exact, and always increasing."""

from __future__ import annotations

import logging
from fractions import Fraction
from math import gcd, lcm

from edgeseg.types import Frame, SourceInfo

log = logging.getLogger(__name__)

IMAGE_FPS = Fraction(25)
"""Pictures a second where neither the source nor its frames say."""

_FINEST = 100_000_000  # ticks a second; containers and codecs store this rate in 32 bits
_FALLBACK = Fraction(1, 90_000)
_RESTART_S = 1


class Stamper:
    """Gives each frame its timestamp in units of ``time_base``.

    A frame's ``pts`` is kept exactly. Without one, a live frame is stamped with the time since the
    first, any other by its index at the source's rate. Timestamps always increase: one that does
    not is moved to the next free tick, and one that falls back by more than a second (a source
    that starts again) continues one frame later.
    """

    def __init__(self, source: SourceInfo) -> None:
        self.fps = source.fps or IMAGE_FPS
        self.time_base = _time_base(source, self.fps)
        self.moved = 0
        self._live = source.live
        self._last: int | None = None
        self._offset = 0
        self._started_at: float | None = None

    def stamp(self, frame: Frame) -> int:
        """Returns the next timestamp, greater than every one before."""
        ticks = round(self._seconds(frame) / self.time_base) + self._offset
        if self._last is not None and ticks <= self._last:
            ticks = self._advance(ticks, self._last)
        self._last = ticks
        return ticks

    @property
    def step(self) -> int:
        """Ticks of one frame at the nominal rate, at least 1."""
        return max(1, round(1 / self.fps / self.time_base))

    def _seconds(self, frame: Frame) -> Fraction:
        if frame.pts is not None:
            return frame.pts
        if not self._live:
            return frame.index / self.fps
        if self._started_at is None:
            self._started_at = frame.captured_at
        return Fraction(frame.captured_at - self._started_at)

    def _advance(self, ticks: int, last: int) -> int:
        self.moved += 1
        if self.moved == 1:
            log.warning("timestamps of the source do not increase; they are moved forward")
        if (last - ticks) * self.time_base <= _RESTART_S:
            return last + 1
        forward = last + self.step - ticks
        self._offset += forward
        return ticks + forward


def _time_base(source: SourceInfo, fps: Fraction) -> Fraction:
    """The source's own unit, refined for pictures without a clock until their rate is exact."""
    base = source.time_base
    if source.path is None and not source.live:
        period = 1 / fps
        base = Fraction(
            gcd(base.numerator, period.numerator), lcm(base.denominator, period.denominator)
        )
    if base.denominator > _FINEST:
        base = source.time_base
    return base if base > 0 and base.denominator <= _FINEST else _FALLBACK
