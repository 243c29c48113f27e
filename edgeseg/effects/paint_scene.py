"""A driving scene in the colours of its classes, with thin borders and a legend."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from edgeseg.config import EffectConfig
from edgeseg.effects.legend import Legend
from edgeseg.labels import LabelSet
from edgeseg.ops.planes import color_to_yuv
from edgeseg.ops.regions import borders, enlarge_labels
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, ColorSpace, Frame, Planes, SemanticMap, Size

DEFAULT_OPACITY = 0.55
_LUMA = 0.55  # of the tint's opacity: enough to tell classes apart at night, and lanes stay visible
_LINE, _FULL_LINE = 11.0, 300
"""Levels of Y by which each neighbour on a border lightens a pixel, in pictures whose chroma planes
have that shorter side; less in smaller ones, where the lines are broader than what they enclose."""
_LONGEST = 960  # of the grid on which labels are coloured
_NOTHING = 255  # label of what is not painted
UNPAINTED = frozenset({"background", "void", "unlabeled", "unlabelled", "unknown", "ignore"})
"""Names of classes that stay as filmed unless they are asked for."""


class _Paint(NamedTuple):
    """Look-up tables by class number: its label or _NOTHING, its colour's Y, U, V times its share,
    and what the picture keeps of Y, and of U and V. plain: every class is painted."""

    labels: U8
    tints: tuple[U8, U8, U8]
    kept: tuple[U8, U8, U8]
    plain: bool


class ScenePainter:
    """Tints every chosen class. Thread-safe.

    opacity: 0..1 of the tint in U and V; Y gets about half of it. 720p from a 240x180 map takes
    1.5 ms with the legend.
    """

    def __init__(self, config: EffectConfig, opacity: float) -> None:
        self._names = config.classes
        self._opacity = opacity
        self._legend = Legend() if config.legend else None
        self._scratch = Scratch()

    def paint(self, frame: Frame, result: SemanticMap, out: Planes) -> None:
        """Draws on ``out``, which holds the frame's picture."""
        label_set = result.label_set
        numbers = painted(label_set, self._names)
        if not numbers:
            return
        paint = _tables(label_set, numbers, frame.color, self._opacity)
        self._tint(paint, result.labels, out)
        if self._legend is not None:
            shares = class_shares(result.labels, len(label_set))
            self._legend.draw(out, frame.color, label_set, numbers=numbers, shares=shares)

    def _tint(self, paint: _Paint, labels: U8, out: Planes) -> None:
        scratch = self._scratch
        grid = coloring_grid(out.size.chroma)
        relabelled = cv2.LUT(src=labels, lut=paint.labels)
        big = enlarge_labels(relabelled, grid, scratch)
        line, strength = borders(big, scratch), _LINE * min(min(grid) / _FULL_LINE, 1)
        for index, plane in enumerate((out.y, out.u, out.v)):
            tint = scratch.u8("scene.tint", grid)
            cv2.LUT(src=big, lut=paint.tints[index], dst=tint)
            if index == 0:
                cv2.addWeighted(src1=tint, alpha=1, src2=line, beta=strength, gamma=0, dst=tint)
            tint = self._fit(tint, plane, "scene.fitted")
            if paint.plain:
                kept = float(paint.kept[index][0]) / 255
                cv2.addWeighted(src1=plane, alpha=kept, src2=tint, beta=1, gamma=0, dst=plane)
                continue
            keep = scratch.u8("scene.keep", grid)
            cv2.LUT(src=big, lut=paint.kept[index], dst=keep)
            keep = self._fit(keep, plane, "scene.kept")
            cv2.multiply(src1=plane, src2=keep, dst=plane, scale=1 / 255)
            cv2.add(src1=plane, src2=tint, dst=plane)

    def _fit(self, small: U8, plane: U8, name: str) -> U8:
        if small.shape == plane.shape:
            return small
        size = Size(plane.shape[1], plane.shape[0])
        big = self._scratch.u8(name, size)
        cv2.resize(src=small, dsize=tuple(size), dst=big, interpolation=cv2.INTER_LINEAR)
        return big


def painted(label_set: LabelSet, names: tuple[str, ...]) -> tuple[int, ...]:
    """Returns the classes to paint: the named ones, or all that are something."""
    if names:
        return label_set.numbers(names)
    return tuple(i for i, name in enumerate(label_set.names) if name.lower() not in UNPAINTED)


def class_shares(labels: U8, classes: int) -> list[float]:
    """Returns each class's share of a label picture."""
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).reshape(-1)
    return [float(count) / labels.size for count in counts[:classes]]


def coloring_grid(chroma: Size) -> Size:
    """Returns the size of the U and V planes, halved until it is cheap enough to colour."""
    width, height = chroma
    while max(width, height) > _LONGEST:
        width, height = (width + 1) // 2, (height + 1) // 2
    return Size(width, height)


@lru_cache(maxsize=32)
def _tables(
    label_set: LabelSet, numbers: tuple[int, ...], color: ColorSpace, opacity: float
) -> _Paint:
    shares = (_LUMA * opacity, opacity, opacity)
    labels = np.full(256, _NOTHING, np.uint8)
    tints = np.zeros((3, 256), np.uint8)
    kept = np.full((3, 256), 255, np.uint8)
    for number in numbers:
        labels[number] = number
        yuv = color_to_yuv(label_set.colors[number], color)
        for plane, (level, share) in enumerate(zip(yuv, shares, strict=True)):
            tints[plane, number] = round(level * share)
            kept[plane, number] = round(255 * (1 - share))
    plain = len(numbers) == len(label_set)
    return _Paint(labels, (tints[0], tints[1], tints[2]), (kept[0], kept[1], kept[2]), plain)
