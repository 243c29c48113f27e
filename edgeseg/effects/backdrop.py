"""Another background: one colour, an image, or a looping video."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.errors import ConfigError
from edgeseg.ops.draw import crop, fill
from edgeseg.ops.image import shrink
from edgeseg.ops.planes import color_to_yuv, copy_planes, rgb_to_yuv_matrix
from edgeseg.protocols import Hides
from edgeseg.types import U8, ColorSpace, Frame, Planes, Rect, Result, Size

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_PREPARED_AT_MOST = 4


class Backdrop(Protocol):
    """Gives the background of a frame, of its size and in its colour space; thread-safe."""

    def planes(self, frame: Frame) -> Planes: ...


class Color:
    """The person on one colour."""

    name = "color"
    hides: Hides = "background"
    alpha = False

    def __init__(self, config: EffectConfig, rgb: tuple[int, int, int]) -> None:
        self._rgb = rgb
        self._cutter = Cutter(config)

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; only the colour without a valid matte."""
        fill(out, color_to_yuv(self._rgb, frame.color))
        alpha = self._cutter.alpha(frame, result)
        if alpha is not None:
            self._cutter.paste(frame, alpha, out)


class Replace:
    """The person in front of an image or a video."""

    name = "replace"
    hides: Hides = "background"
    alpha = False

    def __init__(self, config: EffectConfig, backdrop: Backdrop) -> None:
        self._backdrop = backdrop
        self._cutter = Cutter(config)

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; only the new background without a valid matte."""
        copy_planes(self._backdrop.planes(frame), out)
        alpha = self._cutter.alpha(frame, result)
        if alpha is not None:
            self._cutter.paste(frame, alpha, out)


class ImageBackdrop:
    """An image cut to the frame's aspect ratio, prepared once per frame size and colour space."""

    def __init__(self, path: Path) -> None:
        self._image = read_image(path)
        self._prepared: dict[tuple[Size, ColorSpace], Planes] = {}
        self._lock = threading.Lock()

    def planes(self, frame: Frame) -> Planes:
        """Returns the background of a frame, read-only."""
        key = (frame.size, frame.color)
        with self._lock:
            found = self._prepared.get(key)
            if found is None:
                while len(self._prepared) >= _PREPARED_AT_MOST:
                    del self._prepared[next(iter(self._prepared))]
                found = cover_planes(to_planes(self._image, frame.color), frame.size).freeze()
                self._prepared[key] = found
            return found


def read_image(path: Path) -> U8:
    """Returns uint8 [H, W, 3] BGR. Raises ConfigError when the file is no readable image."""
    # imdecode instead of imread: any path the system can open works, on Windows too.
    content = np.fromfile(path, np.uint8)
    image = cv2.imdecode(buf=content, flags=cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise ConfigError(
            f"effect replace={path}: not a readable image; expected a PNG, JPEG, WebP, BMP or TIFF"
        )
    out: U8 = image
    return out


def cover_planes(planes: Planes, size: Size) -> Planes:
    """Returns the middle of a picture, cut to the aspect ratio of ``size`` and resized to it."""
    width, height = planes.size
    scale = max(size.width / width, size.height / height)
    cut_width = min(max(round(size.width / scale), 1), width)
    cut_height = min(max(round(size.height / scale), 1), height)
    # Even offsets keep luma and chroma aligned.
    left, top = (width - cut_width) // 4, (height - cut_height) // 4
    right, bottom = 2 * left + cut_width, 2 * top + cut_height
    cut = crop(planes, Rect(left, top, (right + 1) // 2, (bottom + 1) // 2))
    y, u, v = (
        _fit(plane, target)
        for plane, target in (
            (cut.y[:cut_height, :cut_width], size),
            (cut.u, size.chroma),
            (cut.v, size.chroma),
        )
    )
    return Planes(y, u, v)


def _fit(plane: U8, size: Size) -> U8:
    smaller = size.width < plane.shape[1]
    out: U8 = (
        shrink(plane, size)
        if smaller
        else cv2.resize(src=plane, dsize=tuple(size), interpolation=cv2.INTER_CUBIC)
    )
    return np.array(out)


def to_planes(bgr: U8, color: ColorSpace) -> Planes:
    """Converts uint8 [H, W, 3] BGR of any size to planes of any colour space."""
    matrix = rgb_to_yuv_matrix(color)[:, [2, 1, 0, 3]]
    return subsample(cv2.transform(src=bgr, m=matrix))


def subsample(yuv: U8) -> Planes:
    """Turns uint8 [H, W, 3] Y, U, V into planes, U and V averaged over 2x2 pixels."""
    y, u, v = cv2.split(yuv)
    height, width = y.shape
    chroma = Size(width, height).chroma
    halves = [_halve(plane, chroma) for plane in (u, v)]
    return Planes(y, halves[0], halves[1])


def _halve(plane: U8, chroma: Size) -> U8:
    height, width = plane.shape
    even = cv2.copyMakeBorder(
        src=plane,
        top=0,
        bottom=height % 2,
        left=0,
        right=width % 2,
        borderType=cv2.BORDER_REPLICATE,
    )
    out: U8 = cv2.resize(src=even, dsize=tuple(chroma), interpolation=cv2.INTER_AREA)
    return out
