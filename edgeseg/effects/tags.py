"""Name tags of objects: where they go, and drawing them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from edgeseg.effects.patch import even, make_room
from edgeseg.effects.typeface import Typeface, best_typeface
from edgeseg.types import U8, Planes, Rect, Size

_TEXT_SHARE = 0.022  # of the picture's height
_SMALLEST_PX, _LEAST_PX = 11, 8  # wanted, and still legible
_TINY = 2.5  # an object below this many tag heights is never covered by a tag
_KEPT = 512
_DARK, _LIGHT = 24, 235  # Y of letters
_MIDDLE = 115  # Y of a tag from which its letters are dark


Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the picture."""


class Tag(NamedTuple):
    """What a tag says, the box it stands on, and its colour as Y, U, V."""

    text: str
    box: Box
    yuv: tuple[int, int, int]


class Tagger:
    """Draws filled tags with letters that stand out from them; thread-safe."""

    def __init__(self) -> None:
        self._face: Typeface = best_typeface()
        self._lock = threading.Lock()
        self._drawn: dict[tuple[str, int], U8] = {}

    def draw(self, picture: Planes, tags: Sequence[Tag]) -> None:
        """Draws tags, the most important first, where they fit; the others are left out."""
        text = text_px(picture.size)
        if text is None:
            return
        letters = [self._letters(tag.text, text) for tag in tags]
        sizes = [Size(ink.shape[1], ink.shape[0]) for ink in letters]
        places = place([tag.box for tag in tags], sizes, picture.size)
        for tag, ink, corner in zip(tags, letters, places, strict=True):
            if corner is not None:
                _stamp(picture, ink, tag.yuv, *corner)

    def _letters(self, text: str, size_px: int) -> U8:
        """Returns what a tag's letters cover, uint8 of even size; drawn once per text and size."""
        with self._lock:
            ink = self._drawn.get((text, size_px))
            if ink is None:
                make_room(self._drawn, _KEPT)
                ink = _draw_text(text, size_px, self._face)
                self._drawn[text, size_px] = ink
        return ink


def text_px(picture: Size) -> int | None:
    """Returns the height of a tag's text, None where it would be larger than what it names."""
    wanted = round(_TEXT_SHARE * min(picture.height, 1.2 * picture.width))
    size = max(wanted, min(_SMALLEST_PX, min(picture) // 16))
    return size if size >= _LEAST_PX else None


def _draw_text(text: str, size_px: int, face: Typeface) -> U8:
    side, above = round(0.3 * size_px), round(0.12 * size_px)
    width = even(face.width(text, size_px, 600) + 2 * side)
    ink = np.zeros((even(size_px + 2 * above), width), np.uint8)
    baseline = above + round(0.82 * size_px)
    face.draw(ink, text, x=side, baseline=baseline, size_px=size_px, weight=600)
    return ink


def _stamp(picture: Planes, ink: U8, yuv: tuple[int, int, int], left: int, top: int) -> None:
    height, width = ink.shape
    tables = _ramps(yuv)
    half = cv2.resize(src=ink, dsize=(width // 2, height // 2), interpolation=cv2.INTER_AREA)
    picture.y[top : top + height, left : left + width] = cv2.LUT(src=ink, lut=tables[0])
    rows = slice(top // 2, (top + height) // 2)
    columns = slice(left // 2, (left + width) // 2)
    picture.u[rows, columns] = cv2.LUT(src=half, lut=tables[1])
    picture.v[rows, columns] = cv2.LUT(src=half, lut=tables[2])


@lru_cache(maxsize=256)
def _ramps(yuv: tuple[int, int, int]) -> tuple[U8, U8, U8]:
    """Returns tables from coverage to level, from the tag's colour to that of its letters."""
    letter = _DARK if yuv[0] >= _MIDDLE else _LIGHT
    y, u, v = (
        np.rint(np.linspace(start, end, 256)).astype(np.uint8)
        for start, end in zip(yuv, (letter, 128, 128), strict=True)
    )
    return y, u, v


def place(
    boxes: Sequence[Box], sizes: Sequence[Size], picture: Size
) -> list[tuple[int, int] | None]:
    """Returns left and top of each tag, even, or None for a tag without a free place.

    The first ones choose first. Tags stay inside the picture and off one another, and off objects
    that are not much larger than a tag.
    """
    taken = [
        Rect(*(round(side) for side in box))
        for box, size in zip(boxes, sizes, strict=True)
        if _is_tiny(box, size)
    ]
    places: list[tuple[int, int] | None] = []
    for box, size in zip(boxes, sizes, strict=True):
        found = next(
            (
                spot
                for spot in _spots(box, size, picture)
                if not any(_overlap(spot, other) for other in taken)
            ),
            None,
        )
        places.append(None if found is None else (found.left, found.top))
        if found is not None:
            taken.append(found)
    return places


def _is_tiny(box: Box, size: Size) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) < _TINY * size.height


def _spots(box: Box, size: Size, picture: Size) -> Iterator[Rect]:
    """Yields where a tag could go, best first: on the box, in its top, below it, then further up.

    Each is inside the picture and at even places; none where the picture is smaller than the tag.
    """
    if size.width > picture.width // 2 * 2 or size.height > picture.height // 2 * 2:
        return
    left, top, right, bottom = box
    rows = [top - size.height, bottom]
    if not _is_tiny(box, size):
        rows[1:1] = [top, top + size.height, top + 2 * size.height]
    rows += [top - 2 * size.height, bottom + size.height]
    for y in rows:
        for x in (left, right - size.width):
            yield _inside(x, y, size, picture)


def _inside(x: float, y: float, size: Size, picture: Size) -> Rect:
    left = min(max(round(x) // 2 * 2, 0), (picture.width - size.width) // 2 * 2)
    top = min(max(round(y) // 2 * 2, 0), (picture.height - size.height) // 2 * 2)
    return Rect(left, top, left + size.width, top + size.height)


def _overlap(a: Rect, b: Rect) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
