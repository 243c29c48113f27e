"""Scores of a segmenter on labelled pictures, pooled over all and per source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.evaluate.labelled_folder import PERSON, LabelledFolder, Sample
from edgeseg.ops.metrics import (
    BoundaryCounts,
    boundary_counts,
    confusion_counts,
    iou_per_class,
    mean_iou,
    pixel_accuracy,
)
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.types import U8, Frame, Matte

CLASSES = ("background", "person")


@dataclass(slots=True)
class Scores:
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
        ious = iou_per_class(self.counts)
        return {
            "images": self.images,
            "miou": _number(mean_iou(self.counts)),
            "iou": {name: _number(float(iou)) for name, iou in zip(CLASSES, ious, strict=True)},
            "boundary_f": _number(self.boundary.f),
            "pixel_accuracy": _number(pixel_accuracy(self.counts)),
            "person": self._person(),
        }

    def _person(self) -> dict[str, float | None]:
        """Returns precision, recall and F1, which for masks is also called Dice."""
        hit, truth, predicted = (
            float(self.counts[PERSON, PERSON]),
            float(self.counts[PERSON].sum()),
            float(self.counts[:, PERSON].sum()),
        )
        f1 = _ratio(2 * hit, truth + predicted)
        return {
            "precision": _ratio(hit, predicted),
            "recall": _ratio(hit, truth),
            "f1": f1,
            "dice": f1,
        }


@dataclass(slots=True)
class Evaluation:
    """overall: all pictures pooled. sources: each source's own. worst: (person IoU, sample).

    infer_ms: network time of each picture. ``worst`` is sorted, lowest IoU first.
    """

    overall: Scores
    sources: dict[str, Scores]
    infer_ms: list[float]
    worst: list[tuple[float, Sample]]

    def figures(self) -> dict[str, Any]:
        """Returns the report's figures; ``iou_macro`` is the mean person IoU over the sources."""
        sources = {name: scores.figures() for name, scores in sorted(self.sources.items())}
        person = [f["iou"]["person"] for f in sources.values() if f["iou"]["person"] is not None]
        times = np.array(self.infer_ms)
        return {
            **self.overall.figures(),
            "iou_macro": _number(float(np.mean(person))) if person else None,
            "sources": sources,
            "network_ms": {
                "p50": _number(float(np.median(times))),
                "min": _number(float(times.min())),
            },
        }


class _InferTimes:
    """A StageTimer that keeps the network's times."""

    def __init__(self) -> None:
        self.ms: list[float] = []

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        if stage == "infer":
            self.ms.append(wall_s * 1e3)


def evaluate(
    segmenter: Segmenter,
    folder: LabelledFolder,
    *,
    on_image: Callable[[Sample], None] = lambda sample: None,
) -> Evaluation:
    """Segments every picture, without temporal state, and scores it at its mask's resolution.

    Raises ConfigError for an unreadable picture or mask, ModelError when the network fails.
    """
    timer, overall, sources = _InferTimes(), Scores(), dict[str, Scores]()
    worst = []
    for index, sample in enumerate(folder.samples):
        image, truth = folder.read(sample)
        predicted = predict(segmenter, image, index=index, timer=timer)
        counts = confusion_counts(predicted, truth, classes=2)
        boundary = boundary_counts(predicted, truth)
        overall.add(counts, boundary)
        if sample.source:
            sources.setdefault(sample.source, Scores()).add(counts, boundary)
        iou = float(iou_per_class(counts)[PERSON])
        worst.append((1.0 if math.isnan(iou) else iou, sample))
        on_image(sample)
    worst.sort(key=lambda pair: (pair[0], pair[1].image.name))
    return Evaluation(overall, sources, timer.ms, worst)


def predict(segmenter: Segmenter, image: U8, *, index: int, timer: _InferTimes) -> U8:
    """Returns the label map [H, W], 0 or 1, of a BGR picture [H, W, 3]."""
    return decide(segmenter.segment(Frame(from_bgr(image), index, 0.0), timer))


def decide(matte: Matte) -> U8:
    """Returns the label map of a matte at the frame's size: enlarged first, then decided."""
    person = cv2.resize(
        src=matte.person, dsize=tuple(matte.frame_size), interpolation=cv2.INTER_LINEAR
    )
    labels: U8 = (person >= matte.threshold).view(np.uint8)
    return labels


def _ratio(part: float, whole: float) -> float | None:
    return _number(part / whole) if whole else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)
