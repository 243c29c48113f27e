"""Which colour means what: a strip of swatches and names along the bottom of the picture."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgeseg.effects.patch import Patch, even, make_patch, make_room, mix, rounded
from edgeseg.effects.typeface import Typeface, best_typeface
from edgeseg.labels import LabelSet
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, ColorSpace, Planes, Rect, Size

_TEXT_SHARE = 0.022  # of the picture's height
_SMALLEST_PX, _LEAST_PX = 11, 8  # wanted, and still legible
_TALLEST = 0.15  # share of the picture's height
_OPACITY = 0.62
_PANEL_RGB, _TEXT_RGB = (14, 18, 24), (240, 243, 246)
_ABSENT = 0.3  # how strongly a class that is not in the picture is written
_STEPS = 3
_PRESENT = 0.002  # share of the picture from which a class is written in full
_KEPT = 64


class _Entry(NamedTuple):
    """A class in the strip: its number, where its swatch goes, where its text starts and ends."""

    number: int
    swatch: Rect
    text: int
    baseline: int
    end: int


@dataclass(frozen=True, slots=True)
class _Strip:
    """A laid-out legend: sizes, places, and what its letters cover, uint8 [h, w]."""

    size: Size
    text: int
    entries: tuple[_Entry, ...]
    letters: U8


class Legend:
    """Draws the names of classes in their colours; thread-safe, the same for the same frame.

    Every class keeps its place in the picture whether it is there or not; absent ones are dimmed,
    in steps, so that a class at the edge of being there does not blink. Strips are kept: drawing
    one anew takes 1 ms at 720p, laying it on the picture 0.05 ms. Where not all classes find room
    in a seventh of the picture there is no legend.
    """

    def __init__(self) -> None:
        self._face: Typeface = best_typeface()
        self._lock = threading.Lock()
        self._scratch = Scratch()
        self._strips: dict[tuple[object, ...], _Strip | None] = {}
        self._patches: dict[tuple[object, ...], Patch] = {}

    def draw(
        self,
        picture: Planes,
        color: ColorSpace,
        label_set: LabelSet,
        *,
        numbers: Sequence[int],
        shares: Sequence[float],
    ) -> None:
        """Draws the legend of these classes on a writable picture.

        shares: of the picture's area, by class number.
        """
        levels = tuple(_level(shares[number]) for number in numbers)
        place = (picture.size, label_set, tuple(numbers))
        with self._lock:
            patch = self._patches.get((place, color, levels))
            if patch is None:
                patch = self._make(place, color, levels)
        if patch is not None:
            patch.draw(picture, self._scratch)

    def _make(
        self,
        place: tuple[Size, LabelSet, tuple[int, ...]],
        color: ColorSpace,
        levels: tuple[int, ...],
    ) -> Patch | None:
        picture, label_set, numbers = place
        if place not in self._strips:
            make_room(self._strips, _KEPT)
            self._strips[place] = _lay_out(picture, label_set, numbers, self._face)
        strip = self._strips[place]
        if strip is None:
            return None
        rgb, alpha = _paint(strip, label_set, levels)
        left, top = _corner(picture, strip.size)
        make_room(self._patches, _KEPT)
        patch = make_patch(rgb, alpha, color, left=left, top=top)
        self._patches[place, color, levels] = patch
        return patch


def _level(share: float) -> int:
    return min(round(_STEPS * share / _PRESENT), _STEPS)


def _corner(picture: Size, strip: Size) -> tuple[int, int]:
    """Returns left and top of the strip, even, at the bottom in the middle."""
    left = (picture.width - strip.width) // 4 * 2
    gap = (picture.height - strip.height) // 2 * 2
    return left, min(gap, max(gap - max(picture.height // 80, 2) // 2 * 2, 0))


def _lay_out(
    picture: Size, label_set: LabelSet, numbers: Sequence[int], face: Typeface
) -> _Strip | None:
    """Returns the strip with the largest text up to the wanted one that fits, None without one."""
    text = max(round(_TEXT_SHARE * min(picture.height, 1.2 * picture.width)), _SMALLEST_PX)
    while text >= _LEAST_PX:
        strip = _flow(picture, label_set, numbers, text, face)
        if strip is not None:
            return strip
        text = min(text - 1, round(text * 0.93))
    return None


def _flow(
    picture: Size, label_set: LabelSet, numbers: Sequence[int], text: int, face: Typeface
) -> _Strip | None:
    """Puts swatches and names one after the other, in as many rows as it takes."""
    pad, line, gap = round(0.6 * text), round(1.5 * text), round(0.9 * text)
    side, room = round(0.72 * text), picture.width - 2 * text
    widths = [face.width(label_set.names[n], text, 500) for n in numbers]
    rows = _rows([side + text // 3 + width for width in widths], gap, room - 2 * pad)
    height = even(len(rows) * line - (line - text) + 2 * pad)
    if not rows or height > _TALLEST * picture.height:
        return None
    entries = []
    widest = 0
    for row, members in enumerate(rows):
        x, baseline = pad, pad + row * line + round(0.82 * text)
        for member in members:
            top = baseline - round(0.68 * text)
            swatch = Rect(x, top, x + side, top + side)
            words = x + side + text // 3
            entries.append(_Entry(numbers[member], swatch, words, baseline, words + widths[member]))
            x = words + widths[member] + gap
        widest = max(widest, x - gap + pad)
    size = Size(even(widest), height)
    if size.width > picture.width or size.height > picture.height:
        return None
    letters = np.zeros((size.height, size.width), np.uint8)
    for entry in entries:
        name = label_set.names[entry.number]
        face.draw(letters, name, x=entry.text, baseline=entry.baseline, size_px=text, weight=500)
    return _Strip(size, text, tuple(entries), letters)


def _rows(widths: Sequence[int], gap: int, room: int) -> list[list[int]]:
    """Returns the positions of the widths in each row; none when one is wider than the room."""
    rows: list[list[int]] = []
    used = 0
    for position, width in enumerate(widths):
        if width > room:
            return []
        if not rows or used + gap + width > room:
            rows.append([])
            used = -gap
        rows[-1].append(position)
        used += gap + width
    return rows


def _paint(strip: _Strip, label_set: LabelSet, levels: Sequence[int]) -> tuple[U8, U8]:
    """Returns the strip's colours, uint8 [h, w, 3] RGB, and its alpha, uint8 [h, w]."""
    rgb = np.empty((*strip.letters.shape, 3), np.uint8)
    rgb[:] = _PANEL_RGB
    alpha = rounded(strip.size, radius=round(0.45 * strip.text), level=round(255 * _OPACITY))
    ink = np.zeros_like(strip.letters)
    for entry, level in zip(strip.entries, levels, strict=True):
        strength = _ABSENT + (1 - _ABSENT) * level / _STEPS
        box = entry.swatch
        colour = np.array(label_set.colors[entry.number])
        faint = (1 - strength) * np.array(_PANEL_RGB)
        rgb[box.top : box.bottom, box.left : box.right] = np.rint(strength * colour + faint)
        alpha[box.top : box.bottom, box.left : box.right] = 255
        rows = slice(max(entry.baseline - strip.text, 0), entry.baseline + strip.text // 2)
        word = (rows, slice(entry.text, entry.end + 1))
        ink[word] = np.rint(strip.letters[word] * strength)
    mix(rgb, ink, _TEXT_RGB)
    np.maximum(alpha, ink, out=alpha)
    return rgb, alpha
