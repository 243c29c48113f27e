"""Score of a network on the validation pictures: pooled counts per source, then their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseg.ops.metrics import (
    BoundaryCounts,
    boundary_counts,
    confusion_counts,
    iou_per_class,
    pixel_accuracy,
)
from edgeseg.training.batching import device_of, to_input
from edgeseg.training.portrait.datasets import Sample

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Scores:
    """Person IoU per source, and over all sources alike."""

    iou: dict[str, float]
    boundary_f: float
    pixel_accuracy: float

    @property
    def macro_iou(self) -> float:
        """Mean of the sources' person IoU."""
        return float(np.mean(list(self.iou.values())))


def resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """`image` stretched to [size, size, 3], averaging where it shrinks."""
    shrinks = min(image.shape[:2]) > size
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(src=image, dsize=(size, size), interpolation=mode), np.uint8)


def torch_predictor(network: nn.Module, size: int) -> Predict:
    """A function from an RGB image [H, W, 3] to person probability [h, w]."""

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pixels = to_input(resized(image, size)[None], device_of(network))
            logits: list[Tensor] = network(pixels)
        return np.asarray(torch.sigmoid(logits[0])[0, 0].cpu().numpy(), np.float32)

    return predict


def evaluate(predict: Predict, samples: Sequence[Sample], *, boundary: bool = False) -> Scores:
    """Scores of `predict` at each mask's own resolution, threshold 0.5, 255 ignored."""
    counts: dict[str, NDArray[np.int64]] = {}
    edges = BoundaryCounts()
    for sample in samples:
        height, width = sample.mask.shape
        probability = cv2.resize(
            src=predict(sample.image), dsize=(width, height), interpolation=cv2.INTER_LINEAR
        )
        label = (probability > 0.5).astype(np.uint8)
        found = confusion_counts(label, sample.mask, 2)
        counts[sample.source] = counts.get(sample.source, 0) + found
        if boundary:
            edges = edges + boundary_counts(label, sample.mask)
    total = np.sum(list(counts.values()), axis=0)
    iou = {source: float(iou_per_class(c)[1]) for source, c in sorted(counts.items())}
    return Scores(iou, edges.f, pixel_accuracy(total))
