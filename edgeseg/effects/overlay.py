"""The person tinted in one calm colour, with a thin contour."""

from __future__ import annotations

import cv2

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.ops.draw import crop, crop_alpha, mix, outline, person_box
from edgeseg.ops.masks import Alpha
from edgeseg.ops.planes import color_to_yuv, copy_planes
from edgeseg.types import Frame, Planes, Result, Size

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
        alpha = self._cutter.alpha(frame, result)
        box = None if alpha is None else person_box(alpha, margin=4)
        if alpha is None or box is None:
            return
        alpha, view = crop_alpha(alpha, box), crop(out, box)
        scratch = self._cutter.scratch
        tint = Alpha(
            cv2.convertScaleAbs(src=alpha.luma, alpha=self._opacity * _LUMA_SHARE),
            cv2.convertScaleAbs(src=alpha.chroma, alpha=self._opacity),
        )
        mix(view, color_to_yuv(TINT_RGB, frame.color), tint, scratch)
        line = outline(alpha, frame.size, scratch)
        mix(view, color_to_yuv(CONTOUR_RGB, frame.color), line, scratch)
