"""COCO's three ways to write a mask, checked before any library sees them.

Uncompressed RLE {"size": [h, w], "counts": [...]}, compressed RLE with a string of counts, and
lists of polygons. Runs go down the columns and begin with background.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeseg.ops.rle import mask_from_counts
from edgeseg.types import U8, Size

Rle = dict[str, Any]
"""{"size": [h, w], "counts": list of run lengths}."""


class MaskProblem(ValueError):
    """Says what is wrong with a segmentation, without saying whose it is."""


@dataclass(frozen=True, slots=True)
class Mask:
    """rle: uncompressed runs, or None. polygons: x, y, x, y... in pixels, or empty."""

    rle: Rle | None
    polygons: tuple[list[float], ...] = ()


def read_mask(segmentation: object, size: Size) -> Mask:
    """Returns a picture's checked segmentation. Raises MaskProblem."""
    if isinstance(segmentation, list):
        return Mask(None, _polygons(segmentation, size))
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= set(segmentation):
        raise MaskProblem("expected a list of polygons or a run-length mask with size and counts")
    if segmentation["size"] != [size.height, size.width]:
        raise MaskProblem(
            f"its mask is {segmentation['size']}, expected [{size.height}, {size.width}] "
            "(height, width) as its picture"
        )
    counts = segmentation["counts"]
    runs = parse_counts(counts) if isinstance(counts, str) else counts
    _check_runs(runs, size)
    return Mask({"size": [size.height, size.width], "counts": runs})


def parse_counts(text: str) -> list[int]:
    """Returns the run lengths of a compressed string: 5 bits a letter, from the third run on the
    difference to the run before last (pycocotools ``maskApi.c``, rleFrString). Raises MaskProblem.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise MaskProblem(f"its compressed counts hold {letter!r}, not part of an RLE string")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise MaskProblem("its compressed counts end in the middle of a number")
    return runs


def decode(rle: Mapping[str, Any]) -> U8:
    """Returns a compressed mask as uint8 [H, W] of 0 and 1.

    pycocotools's own decoder warns under numpy 2.
    """
    height, width = rle["size"]
    counts = parse_counts(rle["counts"].decode("ascii"))
    return mask_from_counts(counts, Size(width, height)).view(np.uint8)


def _check_runs(runs: object, size: Size) -> None:
    whole = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
    if not isinstance(runs, list) or not whole:
        raise MaskProblem("its counts are no list of run lengths (whole numbers from 0)")
    if sum(runs) != size.width * size.height:
        raise MaskProblem(
            f"its runs add up to {sum(runs)} pixels, expected {size.width * size.height} ({size})"
        )
    if not sum(runs[1::2]):
        raise MaskProblem("its mask is empty, expected at least one pixel")


def _polygons(polygons: list[Any], size: Size) -> tuple[list[float], ...]:
    if not polygons:
        raise MaskProblem("its segmentation is empty, expected polygons or a run-length mask")
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(is_finite(value) for value in polygon):
            raise MaskProblem("a polygon is no list of numbers x, y, x, y...")
        if len(polygon) < 6 or len(polygon) % 2:
            raise MaskProblem(
                f"a polygon has {len(polygon)} numbers, expected x and y of at least 3 points"
            )
        if not all(-side <= v <= 2 * side for k, side in enumerate(size) for v in polygon[k::2]):
            raise MaskProblem(f"a polygon lies far outside of its picture of {size}")
    if not any(_area(polygon) for polygon in polygons):
        raise MaskProblem("its polygons enclose nothing, expected an area above 0")
    return tuple(polygons)


def is_finite(value: object) -> bool:
    """Says whether a value from JSON is a number other than NaN and infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _area(polygon: list[float]) -> float:
    xs, ys = polygon[0::2], polygon[1::2]
    return abs(
        sum(x * ys[i - 1] - xs[i - 1] * y for i, (x, y) in enumerate(zip(xs, ys, strict=True)))
    )
