"""Single objects: soft fills, contours, and tags that say what they are."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edgeseg.config import EffectConfig
from edgeseg.effects.tags import Box, Tag, Tagger
from edgeseg.labels import RGB, distinct_color
from edgeseg.ops.draw import crop, outline
from edgeseg.ops.instances import object_mask, object_rect
from edgeseg.ops.planes import color_to_yuv
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Frame, Instances, Planes, Rect, Size

DEFAULT_OPACITY = 0.45
_LUMA = 0.35  # of the fill's opacity
_DARKEST = 140  # brightness of the contour of a dark colour
_STEEP = 3  # how many times steeper than the network's own the soft edge is


class ObjectPainter:
    """Tints each object inside its own box and names it; the best scores come out on top.

    Thread-safe. opacity: 0..1 of the fills; contours and tags stay at any opacity.
    """

    def __init__(self, config: EffectConfig, opacity: float) -> None:
        self._names = config.classes
        self._opacity = opacity
        self._tagger = Tagger()
        self._scratch = Scratch()

    def paint(self, frame: Frame, result: Instances, out: Planes) -> None:
        """Draws on ``out``, which holds the frame's picture."""
        shown = shown_objects(result, self._names)
        colors = [object_color(result, index) for index in shown]
        tags = []
        for index, color in zip(reversed(shown), reversed(colors), strict=True):
            box = self._fill(frame, result, index, color, out) or _box(result, index)
            tags.append(Tag(tag_text(result, index), box, color_to_yuv(color, frame.color)))
        self._tagger.draw(out, tags[::-1])

    def _fill(
        self, frame: Frame, result: Instances, index: int, color: RGB, out: Planes
    ) -> Box | None:
        """Paints one object; returns where it is seen to be, None for one without a pixel."""
        chroma = frame.size.chroma
        inner = object_rect(result, index, chroma, step=2)
        if inner is None:
            return None
        box = _grown(inner, 2 + round(0.006 * min(chroma)), chroma)
        alpha = np.zeros((box.bottom - box.top, box.right - box.left), np.uint8)
        mask = cv2.LUT(
            src=object_mask(result, index, inner, step=2), lut=_soft_edge(result.threshold)
        )
        left, top = inner.left - box.left, inner.top - box.top
        alpha[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        line = outline(alpha, frame.size)
        fill, edge = (color_to_yuv(rgb, frame.color) for rgb in (color, contour_color(color)))
        self._blend(crop(out, box), alpha, line, fill, edge)
        return _seen(alpha, box)

    def _blend(
        self,
        view: Planes,
        alpha: U8,
        line: U8,
        fill: tuple[int, int, int],
        edge: tuple[int, int, int],
    ) -> None:
        rest = cv2.bitwise_not(src=line)
        for plane, inner, rim, share in (
            (view.u, fill[1], edge[1], self._opacity),
            (view.v, fill[2], edge[2], self._opacity),
            (view.y, fill[0], edge[0], _LUMA * self._opacity),
        ):
            body = cv2.multiply(src1=alpha, src2=rest, scale=share / 255)
            keep = cv2.subtract(src1=rest, src2=body)
            paint = cv2.addWeighted(
                src1=body, alpha=inner / 255, src2=line, beta=rim / 255, gamma=0
            )
            if plane is view.y:
                keep, paint = (self._double(part, plane, n) for n, part in enumerate((keep, paint)))
            cv2.multiply(src1=plane, src2=keep, dst=plane, scale=1 / 255)
            cv2.add(src1=plane, src2=paint, dst=plane)

    def _double(self, part: U8, plane: U8, number: int) -> U8:
        """Returns weights of chroma size at the size of a Y plane, which may be one pixel short."""
        size = Size(2 * part.shape[1], 2 * part.shape[0])
        big = self._scratch.u8(f"objects.{number}", size)
        cv2.resize(src=part, dsize=tuple(size), dst=big, interpolation=cv2.INTER_LINEAR)
        return big[: plane.shape[0], : plane.shape[1]]


def shown_objects(result: Instances, names: tuple[str, ...]) -> list[int]:
    """Returns the objects of the named classes, of all without names, best score first."""
    if not names:
        return list(range(len(result)))
    numbers = result.label_set.numbers(names)
    return [int(i) for i in np.flatnonzero(np.isin(result.labels, numbers))]


def object_color(result: Instances, index: int) -> RGB:
    """Returns an object's colour: its own as far as it has an identity, else its class's."""
    if result.ids is not None:
        return distinct_color(int(result.ids[index]))
    return result.label_set.colors[int(result.labels[index])]


def tag_text(result: Instances, index: int) -> str:
    """Returns what a tag says, such as ``car 92%`` or ``#3 car 92%``."""
    name = result.label_set.names[int(result.labels[index])]
    known = "" if result.ids is None else f"#{int(result.ids[index])} "
    return f"{known}{name} {round(100 * float(result.scores[index]))}%"


def contour_color(rgb: RGB) -> RGB:
    """Returns a lighter shade of a colour, bright however dark the colour is."""
    brightness = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    missing = max(_DARKEST - brightness, 0)
    share = max(missing / (255 - min(brightness, _DARKEST)), 0.25)
    red, green, blue = (round(level + share * (255 - level)) for level in rgb)
    return red, green, blue


def _seen(alpha: U8, place: Rect) -> Box | None:
    """Returns the frame's pixels that an object covers, from the left end of its upper third on.

    A tag there touches the roof of a car or a head, where the box's corner may be far off.
    """
    solid = cv2.threshold(src=alpha, thresh=127, maxval=255, type=cv2.THRESH_BINARY)[1]
    left, top, width, height = cv2.boundingRect(array=solid)
    if not width:
        return None
    upper = solid[top : top + (height + 2) // 3]
    first = cv2.boundingRect(array=upper)[0]
    x, y = place.left, place.top
    return 2.0 * (x + first), 2.0 * (y + top), 2.0 * (x + left + width), 2.0 * (y + top + height)


def _box(result: Instances, index: int) -> Box:
    left, top, right, bottom = (float(side) for side in result.boxes_xyxy[index])
    return left, top, right, bottom


def _grown(rect: Rect, margin: int, grid: Size) -> Rect:
    return Rect(
        max(rect.left - margin, 0),
        max(rect.top - margin, 0),
        min(rect.right + margin, grid.width),
        min(rect.bottom + margin, grid.height),
    )


@lru_cache(maxsize=16)
def _soft_edge(threshold: float) -> U8:
    """Returns the table from an object's probability to alpha, half at the threshold."""
    levels = np.arange(256) / 255
    alpha = np.clip(0.5 + _STEEP * (levels - threshold), 0, 1)
    return np.rint(255 * alpha).astype(np.uint8)
