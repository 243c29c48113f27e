"""Boxes [n, 4] as left, top, right, bottom: overlap, suppression, network to frame pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeseg.types import F32, I32, Geometry, Size

PER_CLASS = 200
"""Candidates of one class that are compared with one another; yolact's ``top_k``."""

Suppression = Callable[[F32, float], NDArray[np.bool_]]
"""Boxes of one class, best first, and an overlap: which of them stay."""


def iou_matrix(boxes_xyxy: F32) -> F32:
    """Returns float32 [n, n]: intersection over union of each box with each; 0 for empty ones."""
    left, top, right, bottom = boxes_xyxy.T
    wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    high = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    union = area[:, None] + area - shared
    iou: F32 = shared / np.maximum(union, np.float32(1e-9))
    return iou


def fast_nms(boxes_xyxy: F32, overlap: float) -> NDArray[np.bool_]:
    """Drops every box that overlaps a better one by more than ``overlap``, kept or not.

    Fast NMS (Bolya et al. 2019, YOLACT): a dropped box still drops others, so that no box waits
    for the verdict on another.
    """
    better = np.triu(iou_matrix(boxes_xyxy), k=1)
    keep: NDArray[np.bool_] = better.max(axis=0, initial=0) <= overlap
    return keep


def greedy_nms(boxes_xyxy: F32, overlap: float) -> NDArray[np.bool_]:
    """Drops every box that overlaps a better one that stays: the usual suppression."""
    clash = iou_matrix(boxes_xyxy) > overlap
    keep = np.ones(len(boxes_xyxy), np.bool_)
    for row in range(len(boxes_xyxy)):
        if keep[row]:
            keep[row + 1 :] &= ~clash[row, row + 1 :]
    return keep


def suppress(
    boxes_xyxy: F32,
    scores: F32,
    labels: I32,
    *,
    overlap: float,
    across: float = 1.0,
    method: Suppression = fast_nms,
    per_class: int = PER_CLASS,
) -> NDArray[np.intp]:
    """Returns the rows that stay, best score first.

    Boxes of one class drop one another above ``overlap``, what is left of different classes above
    ``across`` (1 = never): one thing is not two. Of each class the ``per_class`` best are looked
    at, the rest dropped. Measured with 200 candidates of one class 0.24 ms, 1000 of 80 classes
    2.2 ms; the loop runs over classes.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = labels[order]
    kept = []
    for label in np.flatnonzero(np.bincount(ranked)):
        rows = order[ranked == label][:per_class]
        kept.append(rows[method(boxes_xyxy[rows], overlap)])
    if not kept:
        return order
    stay = np.concatenate(kept)
    stay = stay[np.argsort(-scores[stay], kind="stable")]
    return stay[greedy_nms(boxes_xyxy[stay], across)] if across < 1 else stay


def to_frame(boxes_xyxy: F32, geometry: Geometry) -> F32:
    """Returns boxes given in pixels of the network's input in pixels of the frame, not clipped."""
    content, frame = geometry.content, geometry.frame
    scale = np.array(
        [
            frame.width / (content.right - content.left),
            frame.height / (content.bottom - content.top),
        ]
        * 2,
        np.float32,
    )
    start = np.array([content.left, content.top] * 2, np.float32)
    return (boxes_xyxy - start) * scale


def clip(boxes_xyxy: F32, size: Size) -> F32:
    """Returns the part of each box that lies in a picture of this size; may have no area."""
    limit = np.array([size.width, size.height] * 2, np.float32)
    return np.clip(boxes_xyxy, np.float32(0), limit)
