"""Scores of class maps: which class each pixel was taken for, and how edges lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.evaluate.drawing import MISSED, Bgr
from edgeseg.evaluate.scene_folder import SceneFolder
from edgeseg.evaluate.scoring import Confusion, by_name, mean_of, number
from edgeseg.labels import LabelSet
from edgeseg.ops.labels import label_map
from edgeseg.ops.metrics import (
    IGNORE,
    BoundaryCounts,
    boundary_counts_per_class,
    confusion_counts,
    dice_per_class,
    iou_per_class,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
)
from edgeseg.types import U8, Result

OTHER = "(other)"
VOID: Bgr = (0, 0, 0)
"""Not scored, in drawings."""


@dataclass(slots=True)
class ClassScores:
    """Counts of a set of pictures; the last row and column are of no scored class."""

    names: tuple[str, ...]
    images: int = 0
    counts: NDArray[np.int64] = field(init=False)
    boundary: list[BoundaryCounts] = field(init=False)

    def __post_init__(self) -> None:
        side = len(self.names) + 1
        self.counts = np.zeros((side, side), np.int64)
        self.boundary = [BoundaryCounts()] * len(self.names)

    def add(self, counts: NDArray[np.int64], boundary: Sequence[BoundaryCounts]) -> None:
        """Pools one picture's counts."""
        self.images += 1
        self.counts = self.counts + counts
        self.boundary = [a + b for a, b in zip(self.boundary, boundary, strict=True)]

    def figures(self) -> dict[str, Any]:
        """Returns the figures under their report names; None where nothing defines one.

        Means run over the classes that occur in labels or predictions.
        """
        iou, dice = iou_per_class(self.counts)[:-1], dice_per_class(self.counts)[:-1]
        edges = np.array([counts.f for counts in self.boundary])
        return {
            "images": self.images,
            "miou": mean_of(iou),
            "pixel_accuracy": number(pixel_accuracy(self.counts)),
            "boundary_f": mean_of(edges),
            "mean_dice": mean_of(dice),
            "iou": by_name(self.names, iou),
            "dice": by_name(self.names, dice),
            "precision": by_name(self.names, precision_per_class(self.counts)[:-1]),
            "recall": by_name(self.names, recall_per_class(self.counts)[:-1]),
            "f1": by_name(self.names, dice),
            "boundary_f_per_class": by_name(self.names, edges),
        }


class SemanticScoring:
    """A Scoring of a semantic model on label pictures."""

    def __init__(self, folder: SceneFolder, labels: LabelSet) -> None:
        """labels: the model's classes, for the colours of drawings."""
        self._folder = folder
        self._overall = ClassScores(folder.match.names)
        self._sources: dict[str, ClassScores] = {}
        self._palette = _palette(folder, labels)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the data was read."""
        return self._folder.notes

    @property
    def pictures(self) -> Sequence[Path]:
        """The picture files, numbered by position."""
        return [sample.image for sample in self._folder.samples]

    def add(self, index: int, result: Result) -> float:
        """Scores a result; returns its mean IoU."""
        predicted, truth = self._compared(index, result)
        names = self._folder.match.names
        counts = confusion_counts(predicted, truth, classes=len(names) + 1)
        boundary = boundary_counts_per_class(predicted, truth, len(names))
        self._overall.add(counts, boundary)
        source = self._folder.samples[index].source
        if source:
            self._sources.setdefault(source, ClassScores(names)).add(counts, boundary)
        ious = iou_per_class(counts)[:-1]
        return float(np.nanmean(ious)) if np.isfinite(ious).any() else 1.0

    def figures(self) -> dict[str, Any]:
        """Returns the figures over all pictures, and those of each source."""
        sources = {name: scores.figures() for name, scores in sorted(self._sources.items())}
        return {**self._overall.figures(), "sources": sources}

    def confusion(self) -> Confusion:
        """Returns which class was taken for which."""
        names, counts = self._folder.match.names, self._overall.counts[:-1]
        if not counts[:, -1].any():
            return Confusion(names, names, counts[:, :-1])
        return Confusion(names, (*names, OTHER), counts)

    def drawing(self, index: int, image: U8, result: Result) -> U8:
        """Returns four panels: picture and where it is wrong, truth and prediction."""
        predicted, truth = self._compared(index, result)
        errors = image // 2
        wrong = (truth != IGNORE) & (predicted != truth)
        errors[wrong] = (0.3 * errors[wrong] + 0.7 * np.array(MISSED)).astype(np.uint8)
        errors[truth == IGNORE] = VOID
        maps = [self._palette[labels] for labels in (truth, predicted)]
        return np.vstack([np.hstack([image, errors]), np.hstack(maps)])

    def legend(self) -> dict[str, Bgr]:
        """Returns what the colours of a drawing mean."""
        names = self.confusion().columns
        colors = {name: _bgr(self._palette[n]) for n, name in enumerate(names)}
        return {"above right: wrong": MISSED, "not scored": VOID, **colors}

    def _compared(self, index: int, result: Result) -> tuple[U8, U8]:
        """Returns the predicted and the true map of scored classes, uint8 [H, W]."""
        match = self._folder.match
        predicted: U8 = match.predicted[label_map(result)]
        return predicted, self._folder.truth(self._folder.samples[index], result.frame_size)


def _palette(folder: SceneFolder, labels: LabelSet) -> U8:
    """Returns the BGR colour of each scored class, uint8 [256, 3]; 255 is black."""
    colors = np.full((256, 3), 200, np.uint8)
    for label, color in reversed(list(enumerate(labels.colors))):
        scored = folder.match.predicted[label]
        if scored < len(folder.match.names):
            colors[scored] = color[::-1]
    colors[IGNORE] = VOID
    return colors


def _bgr(color: U8) -> Bgr:
    blue, green, red = color.tolist()
    return blue, green, red
