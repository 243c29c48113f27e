"""Frames with results of every kind, for the sinks that write about results."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from sink_helpers import SIZE, rendered

from edgeseg.labels import LabelSet, label_set
from edgeseg.types import Geometry, Instances, Rect, Rendered, Result, SemanticMap, Size

SCENE = label_set(("road", "car, parked", "sky"))
THINGS = label_set(("person", "dog"))


def item(index: int, result: Result | None, *, pts: Fraction | None = None) -> Rendered:
    plain = rendered(index, pts=pts, size=SIZE if result is None else result.frame_size)
    return Rendered(plain.picture, plain.frame, result)


def street(rows: list[list[int]], *, labels: LabelSet = SCENE, size: Size = SIZE) -> SemanticMap:
    """A scene whose map is given row by row."""
    array = np.array(rows, np.uint8)
    network = Size(array.shape[1], array.shape[0])
    return SemanticMap(array, None, Geometry(size, network, Rect(0, 0, *network)), labels)


def things(
    *boxes: tuple[float, float, float, float],
    classes: list[int] | None = None,
    ids: list[int] | None = None,
    size: Size = SIZE,
) -> Instances:
    """Objects that fill their boxes."""
    areas = np.array(boxes, np.float32).reshape(-1, 4)
    return Instances(
        areas,
        np.linspace(0.95, 0.55, len(areas)).astype(np.float32),
        np.array(classes or [0] * len(areas), np.int32),
        tuple(np.full((6, 6), 255, np.uint8) for _ in areas),
        areas,
        Geometry(size, Size(32, 32), Rect(0, 0, 32, 32)),
        THINGS,
        ids=None if ids is None else np.array(ids, np.int32),
    )
