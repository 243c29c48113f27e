"""Two runs of one model on the same frames: how far apart scores and decisions are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeseg.evaluate.scoring import number, ratio
from edgeseg.ops.instances import cutoff, object_mask, object_rect
from edgeseg.ops.labels import best_class, label_map
from edgeseg.ops.metrics import confusion_counts, iou_per_class
from edgeseg.protocols import Tensor
from edgeseg.types import U8, Instances, Matte, Result, SemanticMap, Size

CLASSES = 256
LEAST_SHARE = 0.001
"""Share of the reference's pixels from which a class counts in ``iou``: a few pixels are chance."""
MATCH = 0.5
"""Mask IoU from which two objects of one class are the same one."""


@dataclass(slots=True)
class Scores:
    """Differences of one output tensor over all frames."""

    largest: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        """Adds a frame; tensors of different shape differ infinitely."""
        if ours.shape != theirs.shape:
            self.largest = float("inf")
            return
        apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        self.largest = max(self.largest, float(apart.max(initial=0.0)))
        self.total += float(apart.sum())
        self.count += apart.size

    @property
    def mean(self) -> float:
        """Mean absolute difference; NaN of nothing."""
        return self.total / self.count if self.count else float("nan")


@dataclass(slots=True)
class Objects:
    """Objects that are the same, and those only one of the two found."""

    same: int = 0
    iou: float = 0.0
    ours_only: int = 0
    theirs_only: int = 0

    @property
    def quality(self) -> float | None:
        """Panoptic quality (Kirillov et al. 2019): sum of IoU over matches and half the rest."""
        return ratio(self.iou, self.same + (self.ours_only + self.theirs_only) / 2)


@dataclass(slots=True)
class Comparison:
    """Of a run with the reference, over all frames so far."""

    task: str
    outputs: dict[str, Scores] = field(default_factory=dict)
    objects: Objects = field(default_factory=Objects)
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((CLASSES, CLASSES), np.int64)
    )

    def add_scores(self, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
        """Adds a frame's output tensors, by name."""
        for name, reference in theirs.items():
            self.outputs.setdefault(name, Scores()).add(ours[name], reference)

    def add_result(self, ours: Result, theirs: Result) -> None:
        """Adds a frame's decisions."""
        found = decisions(ours)
        reference = decisions(theirs, Size(found.shape[1], found.shape[0]))
        self.counts += confusion_counts(found, reference, CLASSES)
        if isinstance(ours, Instances) and isinstance(theirs, Instances):
            _match(ours, theirs, self.objects)

    @property
    def agreement(self) -> float | None:
        """Share of pixels with the same class."""
        return ratio(float(np.trace(self.counts)), float(self.counts.sum()))

    @property
    def iou(self) -> float | None:
        """Mean IoU with the reference over its classes but a background; 1 where both have none."""
        first = 0 if self.task == "semantic" else 1
        share = self.counts.sum(axis=1) / max(int(self.counts.sum()), 1)
        counted = (share >= LEAST_SHARE) & (np.arange(CLASSES) >= first)
        ious = iou_per_class(self.counts)[counted]
        if ious.size:
            return number(float(ious.mean()))
        return 1.0 if self.agreement == 1.0 else 0.0

    @property
    def judged(self) -> float | None:
        """What the tolerance is for: the quality of objects, else ``iou``."""
        if self.task != "instance":
            return self.iou
        nothing = not (self.objects.same or self.objects.ours_only or self.objects.theirs_only)
        return 1.0 if nothing else self.objects.quality


def decisions(result: Result, size: Size | None = None) -> U8:
    """Returns the class of each place, uint8 [h, w], as finely as the network decides it.

    Not at frame size: what is decided on a GPU has no scores to enlarge before deciding. size: of
    another such result, to which scores are enlarged where that was decided more finely.
    """
    if isinstance(result, Matte):
        person: U8 = (result.person >= np.float32(result.threshold)).astype(np.uint8)
        return person
    if not isinstance(result, SemanticMap):
        return label_map(result)
    if result.scores is None or size is None or size[::-1] == result.labels.shape:
        return result.labels
    return best_class(result.scores, size=size)


def _match(ours: Instances, theirs: Instances, found: Objects) -> None:
    """Pairs objects of one class by mask IoU; above one half each has at most one partner."""
    ours_masks = [_mask(ours, n) for n in range(len(ours))]
    free = set(range(len(ours)))
    for n in range(len(theirs)):
        mask = _mask(theirs, n)
        same = [k for k in free if ours.labels[k] == theirs.labels[n]]
        ious = {k: _iou(ours_masks[k], mask) for k in same}
        best = max(ious, key=lambda k: ious[k], default=None)
        if best is None or ious[best] <= MATCH:
            found.theirs_only += 1
            continue
        free.remove(best)
        found.same += 1
        found.iou += ious[best]
    found.ours_only += len(free)


def _mask(result: Instances, index: int) -> NDArray[np.bool_]:
    size = result.frame_size
    mask = np.zeros((size.height, size.width), np.bool_)
    rect = object_rect(result, index, size)
    if rect is not None:
        inside = object_mask(result, index, rect) > cutoff(result.threshold)
        mask[rect.top : rect.bottom, rect.left : rect.right] = inside
    return mask


def _iou(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    union = int((ours | theirs).sum())
    return int((ours & theirs).sum()) / union if union else 1.0
