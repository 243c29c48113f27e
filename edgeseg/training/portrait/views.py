"""Where a training sample looks: views of a picture, warped with its mask to a square.

A view is a rectangle of any aspect stretched to the square network input, as at run time, so the
shapes of 16:9 and 3:4 pictures are seen in training.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.views import View, warp_image
from edgeseg.types import Size

_ASPECTS = (0.6, 1.85)


def person_box(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Box (x0, y0, x1, y1), end exclusive, of the labelled person; the whole picture if none."""
    rows = np.flatnonzero((mask == 1).any(axis=1))
    columns = np.flatnonzero((mask == 1).any(axis=0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def whole_view(mask: NDArray[np.uint8], rng: np.random.Generator) -> View:
    """The whole picture, or nearly: what scoring and most users see."""
    height, width = mask.shape
    w, h = width * rng.uniform(0.72, 1.06), height * rng.uniform(0.72, 1.06)
    x = width / 2 + rng.uniform(-0.5, 0.5) * abs(width - w)
    y = height / 2 + rng.uniform(-0.5, 0.5) * abs(height - h)
    return View(x, y, w, h)


def upper_view(mask: NDArray[np.uint8], rng: np.random.Generator) -> View:
    """Head and upper body framed as by a webcam, from a picture of a standing person."""
    x0, y0, x1, y1 = person_box(mask)
    tall = y1 - y0 > 1.6 * (x1 - x0)
    share = rng.uniform(0.22, 0.6) if tall else rng.uniform(0.6, 1.0)
    cut = y0 + share * (y1 - y0)
    headroom = rng.uniform(0.05, 0.45) * share * (y1 - y0)
    top = y0 - headroom
    h = cut - top
    w = max(h * np.exp(rng.uniform(*np.log(_ASPECTS))), 0.6 * (x1 - x0))
    x = (x0 + x1) / 2 + rng.uniform(-0.3, 0.3) * w
    return View(x, (top + cut) / 2, w, h)


def zoom_view(mask: NDArray[np.uint8], rng: np.random.Generator) -> View:
    """A random part of the picture of random aspect that shows some of the person."""
    height, width = mask.shape
    x0, y0, x1, y1 = person_box(mask)
    area = rng.uniform(0.25, 1.1) * height * width
    aspect = np.exp(rng.uniform(*np.log(_ASPECTS)))
    w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
    return View(rng.uniform(x0, x1), rng.uniform(y0, y1), w, h)


def far_view(mask: NDArray[np.uint8], rng: np.random.Generator) -> View:
    """More than the picture, on the sides where the person does not touch its border."""
    height, width = mask.shape
    person = mask != 0
    grow = rng.uniform(0.0, 0.9)
    left = 0.0 if person[:, :2].any() else -grow * rng.uniform() * width
    right = width if person[:, -2:].any() else width * (1 + grow * rng.uniform())
    top = 0.0 if person[:2].any() else -grow * rng.uniform() * height
    bottom = height if person[-2:].any() else height * (1 + 0.3 * grow * rng.uniform())
    return View((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def keep_inside(view: View, mask: NDArray[np.uint8], *, slack: float = 0.04) -> View:
    """`view` shrunk and moved so that it leaves the picture by at most `slack` of its side."""
    height, width = mask.shape
    w, h = min(view.width, width * (1 + slack)), min(view.height, height * (1 + slack))
    x = np.clip(view.center_x, min(w, width) / 2, width - min(w, width) / 2)
    y = np.clip(view.center_y, min(h, height) / 2, height - min(h, height) / 2)
    return View(float(x), float(y), w, h, view.degrees, view.mirrored)


def warp_mask(
    mask: NDArray[np.uint8], view: View, size: int, *, border: int = cv2.BORDER_REFLECT_101
) -> NDArray[np.uint8]:
    """What `view` sees of `mask`, as [size, size] with 0, 1 and 255."""
    planes = np.stack([mask == 1, mask == IGNORE, np.zeros_like(mask, bool)], axis=-1)
    warped = warp_image(planes.astype(np.uint8) * 255, view, Size(size, size), border=border)
    out = (warped[..., 0] >= 128).astype(np.uint8)
    out[(warped[..., 1] >= 128) & (out == 0)] = IGNORE
    return out
