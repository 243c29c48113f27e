"""The person tinted in one calm colour, with a thin contour."""

from __future__ import annotations

import cv2

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.ops.draw import crop, outline, person_box
from edgeseg.ops.planes import color_to_yuv
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Frame, Matte, Planes, Size

DEFAULT_OPACITY = 0.4
TINT_RGB = (36, 140, 255)
CONTOUR_RGB = (204, 230, 255)


class PersonPainter:
    """Tints the person and draws a contour around it; the background stays as filmed.

    Only U and V are tinted, which takes 0.5 ms less at 720p than tinting Y too, and keeps light and
    shade of a face as they were. Thread-safe.

    opacity: 0..1 of the tint; the contour stays at any opacity.
    """

    def __init__(self, config: EffectConfig, opacity: float) -> None:
        self._opacity = opacity
        self._cutter = Cutter(config)

    def paint(self, frame: Frame, result: Matte, out: Planes) -> None:
        """Draws on ``out``, which holds the frame's picture."""
        alpha = self._cutter.rough_alpha(frame, result)
        box = None if alpha is None else person_box(alpha, margin=8)
        if alpha is None or box is None:
            return
        share, view = alpha[box.top : box.bottom, box.left : box.right], crop(out, box)
        line = outline(share, frame.size)
        tint, contour = (color_to_yuv(rgb, frame.color) for rgb in (TINT_RGB, CONTOUR_RGB))
        rest = cv2.bitwise_not(src=line)
        body = cv2.multiply(src1=share, src2=rest, scale=self._opacity / 255)
        keep = cv2.subtract(src1=rest, src2=body)
        for plane, inner, edge in ((view.u, tint[1], contour[1]), (view.v, tint[2], contour[2])):
            paint = cv2.addWeighted(
                src1=body, alpha=inner / 255, src2=line, beta=edge / 255, gamma=0
            )
            cv2.multiply(src1=plane, src2=keep, dst=plane, scale=1 / 255)
            cv2.add(src1=plane, src2=paint, dst=plane)
        light = cv2.convertScaleAbs(src=line, alpha=contour[0] / 255)
        _lighten(view.y, light, self._cutter.scratch)


def _lighten(y: U8, light: U8, scratch: Scratch) -> None:
    """Raises Y to at least ``light``, given at chroma size.

    It is enlarged by means of neighbours, which lie half a pixel up and left of where they should:
    0.12 ms at 720p instead of 0.36 ms with cv2.resize.
    """
    height, width = light.shape
    size = Size(2 * width, height)
    odd, even = scratch.u8("overlay.odd", size), scratch.u8("overlay.even", size)
    pairs = odd.reshape(height, width, 2)
    between = scratch.u8("overlay.between", Size(width, height))
    _means_with(light[:, 1:], light[:, :-1], between[:, 1:])
    between[:, 0] = light[:, 0]
    cv2.merge(mv=[between, light], dst=pairs)
    _means_with(odd[1:], odd[:-1], even[1:])
    even[0] = odd[0]
    rows, columns = y.shape
    cv2.max(src1=y[::2], src2=even[:, :columns], dst=y[::2])
    if rows > 1:
        cv2.max(src1=y[1::2], src2=odd[: rows // 2, :columns], dst=y[1::2])


def _means_with(picture: U8, neighbour: U8, out: U8) -> None:
    if picture.size:
        cv2.addWeighted(src1=picture, alpha=0.5, src2=neighbour, beta=0.5, gamma=0, dst=out)
