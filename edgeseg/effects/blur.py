"""The background out of focus, the person as filmed."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.ops.draw import blend_planes, enlarge, shrink_planes, small_grid, spread, sure
from edgeseg.ops.image import shrink
from edgeseg.ops.masks import Alpha
from edgeseg.protocols import Hides
from edgeseg.types import U8, Frame, Planes, Result, Size

DEFAULT_STRENGTH = 0.6
_WEAKEST, _STRONGEST = 0.009, 0.05  # Gaussian sigma as a share of the picture's shorter side


class Blur:
    """Blurs only the background: no colour of the person bleeds into it.

    strength: 0..1, from slightly soft to shapes only; the default hides what a room holds.
    The blur is a normalised convolution over sure background pixels on a grid of a few pixels,
    so strong blurs cost less than weak ones.
    """

    name = "blur"
    hides: Hides = "background"
    alpha = False

    def __init__(self, config: EffectConfig, strength: float = DEFAULT_STRENGTH) -> None:
        self._share = _WEAKEST + (_STRONGEST - _WEAKEST) * strength
        self._cutter = Cutter(config)

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; blurs all of it without a valid matte."""
        alpha = self._cutter.alpha(frame, result)
        self._blur(frame.planes, alpha, out)
        if alpha is not None:
            blend_planes(frame.planes, out, alpha, out, self._cutter.scratch)

    def _blur(self, planes: Planes, alpha: Alpha | None, out: Planes) -> None:
        sigma = self._share * min(planes.size)
        factor = 1
        while sigma / factor >= 3:
            factor *= 2
        grid = small_grid(planes.size, factor)
        picture = shrink_planes(planes, grid)
        enlarge(spread(picture, _background(alpha, grid), sigma / factor), out)


def _background(alpha: Alpha | None, grid: Size) -> U8:
    """Returns uint8 weights on the grid, zero on the person and in a ring around it.

    The ring keeps hair and cloth just outside a slightly small mask out of the blur (no halo).
    """
    if alpha is None:
        return np.full((grid.height, grid.width), 255, np.uint8)
    person = shrink(alpha.chroma, grid)
    radius = max(round(0.008 * min(grid)), 1)
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    grown = cv2.dilate(src=person, kernel=kernel, borderType=cv2.BORDER_REPLICATE)
    return sure(cv2.bitwise_not(src=grown))
