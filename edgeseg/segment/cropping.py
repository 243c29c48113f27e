"""Parts of a network's output, cut at its own resolution and aligned to a fraction of a pixel."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from edgeseg.types import F32, U8, Geometry, Rect, Size

Plane = TypeVar("Plane", F32, U8)


class Extent(NamedTuple):
    """A rectangle in pixels of an output, borders between pixels counted as in ``Rect``."""

    left: float
    top: float
    right: float
    bottom: float


def content_extent(output: Size, geometry: Geometry) -> Extent:
    """Returns where the picture lies in an output of this size, without letterbox bars."""
    x, y = output.width / geometry.network.width, output.height / geometry.network.height
    box = geometry.content
    return Extent(box.left * x, box.top * y, box.right * x, box.bottom * y)


def crop(plane: Plane, geometry: Geometry, *, nearest: bool = False) -> Plane:
    """Cuts the letterbox bars off; the same array where there are none.

    Where the picture's border falls between two output pixels the cut is interpolated, so that
    the result stays aligned with the picture. nearest: for class numbers.
    """
    if geometry.content == Rect(0, 0, *geometry.network):
        return plane
    height, width = plane.shape
    return cut(plane, content_extent(Size(width, height), geometry), nearest=nearest)


def crop_all(planes: F32, geometry: Geometry) -> F32:
    """Cuts the letterbox bars off each plane of contiguous float32 [C, h, w]."""
    if geometry.content == Rect(0, 0, *geometry.network):
        return planes
    return np.stack([crop(plane, geometry) for plane in planes])


def cut(plane: Plane, extent: Extent, *, nearest: bool = False) -> Plane:
    """Returns a part of [h, w], contiguous, of the whole number of pixels nearest to its size."""
    left, top = extent.left, extent.top
    wide, high = extent.right - left, extent.bottom - top
    size = Size(max(1, round(wide)), max(1, round(high)))
    if (left, top, wide, high) == (int(left), int(top), size.width, size.height):
        rows = slice(int(top), int(top) + size.height)
        return np.ascontiguousarray(plane[rows, int(left) : int(left) + size.width])
    # pixel centres: out (i + .5) * step + start - .5
    step_x, step_y = wide / size.width, high / size.height
    matrix = np.array(
        [[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5]], np.float64
    )
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    out: Plane = cv2.warpAffine(
        src=plane,
        M=matrix,
        dsize=tuple(size),
        flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return out
