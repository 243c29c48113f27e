"""Any result as a matte of chosen classes: what effects cut out and what they hide."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgeseg.labels import LabelSet
from edgeseg.ops.instances import object_mask, object_rect
from edgeseg.types import F32, Instances, Matte, Result, SemanticMap, Size

_GRID = 320
"""Longest side, in pixels, of the grid on which objects are put together."""


def wanted(label_set: LabelSet, names: Sequence[str]) -> tuple[int, ...]:
    """Returns the numbers of the named classes, of those that show people without names."""
    return label_set.numbers(names) if names else label_set.people()


def foreground(result: Result | None, names: Sequence[str] = ()) -> Matte | None:
    """Returns the union of the chosen classes as one matte, or None where there is nothing of them.

    names: of classes, in any case; empty = people. A portrait's matte is what it is.
    """
    if result is None or isinstance(result, Matte):
        return result if result is not None and result.present else None
    numbers = wanted(result.label_set, names)
    if isinstance(result, SemanticMap):
        return _region(result, numbers)
    return _objects(result, numbers)


def _region(result: SemanticMap, numbers: Sequence[int]) -> Matte | None:
    """Returns places of these classes, their edge a ramp three pixels of the map wide.

    Made of labels, not of scores: what scores mean differs from network to network.
    """
    table = np.zeros(256, np.uint8)
    table[list(numbers)] = 255
    chosen = cv2.LUT(src=result.labels, lut=table)
    if not cv2.countNonZero(src=chosen):
        return None
    soft = cv2.blur(src=chosen, ksize=(3, 3), borderType=cv2.BORDER_REPLICATE)
    return Matte(_share(soft), result.geometry)


def _objects(result: Instances, numbers: Sequence[int]) -> Matte | None:
    frame = result.frame_size
    step = max(max(frame) / _GRID, 1.0)
    grid = Size(max(round(frame.width / step), 1), max(round(frame.height / step), 1))
    union = np.zeros((grid.height, grid.width), np.uint8)
    for index in np.flatnonzero(np.isin(result.labels, numbers)):
        rect = object_rect(result, int(index), grid, step=step)
        if rect is None:
            continue
        view = union[rect.top : rect.bottom, rect.left : rect.right]
        np.maximum(view, object_mask(result, int(index), rect, step=step), out=view)
    if not union.any():
        return None
    return Matte(_share(union), result.geometry, result.threshold)


def _share(levels: np.ndarray) -> F32:
    share: F32 = levels.astype(np.float32)
    share *= np.float32(1 / 255)
    return share
