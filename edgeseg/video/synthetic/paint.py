"""Painting of sprites and backdrops: smooth shapes in soft colours, once as a scene opens."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.types import U8, Rect
from edgeseg.video.synthetic.canvas import F64, Rgb, Sprite

Points = Sequence[tuple[float, float]]

_FAR = 8000.0  # px; keeps corners within OpenCV's fixed point


class Painting:
    """A BGR picture with alpha, measured in the painter's own unit.

    width and height are in units, unit is its length in pixels; the pixel size is made even.
    """

    def __init__(self, width: float, height: float, unit: float) -> None:
        w, h = (max(2, round(side * unit / 2) * 2) for side in (width, height))
        self.unit = unit
        self.bgr: U8 = np.zeros((h, w, 3), np.uint8)
        self.alpha: U8 = np.zeros((h, w), np.uint8)

    def shape(
        self,
        points: Points,
        rgb: Rgb,
        *,
        soft: float = 0.0,
        strength: float = 1.0,
        add: bool = True,
    ) -> None:
        """Fills a polygon. soft blurs its edge by so many units; add=False stays inside alpha."""
        corners, box = self._region(points, soft)
        mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
        cv2.fillPoly(img=mask, pts=[corners], color=255, lineType=cv2.LINE_AA, shift=4)
        self._apply(mask, box, rgb, soft, strength, add)

    def blob(self, points: Points, rgb: Rgb, *, soft: float = 0.0, strength: float = 1.0,
             add: bool = True) -> None:  # fmt: skip
        """Fills a smooth closed curve through the points; options as ``shape``."""
        self.shape(smooth(points), rgb, soft=soft, strength=strength, add=add)

    def oval(self, x: float, y: float, rx: float, ry: float, rgb: Rgb, *, soft: float = 0.0,
             strength: float = 1.0, add: bool = True) -> None:  # fmt: skip
        """Fills an ellipse around x, y; options as ``shape``."""
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        ring = np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1)
        self.shape([(px, py) for px, py in ring], rgb, soft=soft, strength=strength, add=add)

    def stroke(self, points: Points, width: float, rgb: Rgb, *, soft: float = 0.0,
               strength: float = 1.0, add: bool = True) -> None:  # fmt: skip
        """Draws an open line of so many units' width with round ends; options as ``shape``."""
        corners, box = self._region(points, soft + width)
        mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
        cv2.polylines(
            img=mask,
            pts=[corners],
            isClosed=False,
            color=255,
            thickness=max(1, round(width * self.unit)),
            lineType=cv2.LINE_AA,
            shift=4,
        )
        self._apply(mask, box, rgb, soft, strength, add)

    def _region(self, points: Points, margin: float) -> tuple[NDArray[np.int32], Rect]:
        """Returns corners in 1/16 pixel of the rectangle that is touched, and that rectangle."""
        corners = np.clip(np.array(points) * self.unit, -_FAR, _FAR)
        spare = 3 * margin * self.unit + 2
        height, width = self.alpha.shape
        low = np.clip(np.floor(corners.min(axis=0) - spare), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0) + spare), low, (width, height)).astype(int)
        fixed = np.rint((corners - low) * 16).astype(np.int32)
        return fixed, Rect(int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    def _apply(
        self, mask: U8, box: Rect, rgb: Rgb, soft: float, strength: float, add: bool
    ) -> None:
        if mask.size == 0:
            return
        rows, cols = slice(box.top, box.bottom), slice(box.left, box.right)
        alpha = self.alpha[rows, cols]
        if add:
            np.maximum(alpha, mask, out=alpha)
        if soft > 0:
            mask = blur(mask, soft * self.unit)
        if not add:
            mask = np.minimum(mask, alpha)
        weight = mask[:, :, None] * np.float32(strength / 255)
        below = self.bgr[rows, cols].astype(np.float32)
        below += (np.array(rgb[::-1], np.float32) - below) * weight
        self.bgr[rows, cols] = np.rint(below).astype(np.uint8)

    def sprite(self) -> Sprite:
        """Returns the painting as a sprite; colours are continued beyond the alpha."""
        return Sprite.cut(_continue_colours(self.bgr, self.alpha), self.alpha)


def smooth(points: Points, steps: int = 8) -> list[tuple[float, float]]:
    """Returns a closed Catmull-Rom curve through the points, ``steps`` corners between two."""
    ring = np.array(points, np.float64)
    a, b, c, d = (np.roll(ring, shift, axis=0)[:, None] for shift in (1, 0, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve: F64 = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return [(x, y) for x, y in curve.reshape(-1, 2)]


def blur(image: U8, sigma: float) -> U8:
    """Blurs an image by sigma pixels; large sigmas are done at a quarter of the size."""
    height, width = image.shape[:2]
    if sigma < 6 or min(height, width) < 16:
        fine: U8 = cv2.GaussianBlur(src=image, ksize=(0, 0), sigmaX=max(sigma, 0.1))
        return fine
    small = cv2.resize(src=image, dsize=(width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(src=small, ksize=(0, 0), sigmaX=sigma / 4)
    big: U8 = cv2.resize(src=small, dsize=(width, height), interpolation=cv2.INTER_LINEAR)
    return big


def mirrored(points: Points) -> list[tuple[float, float]]:
    """Returns an outline given for its right half, top to bottom, closed by its mirror image."""
    return [*points, *((-x, y) for x, y in reversed(points) if x > 0)]


def shifted(points: Points, dx: float, dy: float) -> list[tuple[float, float]]:
    """Returns the points moved by dx, dy."""
    return [(x + dx, y + dy) for x, y in points]


def tint(rgb: Rgb, factor: float) -> Rgb:
    """Returns a colour made darker (factor < 1) or lighter (> 1), within 0..255."""
    r, g, b = (int(min(255, max(0, round(c * factor)))) for c in rgb)
    return r, g, b


def _continue_colours(bgr: U8, alpha: U8) -> U8:
    """Fills pixels outside the alpha with the colours of the nearest edge, roughly."""
    inside = alpha >= 250
    if not inside.any():
        return bgr
    outside = (~inside).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        src=outside, distanceType=cv2.DIST_L2, maskSize=5, labelType=cv2.DIST_LABEL_PIXEL
    )
    where = np.zeros(int(nearest.max()) + 1, np.int64)
    where[nearest[inside]] = np.flatnonzero(inside)
    filled: U8 = bgr.reshape(-1, 3)[where[nearest]]
    return filled
