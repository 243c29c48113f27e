"""Masks of single objects, put where they belong on a picture or on a grid of it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edgeseg.types import U8, Instances, Rect, Size


def object_rect(result: Instances, index: int, grid: Size, *, step: float = 1.0) -> Rect | None:
    """Returns the pixels of a grid whose centres lie in an object's area, at least one of them.

    grid: size of the picture, or of a smaller one of it. step: side of the grid's pixels in pixels
    of the picture, 2 for the U and V planes. None when the area has no size or lies outside.
    """
    left, top, right, bottom = (float(side) / step for side in result.areas_xyxy[index])
    if not (right > left and bottom > top and left < grid.width and top < grid.height):
        return None
    if right <= 0 or bottom <= 0:
        return None
    x0, x1 = _centres(left, right, grid.width)
    y0, y1 = _centres(top, bottom, grid.height)
    return Rect(x0, y0, x1, y1)


def _centres(start: float, end: float, limit: int) -> tuple[int, int]:
    """Returns the first pixel whose centre is at or after start and the first one past end."""
    first = min(max(math.ceil(start - 0.5), 0), limit - 1)
    return first, max(min(math.ceil(end - 0.5), limit), first + 1)


def object_mask(result: Instances, index: int, rect: Rect, *, step: float = 1.0) -> U8:
    """Returns an object's probability 0..255 on a rectangle of a grid, uint8 [h, w], interpolated.

    rect and step as from ``object_rect``; the rectangle may not reach out of the object's area.
    """
    mask = result.masks[index]
    left, top, right, bottom = (float(side) for side in result.areas_xyxy[index])
    rows, columns = mask.shape
    scale_x, scale_y = columns / (right - left), rows / (bottom - top)
    matrix = np.array(
        [
            [step * scale_x, 0, ((rect.left + 0.5) * step - left) * scale_x - 0.5],
            [0, step * scale_y, ((rect.top + 0.5) * step - top) * scale_y - 0.5],
        ]
    )
    out: U8 = cv2.warpAffine(
        src=mask,
        M=matrix,
        dsize=(rect.right - rect.left, rect.bottom - rect.top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return out


def cutoff(threshold: float) -> int:
    """Returns the level 0..255 above which a mask's pixel belongs to the object."""
    return min(max(math.ceil(threshold * 255) - 1, 0), 254)
