"""AP50 of a network on validation pictures, quickly: for choosing epochs, not for reporting.

Reported figures come from `edgeseg eval`, which runs the shipped file and the reference library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeseg.models.yolact import YolactOutputs
from edgeseg.ops.boxes import suppress
from edgeseg.training.batching import device_of, to_input
from edgeseg.training.instance.objects import ObjectPicture
from edgeseg.types import Size

_LEAST_SCORE, _OVERLAP, _MOST, _MATCH = 0.05, 0.5, 40, 0.5


@dataclass(frozen=True)
class Found:
    """An object found: class, score, mask bool [H, W] at the picture's size."""

    number: int
    score: float
    mask: NDArray[np.bool_]


def strongest(boxes_xyxy: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Rows of one class that stay, best first."""
    one_class = np.zeros(len(scores), np.int32)
    rows = suppress(boxes_xyxy, scores, one_class, overlap=_OVERLAP, per_class=4 * _MOST)
    return rows[:_MOST]


def find_objects(outputs: YolactOutputs, image: NDArray[np.uint8], size: Size) -> list[Found]:
    """The objects in an RGB picture [H, W, 3], seen at `size`."""
    small = cv2.resize(src=image, dsize=size, interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        pixels = to_input(small[None], device_of(outputs))
        boxes, scores, coefficients, prototypes = (x[0].cpu().numpy() for x in outputs(pixels))
    found = []
    for number in range(scores.shape[1]):
        likely = np.flatnonzero(scores[:, number] > _LEAST_SCORE)
        for i in likely[strongest(boxes[likely], scores[likely, number])]:
            mask = torch.sigmoid(torch.from_numpy(prototypes @ coefficients[i])).numpy()
            whole = _cropped(mask, boxes[i], image.shape[:2])
            found.append(Found(number, float(scores[i, number]), whole))
    return found


def _cropped(
    mask: NDArray[np.float32], box: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    height, width = shape
    whole = cv2.resize(src=mask, dsize=(width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    x0, x1 = np.clip(np.round(box[[0, 2]] * width).astype(int), 0, width)
    y0, y1 = np.clip(np.round(box[[1, 3]] * height).astype(int), 0, height)
    out = np.zeros(shape, np.bool_)
    out[y0:y1, x0:x1] = whole[y0:y1, x0:x1]
    return out


def average_precision(hits: Sequence[tuple[float, bool]], objects: int) -> float:
    """Area under the precision envelope of (score, right) pairs; NaN without objects."""
    if not objects:
        return float("nan")
    right = np.array([hit for _, hit in sorted(hits, key=lambda h: -h[0])], np.float64)
    if not len(right):
        return 0.0
    recall = right.cumsum() / objects
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * np.diff(recall, prepend=0.0)).sum())


def match_picture(
    found: Sequence[Found], picture: ObjectPicture, number: int
) -> list[tuple[float, bool]]:
    """(score, right) of each object found of class `number`; a true object counts once."""
    free = [k for k, n in enumerate(picture.classes, start=1) if n == number]
    hits = []
    for thing in sorted((f for f in found if f.number == number), key=lambda f: -f.score):
        best, score = 0, _MATCH
        for k in free:
            truth = picture.ids == k
            both = int(np.count_nonzero(truth & thing.mask))
            iou = both / max(1, int(np.count_nonzero(truth | thing.mask)))
            if iou >= score:
                best, score = k, iou
        if best:
            free.remove(best)
        elif np.count_nonzero(thing.mask & (picture.ids == 255)) > 0.5 * thing.mask.sum():
            continue
        hits.append((thing.score, bool(best)))
    return hits


def evaluate(
    network: nn.Module, pictures: Sequence[ObjectPicture], classes: Sequence[str], size: Size
) -> dict[str, float]:
    """Mask AP50 by class and source, for classes labelled throughout a source's pictures."""
    outputs = YolactOutputs(network, size).to(device_of(network)).eval()
    hits: dict[tuple[str, int], list[tuple[float, bool]]] = {}
    objects: dict[tuple[str, int], int] = {}
    for picture in pictures:
        found = find_objects(outputs, picture.image, size)
        for number in range(len(classes)):
            if picture.labelled[number]:
                key = (picture.source, number)
                hits.setdefault(key, []).extend(match_picture(found, picture, number))
                objects[key] = objects.get(key, 0) + picture.classes.count(number)
    return {
        f"{source}_{classes[number]}": average_precision(found_hits, objects[source, number])
        for (source, number), found_hits in sorted(hits.items())
        if objects[source, number]
    }
