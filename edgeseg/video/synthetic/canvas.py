"""A picture under construction: I420 planes and the truth, always drawn together.

Coordinates are continuous luma pixels: pixel i covers i..i+1, so half-size chroma coordinates are
simply half of them. Everything is drawn with hard edges by the same call on picture and truth,
which makes the truth exact by construction; ``finish`` then softens luma by a 3x3 lens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.planes import color_to_yuv, from_bgr
from edgeseg.types import BT601, U8, Planes, Rect, Size

F64 = NDArray[np.float64]
Rgb = tuple[int, int, int]

_SHIFT = 4  # fractional bits of polygon corners
_SMALLEST_LEVEL = 8  # px


class Placement(NamedTuple):
    """Scaling, turning and moving: x' = c x - s y + tx, y' = s x + c y + ty."""

    c: float
    s: float
    tx: float
    ty: float

    @staticmethod
    def of(
        *,
        pivot: tuple[float, float],
        at: tuple[float, float],
        scale: float,
        degrees: float = 0.0,
    ) -> Placement:
        """Scales and turns clockwise around ``pivot`` and puts that point ``at``."""
        c = scale * math.cos(math.radians(degrees))
        s = scale * math.sin(math.radians(degrees))
        (px, py), (x, y) = pivot, at
        return Placement(c, s, x - c * px + s * py, y - s * px - c * py)

    def after_shift(self, dx: float, dy: float) -> Placement:
        """Returns the placement of coordinates that are first moved by dx, dy."""
        c, s, tx, ty = self
        return Placement(c, s, tx + c * dx - s * dy, ty + s * dx + c * dy)

    def covers(self, size: Size) -> tuple[float, float, float, float]:
        """Returns left, top, right, bottom of where a picture of this size comes to lie."""
        c, s, tx, ty = self
        across, down = (c * size.width, s * size.width), (-s * size.height, c * size.height)
        xs = (0.0, across[0], down[0], across[0] + down[0])
        ys = (0.0, across[1], down[1], across[1] + down[1])
        return tx + min(xs), ty + min(ys), tx + max(xs), ty + max(ys)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out picture of even size with its alpha, and the same at half size, and so on.

    Colours continue beyond the alpha's edge, so that no scaling mixes in anything foreign.
    origin: the corner of the painting it was cut from, in pixels of the sprite.
    """

    planes: Planes
    smaller: Sprite | None
    origin: tuple[float, float] = (0.0, 0.0)

    @staticmethod
    def cut(bgr: U8, alpha: U8) -> Sprite:
        """Cuts the used part out of uint8 [h, w, 3] BGR and uint8 [h, w] alpha."""
        left, top, width, height = cv2.boundingRect(array=alpha)
        rows, cols = slice(top, top + max(height, 1)), slice(left, left + max(width, 1))
        sprite = Sprite._with_smaller(bgr[rows, cols], alpha[rows, cols])
        return Sprite(sprite.planes, sprite.smaller, (-left, -top))

    @staticmethod
    def _with_smaller(bgr: U8, alpha: U8) -> Sprite:
        bgr, alpha = _pad(bgr, cv2.BORDER_REPLICATE), _pad(alpha, cv2.BORDER_CONSTANT)
        height, width = alpha.shape
        smaller = None
        if min(height, width) >= 2 * _SMALLEST_LEVEL:
            half = (width // 2, height // 2)
            smaller = Sprite._with_smaller(
                cv2.resize(src=bgr, dsize=half, interpolation=cv2.INTER_AREA),
                cv2.resize(src=alpha, dsize=half, interpolation=cv2.INTER_AREA),
            )
        yuv = from_bgr(bgr)
        return Sprite(Planes(yuv.y, yuv.u, yuv.v, alpha), smaller)


class Canvas:
    """Planes of even size that cover a picture of any size, and its truth.

    y, truth: uint8 [H, W] rounded up to even; u, v: uint8 [H/2, W/2].
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        width, height = 2 * size.chroma.width, 2 * size.chroma.height
        planes = Planes.empty(Size(width, height))
        self.y, self.u, self.v = planes.y, planes.u, planes.v
        self.truth: U8 = np.zeros((height, width), np.uint8)

    def copy(self) -> Canvas:
        """Returns a canvas of its own with the same picture and truth."""
        twin = Canvas.__new__(Canvas)
        twin.size = self.size
        twin.y, twin.u, twin.v = self.y.copy(), self.u.copy(), self.v.copy()
        twin.truth = self.truth.copy()
        return twin

    def fill(self, bgr: U8, label: int) -> None:
        """Covers everything with uint8 [H, W, 3] BGR, scaled to the canvas, and one label."""
        height, width = self.y.shape
        fitted = cv2.resize(src=bgr, dsize=(width, height), interpolation=cv2.INTER_LINEAR)
        planes = from_bgr(fitted)
        self.y, self.u, self.v = planes.y, planes.u, planes.v
        self.truth[:] = label

    def polygons(self, shapes: F64, rgb: Rgb, label: int) -> None:
        """Fills polygons, float [count, corners, 2] of x, y, and labels what they cover."""
        y, u, v = _yuv(rgb)
        full, half = _corners(shapes), _corners(shapes / 2)
        cv2.fillPoly(img=self.y, pts=full, color=y, shift=_SHIFT)
        cv2.fillPoly(img=self.u, pts=half, color=u, shift=_SHIFT)
        cv2.fillPoly(img=self.v, pts=half, color=v, shift=_SHIFT)
        cv2.fillPoly(img=self.truth, pts=full, color=label, shift=_SHIFT)

    def marks(self, shapes: F64, rgb: Rgb) -> None:
        """Fills polygons that decorate what is there: in luma only, the truth stays.

        That is a third of the cost of ``polygons``, and such marks are too fine for chroma.
        """
        if len(shapes):
            cv2.fillPoly(img=self.y, pts=_corners(shapes), color=_yuv(rgb)[0], shift=_SHIFT)

    def paste(self, sprite: Sprite, placement: Placement, label: int) -> None:
        """Draws a sprite; the placement takes its coordinates to the canvas's."""
        placement = placement.after_shift(-sprite.origin[0], -sprite.origin[1])
        while sprite.smaller is not None and math.hypot(placement.c, placement.s) <= 0.5:
            sprite = sprite.smaller
            placement = Placement(placement.c * 2, placement.s * 2, placement.tx, placement.ty)
        planes = sprite.planes
        assert planes.a is not None
        roi = self._clip(placement.covers(planes.size))
        if roi is None:
            return
        left, top, right, bottom = roi
        rows, cols = slice(top, bottom), slice(left, right)
        c, s, tx, ty = placement
        local, full = Placement(c, s, tx - left, ty - top), (right - left, bottom - top)
        soft = _warp(planes.a, local, full, border=cv2.BORDER_CONSTANT)
        _, mask = cv2.threshold(src=soft, thresh=127, maxval=255, type=cv2.THRESH_BINARY)
        colours = _warp(planes.y, local, full)
        cv2.copyTo(src=colours, mask=mask, dst=self.y[rows, cols])
        colours.fill(label)
        cv2.copyTo(src=colours, mask=mask, dst=self.truth[rows, cols])
        rows, cols = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
        local, half = Placement(c, s, local.tx / 2, local.ty / 2), (full[0] // 2, full[1] // 2)
        mask = cv2.resize(src=mask, dsize=half, interpolation=cv2.INTER_NEAREST)
        for plane, drawn in ((planes.u, self.u), (planes.v, self.v)):
            colours = _warp(plane, local, half, flags=cv2.INTER_NEAREST)
            cv2.copyTo(src=colours, mask=mask, dst=drawn[rows, cols])

    def _clip(self, box: tuple[float, float, float, float]) -> Rect | None:
        """Returns the even rectangle of the canvas that holds a box, None where there is none."""
        height, width = self.y.shape
        left, top = max(0, int(box[0]) & ~1), max(0, int(box[1]) & ~1)
        right = min(width, math.ceil(box[2] / 2) * 2)
        bottom = min(height, math.ceil(box[3] / 2) * 2)
        return Rect(left, top, right, bottom) if right > left and bottom > top else None

    def finish(self, *, lens: bool) -> tuple[Planes, U8]:
        """Returns the picture and its truth at the picture's size; the canvas is used up.

        lens softens luma by [1 2 1] / 4 each way, so only pixels that touch an edge are mixed.
        """
        width, height = self.size
        y = cv2.GaussianBlur(src=self.y, ksize=(3, 3), sigmaX=0) if lens else self.y
        return Planes(y[:height, :width], self.u, self.v), self.truth[:height, :width]


def _corners(shapes: F64) -> list[NDArray[np.int32]]:
    fixed = (shapes - 0.5) * (1 << _SHIFT)  # OpenCV counts from pixel centres
    return list(np.rint(fixed).astype(np.int32))


@lru_cache(maxsize=4096)
def _yuv(rgb: Rgb) -> tuple[int, int, int]:
    return color_to_yuv(rgb, BT601)


def _pad(image: U8, border: int) -> U8:
    """Grows an image to multiples of four, so that half of it is even."""
    height, width = image.shape[:2]
    padded: U8 = cv2.copyMakeBorder(
        src=image, top=0, bottom=-height % 4, left=0, right=-width % 4, borderType=border
    )
    return padded


def _warp(
    plane: U8,
    placement: Placement,
    size: tuple[int, int],
    *,
    flags: int = cv2.INTER_LINEAR,
    border: int = cv2.BORDER_REPLICATE,
) -> U8:
    c, s, tx, ty = placement
    dx, dy = 0.5 * (c - s - 1), 0.5 * (s + c - 1)  # OpenCV counts from pixel centres
    matrix = np.array([[c, -s, tx + dx], [s, c, ty + dy]])
    warped: U8 = cv2.warpAffine(src=plane, M=matrix, dsize=size, flags=flags, borderMode=border)
    return warped
