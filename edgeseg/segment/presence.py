"""Is anybody there? Removes hallucinated blobs, and the whole matte in an empty room."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.spec import Thresholds
from edgeseg.types import F32, U8, Frame, Matte, Result

I32 = NDArray[np.int32]

ARRIVE_S = 0.2
"""How long somebody must be seen before an empty picture shows a person again."""
LEAVE_S = 0.5
"""How long nobody must be seen before the picture counts as empty."""
GAP_S = 1.0
"""Frames further apart than this, or running backwards, say nothing about each other."""
LEAVE_FACTOR = 0.5
"""Share of the arrival thresholds' area below which evidence counts as nobody."""
LEAVE_SCORE = 0.05
"""By how much the score may fall below the arrival threshold before it counts as nobody."""
KEEP_SHARE, KEEP_AREA = 0.2, 0.02
"""A separate blob of this share of the largest, or of the picture, is kept wherever it is."""
KEEP_GAP = 0.03
"""A smaller one is kept this near to a large one, as share of the diagonal: a hand, a hat."""
HALO_PX = 3
"""Soft edge removed with a blob, in pixels of the matte."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Share of the picture and mean probability of what was kept."""

    area: float
    score: float


class PresenceGate:
    """A Smoother that only ever turns person into background, so it never uncovers anything.

    The first picture, and one after a cut or a pause, is decided at once. From then on arriving
    and leaving take ``ARRIVE_S`` and ``LEAVE_S`` of stream time with a gap between their
    thresholds, so that weak evidence does not make a person blink. Called from one thread.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next picture is decided at once."""
        self._present: bool | None = None
        self._contrary_s = 0.0
        self._last_s: float | None = None

    def smooth(self, frame: Frame, result: Result) -> Result:
        """Returns the result to draw: cleaned of stray blobs, or nobody (all zero, not present).

        Only mattes are gated; a run may change to a model of another task and back.
        """
        if not isinstance(result, Matte):
            self.reset()
            return result
        now = frame.captured_at if frame.pts is None else float(frame.pts)
        if frame.cut or self._last_s is None or not 0 <= now - self._last_s <= GAP_S:
            self.reset()
        elapsed = 0.0 if self._last_s is None else now - self._last_s
        self._last_s = now
        person, evidence = clean(result)
        self._decide(elapsed, evidence)
        if not self._present:
            return replace(result, person=np.zeros_like(result.person), present=False)
        return result if person is result.person else replace(result, person=person)

    def _decide(self, elapsed_s: float, evidence: _Evidence) -> None:
        """Updates ``_present``: seconds of contrary evidence add up, others take them back."""
        seen = self._is_seen(evidence)
        if self._present is None:
            self._present = seen
        sign = -1 if seen == self._present else 1
        self._contrary_s = max(0.0, self._contrary_s + sign * elapsed_s)
        if self._contrary_s >= (LEAVE_S if self._present else ARRIVE_S):
            self._present, self._contrary_s = seen, 0.0

    def _is_seen(self, evidence: _Evidence) -> bool:
        """Says whether this picture speaks for somebody; easier while somebody is there."""
        area, score = self._thresholds.presence_area, self._thresholds.presence_score
        if self._present:
            area, score = area * LEAVE_FACTOR, score - LEAVE_SCORE
        return evidence.area > 0 and evidence.area >= area and evidence.score >= score


def clean(matte: Matte) -> tuple[F32, _Evidence]:
    """Returns the probability without small blobs far from a large one, and what is left of it.

    The same array comes back when nothing is removed; it is never written to. Measured 0.07 ms at
    128x128 with one blob, 0.2 ms with sixty.
    """
    person = matte.person
    mask: U8 = (person >= matte.threshold).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        image=mask, connectivity=8, ltype=cv2.CV_32S
    )
    areas = stats[:, cv2.CC_STAT_AREA]
    removed = _stray(labels, areas) if count > 2 else np.zeros(0, np.intp)
    if len(removed):
        person, mask = _remove(person, mask, labels, removed, count)
    area = int(cv2.countNonZero(src=mask))
    score = float(cv2.mean(src=person, mask=mask)[0]) if area else 0.0
    return person, _Evidence(area / mask.size, score)


def _stray(labels: I32, areas: I32) -> NDArray[np.intp]:
    """Returns the labels of small blobs that do not come near a large one.

    areas: pixels by label; label 0 is the background.
    """
    largest = int(areas[1:].max())
    is_large = areas >= min(KEEP_SHARE * largest, KEEP_AREA * labels.size)
    is_large[0] = False
    reach = max(1, round(KEEP_GAP * math.hypot(*labels.shape)))
    near = cv2.dilate(
        src=is_large[labels].view(np.uint8), kernel=np.ones((2 * reach + 1,) * 2, np.uint8)
    )
    stays = is_large | (np.bincount(labels[near.view(bool)], minlength=len(areas)) > 0)
    stays[0] = True
    return np.flatnonzero(~stays)


def _remove(
    person: F32, mask: U8, labels: I32, removed: NDArray[np.intp], count: int
) -> tuple[F32, U8]:
    """Zeroes blobs and their soft edge, but nothing of a blob that stays."""
    is_removed = np.zeros(count, np.uint8)
    is_removed[removed] = 1
    blobs: U8 = is_removed[labels]
    kept: U8 = cv2.subtract(src1=mask, src2=blobs)
    side = 2 * HALO_PX + 1
    halo = cv2.dilate(src=blobs, kernel=np.ones((side, side), np.uint8))
    halo[kept.view(bool)] = 0
    cleaned = person.copy()
    cleaned[halo.view(bool)] = 0
    return cleaned, kept
