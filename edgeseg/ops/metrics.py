"""Segmentation scores from label maps, hand-checkable and free of any model.

Counts are pooled over images first and divided last, so that large and small pictures weigh by
their pixels. The label 255 means "do not score this pixel".
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

IGNORE = 255


def confusion_counts(
    predicted: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int
) -> NDArray[np.int64]:
    """Pixel counts [truth class, predicted class] of two label maps [H, W], ignoring 255."""
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted is {predicted.shape}, truth is {truth.shape}: sizes differ")
    scored = truth != IGNORE
    index = truth[scored].astype(np.int64) * classes + predicted[scored]
    return np.bincount(index, minlength=classes * classes).reshape(classes, classes)


def iou_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class; NaN for a class neither present nor predicted."""
    hit = np.diag(counts)
    return _share(hit, counts.sum(axis=0) + counts.sum(axis=1) - hit)


def dice_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice (F1) of each class; NaN for a class neither present nor predicted."""
    return _share(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def precision_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pixels called a class that are it; NaN for a class never predicted."""
    return _share(np.diag(counts), counts.sum(axis=0))


def recall_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of a class's pixels that were found; NaN for a class that never occurs."""
    return _share(np.diag(counts), counts.sum(axis=1))


def mean_iou(counts: NDArray[np.int64]) -> float:
    """Mean of `iou_per_class` over the classes that occur."""
    ious = iou_per_class(counts)
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def pixel_accuracy(counts: NDArray[np.int64]) -> float:
    """Share of scored pixels with the right class."""
    total = int(counts.sum())
    return float(np.trace(counts) / total) if total else float("nan")


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    share = np.full(len(part), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


@dataclass(frozen=True)
class BoundaryCounts:
    """Boundary pixels matched within the tolerance; add over images, then read `f`."""

    precise: int = 0
    predicted: int = 0
    recalled: int = 0
    truth: int = 0

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """Pool two sets of counts."""
        return BoundaryCounts(
            self.precise + other.precise,
            self.predicted + other.predicted,
            self.recalled + other.recalled,
            self.truth + other.truth,
        )

    @property
    def f(self) -> float:
        """Harmonic mean of boundary precision and recall; NaN without any boundary."""
        total = self.predicted + self.truth
        if not total:
            return float("nan")
        if not (self.precise and self.recalled):
            return 0.0
        precision, recall = self.precise / self.predicted, self.recalled / self.truth
        return 2.0 * precision * recall / (precision + recall)


def mask_boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask [H, W] with a 4-neighbour outside it; the picture's border is none."""
    cross = cv2.getStructuringElement(shape=cv2.MORPH_CROSS, ksize=(3, 3))
    source = mask.astype(np.uint8)
    eroded = cv2.erode(src=source, kernel=cross, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(source != eroded, np.bool_)


def boundary_tolerance_px(height: int, width: int) -> int:
    """DAVIS's tolerance (Perazzi et al. 2016): 0.8 % of the image diagonal, rounded up."""
    return int(np.ceil(0.008 * np.hypot(height, width)))


def boundary_counts(
    predicted: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    label: int = 1,
    tolerance_px: int | None = None,
) -> BoundaryCounts:
    """Match the boundaries of class `label` in two label maps [H, W].

    Boundary pixels inside or next to ignored truth are not counted.
    """
    ignored = cv2.dilate(src=(truth == IGNORE).astype(np.uint8), kernel=_SQUARE).astype(bool)
    return _matched(predicted == label, truth == label, ignored, _reach(truth, tolerance_px))


def boundary_counts_per_class(
    predicted: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    classes: int,
    *,
    tolerance_px: int | None = None,
) -> list[BoundaryCounts]:
    """`boundary_counts` of each class; absent classes cost nothing, small ones little."""
    reach = _reach(truth, tolerance_px)
    ignored = cv2.dilate(src=(truth == IGNORE).astype(np.uint8), kernel=_SQUARE).astype(bool)
    found = []
    for label in range(classes):
        ours, theirs = predicted == label, truth == label
        left, top, width, height = cv2.boundingRect(array=(ours | theirs).view(np.uint8))
        rows = slice(max(top - reach - 1, 0), top + height + reach + 1)
        columns = slice(max(left - reach - 1, 0), left + width + reach + 1)
        part = (rows, columns)
        found.append(
            _matched(ours[part], theirs[part], ignored[part], reach) if width else BoundaryCounts()
        )
    return found


_SQUARE = np.ones((3, 3), np.uint8)


def _reach(truth: NDArray[np.uint8], tolerance_px: int | None) -> int:
    return boundary_tolerance_px(*truth.shape) if tolerance_px is None else tolerance_px


def _matched(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], ignored: NDArray[np.bool_], reach: int
) -> BoundaryCounts:
    side = 2 * reach + 1
    disc = cv2.getStructuringElement(shape=cv2.MORPH_ELLIPSE, ksize=(side, side))
    ours, theirs = mask_boundary(predicted) & ~ignored, mask_boundary(truth) & ~ignored
    near_ours = cv2.dilate(src=ours.astype(np.uint8), kernel=disc).astype(bool)
    near_theirs = cv2.dilate(src=theirs.astype(np.uint8), kernel=disc).astype(bool)
    return BoundaryCounts(
        precise=int((ours & near_theirs).sum()),
        predicted=int(ours.sum()),
        recalled=int((theirs & near_ours).sum()),
        truth=int(theirs.sum()),
    )
