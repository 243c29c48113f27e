"""Frames whose person is known exactly, and what a network would say about them."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.planes import color_to_yuv
from edgeseg.types import BT601, F32, ColorSpace, Frame, Geometry, Matte, Planes, Rect, Size

COLORS = [
    ColorSpace("bt601", False),
    ColorSpace("bt601", True),
    ColorSpace("bt709", False),
    ColorSpace("bt709", True),
]
SIZES = [Size(1, 1), Size(2, 1), Size(3, 2), Size(101, 67), Size(67, 101), Size(256, 144)]

Mask = NDArray[np.bool_]


def person_mask(size: Size, *, share: float = 0.3) -> Mask:
    """An upright ellipse in the middle, bool [H, W]."""
    y, x = np.mgrid[0 : size.height, 0 : size.width] + 0.5
    reach = share * min(size)
    distance = np.hypot((x - size.width / 2) / reach, (y - size.height / 2) / (1.3 * reach))
    return np.asarray(distance < 1)


def scene(
    size: Size,
    *,
    color: ColorSpace = BT601,
    seed: int = 0,
    room: tuple[int, int] = (20, 235),
    person: tuple[int, int, int] = (200, 90, 70),
    index: int = 0,
) -> Frame:
    """A person of one RGB colour before a room of random grey levels."""
    rng = np.random.default_rng(seed)
    mask = person_mask(size)
    y = rng.integers(room[0], room[1] + 1, (size.height, size.width), np.uint8)
    py, pu, pv = color_to_yuv(person, color)
    y[mask] = py
    share = cv2.resize(
        src=mask.astype(np.float32), dsize=tuple(size.chroma), interpolation=cv2.INTER_AREA
    ).reshape(size.chroma.height, size.chroma.width)
    u, v = (np.rint(128 + share * (level - 128)).astype(np.uint8) for level in (pu, pv))
    planes = Planes(y, u, v).freeze()
    return Frame(planes, index, index / 25, Fraction(index, 25), color)


def matte(frame: Frame, *, present: bool = True, side: int = 48) -> Matte:
    """A soft low-resolution matte of the scene's person."""
    mask = person_mask(frame.size).astype(np.float32)
    small: F32 = cv2.resize(src=mask, dsize=(side, side), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(src=small, ksize=(0, 0), sigmaX=0.7)
    geometry = Geometry(frame.size, Size(side, side), Rect(0, 0, side, side))
    if not present:
        small = np.zeros_like(small)
    return Matte(small, geometry, present=present)


def poisoned(size: Size, *, alpha: bool, level: int) -> Planes:
    """Planes full of one level, to find pixels that nobody writes."""
    planes = Planes.empty(size, alpha=alpha)
    for plane in (planes.y, planes.u, planes.v, planes.a):
        if plane is not None:
            plane[:] = level
    return planes


def as_tuple(planes: Planes) -> tuple[bytes, ...]:
    """Everything in a picture, to compare."""
    parts = (planes.y, planes.u, planes.v, planes.a)
    return tuple(b"" if plane is None else plane.tobytes() for plane in parts)
