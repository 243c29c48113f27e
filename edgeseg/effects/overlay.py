"""The person tinted in one calm colour, with a thin contour."""

from __future__ import annotations

import cv2

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.ops.draw import crop, outline, person_box
from edgeseg.ops.masks import enlarge_chroma
from edgeseg.ops.planes import color_to_yuv, copy_planes
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Frame, Planes, Result, Size

DEFAULT_OPACITY = 0.4
TINT_RGB = (36, 140, 255)
CONTOUR_RGB = (204, 230, 255)
_LUMA_SHARE = 0.7  # colour goes on more strongly than brightness, so that faces keep their shape


class Overlay:
    """Tints the person and draws a contour around it; the background stays as filmed.

    opacity: 0..1 of the tint; the contour stays at any opacity.
    """

    name = "overlay"
    hides_background = False
    alpha = False

    def __init__(self, config: EffectConfig, opacity: float = DEFAULT_OPACITY) -> None:
        self._opacity = opacity
        self._cutter = Cutter(config)

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; without a valid matte the picture as it came."""
        copy_planes(frame.planes, out)
        alpha = self._cutter.chroma_alpha(frame, result)
        box = None if alpha is None else person_box(alpha, margin=8)
        if alpha is None or box is None:
            return
        share, view = alpha[box.top : box.bottom, box.left : box.right], crop(out, box)
        line = outline(share, frame.size)
        tint, contour = (color_to_yuv(rgb, frame.color) for rgb in (TINT_RGB, CONTOUR_RGB))
        faint = self._opacity * _LUMA_SHARE
        _paint(view.y, share, line, tint[0], contour[0], faint, self._cutter.scratch)
        _paint(view.u, share, line, tint[1], contour[1], self._opacity, self._cutter.scratch)
        _paint(view.v, share, line, tint[2], contour[2], self._opacity, self._cutter.scratch)


def _paint(
    plane: U8, share: U8, line: U8, tint: int, contour: int, opacity: float, scratch: Scratch
) -> None:
    """Draws tint and contour on a plane in place; share and line are of chroma size.

    What is kept of the plane and what is added to it are worked out at chroma size, so that
    luma costs two enlargements, a product and a sum.
    """
    rest = cv2.bitwise_not(src=line)
    body = cv2.multiply(src1=share, src2=rest, scale=opacity / 255)
    keep = cv2.subtract(src1=rest, src2=body)
    paint = cv2.addWeighted(src1=body, alpha=tint / 255, src2=line, beta=contour / 255, gamma=0)
    if plane.shape != share.shape:
        size = Size(plane.shape[1], plane.shape[0])
        keep = enlarge_chroma(keep, size, scratch, "overlay.keep")
        paint = enlarge_chroma(paint, size, scratch, "overlay.paint")
    cv2.multiply(src1=plane, src2=keep, dst=plane, scale=1 / 255)
    cv2.add(src1=plane, src2=paint, dst=plane)
