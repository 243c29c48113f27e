"""How much masks flicker: what changes from frame to frame and is not motion of the picture.

Mean over consecutive frames of 1 - IoU(mask_t, warp(mask_t-1)). The warp follows dense optical
flow (DIS, Kroeger et al. 2016) between the two pictures, at low resolution.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import cv2
import numpy as np

from edgeseg.types import F32, U8, Size

FLOW_SIDE = 256
"""Longest side in pixels at which motion is measured and masks are compared."""
OUTSIDE = 255
"""In a warped map: came from outside of the earlier picture, so nothing is known of it."""

_LEAST_SIDE = 16
"""Pictures less wide or high are too small for DIS: taken to stand still."""


class Flicker:
    """Takes frames in order; ``mean`` says how much their masks flickered so far.

    >>> import numpy as np
    >>> flicker, picture = Flicker(), np.zeros((48, 64), np.uint8)
    >>> steady = [flicker.add(picture, np.eye(48, 64, dtype=np.uint8)) for _ in range(3)]
    >>> flicker.mean
    0.0
    """

    def __init__(self, *, background: int | None = 0, side: int = FLOW_SIDE) -> None:
        """background: a label that is no object and not scored, None where every label counts.

        side: longest side at which pictures and masks are compared, in pixels.
        """
        self._ignored = () if background is None else (background,)
        self._side = side
        self._flow = cv2.DISOpticalFlow.create(preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._last: tuple[U8, U8] | None = None
        self._changes: list[float] = []

    @property
    def mean(self) -> float:
        """Mean over the pairs of frames so far, 0 = steady, 1 = nothing stays; NaN without one."""
        return math.fsum(self._changes) / len(self._changes) if self._changes else math.nan

    @property
    def pairs(self) -> int:
        """How many pairs of consecutive frames were compared."""
        return len(self._changes)

    def add(self, luma: U8, labels: U8, *, cut: bool = False) -> float | None:
        """Compares a frame with the one before and returns the change, 0..1.

        luma, labels: uint8 [H, W] each, of any one size; labels are class numbers. cut: this frame
        does not continue the one before. None for the first frame, after a cut and when the
        picture's size changed.
        """
        size = _small(luma, self._side)
        now = _resized(luma, size, cv2.INTER_AREA), _resized(labels, size, cv2.INTER_NEAREST)
        before, self._last = self._last, now
        if before is None or cut or before[0].shape != now[0].shape:
            return None
        change = changed(self._carried(before, now[0]), now[1], ignored=self._ignored)
        self._changes.append(change)
        return change

    def _carried(self, before: tuple[U8, U8], luma: U8) -> U8:
        """Returns the earlier map as the later picture would show it."""
        if min(luma.shape) < _LEAST_SIDE:
            return before[1]
        flow: F32 = self._flow.calc(luma, before[0], None)
        return warped(before[1], flow)


def warped(labels: U8, flow: F32) -> U8:
    """Returns an earlier map uint8 [H, W] as the later picture would show it.

    flow: float32 [H, W, 2], how far (x, y) in pixels each pixel of the later picture lies from
    where it was. ``OUTSIDE`` where it was out of the picture.
    """
    height, width = labels.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    out: U8 = cv2.remap(
        src=labels,
        map1=(columns + flow[..., 0]).astype(np.float32),
        map2=(rows + flow[..., 1]).astype(np.float32),
        interpolation=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    return out


def changed(before: U8, now: U8, *, ignored: Collection[int] = ()) -> float:
    """Returns 1 - IoU of two maps uint8 [H, W], a mean over the classes in either of them.

    ignored: classes that are not scored. Where ``before`` is ``OUTSIDE`` nothing is compared.
    0 where neither map has a class to be scored.
    """
    known = before != OUTSIDE
    before, now = before[known], now[known]
    counts_before = np.bincount(before, minlength=256)
    counts_now = np.bincount(now, minlength=256)
    both = np.bincount(now[before == now], minlength=256)
    union = counts_before + counts_now - both
    union[list(ignored)] = 0
    present = union > 0
    return float(np.mean(1 - both[present] / union[present])) if present.any() else 0.0


def _small(luma: U8, side: int) -> Size:
    height, width = luma.shape
    scale = min(1.0, side / max(height, width))
    return Size(max(round(width * scale), 1), max(round(height * scale), 1))


def _resized(plane: U8, size: Size, interpolation: int) -> U8:
    if (plane.shape[1], plane.shape[0]) == tuple(size):
        return np.array(plane, np.uint8)
    out: U8 = cv2.resize(src=plane, dsize=tuple(size), interpolation=interpolation)
    return out
