"""Frames whose person is known exactly, and what a network would say about them."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.labels import CAMVID, LabelSet, label_set
from edgeseg.ops.planes import color_to_yuv
from edgeseg.types import (
    BT601,
    F32,
    ColorSpace,
    Frame,
    Geometry,
    Instances,
    Matte,
    Planes,
    Rect,
    SemanticMap,
    Size,
)

COLORS = [
    ColorSpace("bt601", False),
    ColorSpace("bt601", True),
    ColorSpace("bt709", False),
    ColorSpace("bt709", True),
]
SIZES = [Size(1, 1), Size(2, 1), Size(3, 2), Size(101, 67), Size(67, 101), Size(256, 144)]

Mask = NDArray[np.bool_]

ROAD, CAR, PEDESTRIAN = 3, 8, 9  # of CamVid
THINGS = label_set(("person", "car"))


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


def street(
    frame: Frame, *, number: int = PEDESTRIAN, rest: int = ROAD, labels: LabelSet = CAMVID
) -> SemanticMap:
    """The scene's person as one class of a scene, all around it as another, at 96x64."""
    exact = person_mask(frame.size).view(np.uint8)
    small = cv2.resize(src=exact, dsize=(96, 64), interpolation=cv2.INTER_NEAREST) > 0
    geometry = Geometry(frame.size, Size(96, 64), Rect(0, 0, 96, 64))
    return SemanticMap(np.where(small, number, rest).astype(np.uint8), None, geometry, labels)


def single(
    frame: Frame,
    boxes: list[tuple[float, float, float, float]] | None = None,
    *,
    classes: list[int] | None = None,
    ids: list[int] | None = None,
    labels: LabelSet = THINGS,
) -> Instances:
    """Objects, ellipses in their boxes; the scene's person without boxes."""
    if boxes is None:
        reach = 0.3 * min(frame.size)
        middle, centre = frame.size.width / 2, frame.size.height / 2
        boxes = [
            (
                max(middle - reach, 0),
                max(centre - 1.3 * reach, 0),
                min(middle + reach, frame.size.width),
                min(centre + 1.3 * reach, frame.size.height),
            )
        ]
    y, x = np.mgrid[0:40, 0:32]
    mask = np.clip(255 * (0.5 + 8 * (1 - np.hypot((x - 15.5) / 16, (y - 19.5) / 20))), 0, 255)
    areas = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(areas)
    return Instances(
        areas,
        np.linspace(0.9, 0.4, count).astype(np.float32),
        np.array(classes or [0] * count, np.int32),
        tuple(mask.astype(np.uint8) for _ in range(count)),
        areas,
        Geometry(frame.size, Size(64, 64), Rect(0, 0, 64, 64)),
        labels,
        ids=None if ids is None else np.array(ids, np.int32),
    )


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
