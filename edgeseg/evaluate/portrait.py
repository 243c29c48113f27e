"""Scores of person masks, pooled over all pictures and per source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.evaluate.drawing import HIT, INVENTED, MISSED, UNSCORED, Bgr
from edgeseg.evaluate.labelled_folder import PERSON, LabelledFolder
from edgeseg.evaluate.scoring import Confusion, by_name, number, ratio
from edgeseg.ops.labels import label_map
from edgeseg.ops.metrics import (
    IGNORE,
    BoundaryCounts,
    boundary_counts,
    confusion_counts,
    iou_per_class,
    mean_iou,
    pixel_accuracy,
)
from edgeseg.types import U8, Result

CLASSES = ("background", "person")


@dataclass(slots=True)
class PersonScores:
    """Counts of a set of pictures; read the figures when all are in."""

    images: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 2), np.int64))
    boundary: BoundaryCounts = field(default_factory=BoundaryCounts)

    def add(self, counts: NDArray[np.int64], boundary: BoundaryCounts) -> None:
        """Pools one picture's counts."""
        self.images += 1
        self.counts = self.counts + counts
        self.boundary = self.boundary + boundary

    def figures(self) -> dict[str, Any]:
        """Returns the figures under their report names; None where nothing defines one."""
        return {
            "images": self.images,
            "miou": number(mean_iou(self.counts)),
            "iou": by_name(CLASSES, iou_per_class(self.counts)),
            "boundary_f": number(self.boundary.f),
            "pixel_accuracy": number(pixel_accuracy(self.counts)),
            "person": self._person(),
        }

    def _person(self) -> dict[str, float | None]:
        """Returns precision, recall and F1, which for masks is also called Dice."""
        hit, truth, predicted = (
            float(self.counts[PERSON, PERSON]),
            float(self.counts[PERSON].sum()),
            float(self.counts[:, PERSON].sum()),
        )
        f1 = ratio(2 * hit, truth + predicted)
        return {
            "precision": ratio(hit, predicted),
            "recall": ratio(hit, truth),
            "f1": f1,
            "dice": f1,
        }


class PortraitScoring:
    """A Scoring of a portrait model on person masks."""

    def __init__(self, folder: LabelledFolder) -> None:
        self._folder = folder
        self._overall = PersonScores()
        self._sources: dict[str, PersonScores] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the data was read."""
        return self._folder.notes

    @property
    def pictures(self) -> Sequence[Path]:
        """The picture files, numbered by position."""
        return [sample.image for sample in self._folder.samples]

    def add(self, index: int, result: Result) -> float:
        """Scores a result; returns the person's IoU, 1 where rightly nobody is found."""
        sample = self._folder.samples[index]
        predicted, truth = label_map(result), self._folder.truth(sample, result.frame_size)
        counts = confusion_counts(predicted, truth, classes=2)
        boundary = boundary_counts(predicted, truth)
        self._overall.add(counts, boundary)
        if sample.source:
            self._sources.setdefault(sample.source, PersonScores()).add(counts, boundary)
        iou = float(iou_per_class(counts)[PERSON])
        return 1.0 if math.isnan(iou) else iou

    def figures(self) -> dict[str, Any]:
        """Returns the figures; ``iou_macro`` is the mean person IoU over the sources."""
        sources = {name: scores.figures() for name, scores in sorted(self._sources.items())}
        person = [f["iou"]["person"] for f in sources.values() if f["iou"]["person"] is not None]
        return {
            **self._overall.figures(),
            "iou_macro": number(float(np.mean(person))) if person else None,
            "sources": sources,
        }

    def confusion(self) -> Confusion:
        """Returns which class was taken for which."""
        return Confusion(CLASSES, CLASSES, self._overall.counts)

    def drawing(self, index: int, image: U8, result: Result) -> U8:
        """Returns the picture with hits, misses and inventions tinted."""
        truth = self._folder.truth(self._folder.samples[index], result.frame_size)
        return colour_errors(image, label_map(result), truth)

    def legend(self) -> dict[str, Bgr]:
        """Returns what the colours of a drawing mean."""
        return {"found": HIT, "missed": MISSED, "invented": INVENTED, "not scored": UNSCORED}


def colour_errors(image: U8, predicted: U8, truth: U8) -> U8:
    """Returns the picture [H, W, 3] dimmed, with hits, misses and inventions tinted."""
    person, ours = truth == PERSON, predicted == PERSON
    unscored = truth == IGNORE
    tint = np.zeros_like(image)
    strength = np.full(truth.shape, 0.35, np.float32)
    for where, colour, amount in (
        (person & ours, HIT, 0.3),
        (person & ~ours, MISSED, 0.7),
        (~person & ours & ~unscored, INVENTED, 0.7),
        (unscored, UNSCORED, 0.6),
    ):
        tint[where] = colour
        strength[where] = amount
    mixed = image * (1 - strength[..., None]) + tint * strength[..., None]
    out: U8 = mixed.astype(np.uint8)
    return out
