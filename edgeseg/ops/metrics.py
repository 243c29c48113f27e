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
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hit
    iou = np.full(len(hit), np.nan)
    np.divide(hit, union, out=iou, where=union > 0)
    return iou


def dice_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Dice (F1) of each class; NaN for a class neither present nor predicted."""
    hit = np.diag(counts).astype(np.float64)
    total = (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.float64)
    dice = np.full(len(hit), np.nan)
    np.divide(2.0 * hit, total, out=dice, where=total > 0)
    return dice


def mean_iou(counts: NDArray[np.int64]) -> float:
    """Mean of `iou_per_class` over the classes that occur."""
    ious = iou_per_class(counts)
    return float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def pixel_accuracy(counts: NDArray[np.int64]) -> float:
    """Share of scored pixels with the right class."""
    total = int(counts.sum())
    return float(np.trace(counts) / total) if total else float("nan")


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
    if tolerance_px is None:
        tolerance_px = boundary_tolerance_px(*truth.shape)
    side = 2 * tolerance_px + 1
    disc = cv2.getStructuringElement(shape=cv2.MORPH_ELLIPSE, ksize=(side, side))
    square = np.ones((3, 3), np.uint8)
    ignored = cv2.dilate(src=(truth == IGNORE).astype(np.uint8), kernel=square).astype(bool)
    ours = mask_boundary(predicted == label) & ~ignored
    theirs = mask_boundary(truth == label) & ~ignored
    near_ours = cv2.dilate(src=ours.astype(np.uint8), kernel=disc).astype(bool)
    near_theirs = cv2.dilate(src=theirs.astype(np.uint8), kernel=disc).astype(bool)
    return BoundaryCounts(
        precise=int((ours & near_theirs).sum()),
        predicted=int(ours.sum()),
        recalled=int((theirs & near_ours).sum()),
        truth=int(theirs.sum()),
    )
