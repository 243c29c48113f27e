"""The person on nothing: planes with an alpha plane."""

from __future__ import annotations

import numpy as np

from edgeseg.config import EffectConfig
from edgeseg.effects.cutter import Cutter
from edgeseg.ops.draw import fill
from edgeseg.ops.planes import color_to_yuv
from edgeseg.protocols import Hides
from edgeseg.types import Frame, Planes, Result, Size


class Transparent:
    """Straight alpha: the person's own colours, black where nothing of the person is."""

    name = "alpha"
    hides: Hides = "background"
    alpha = True

    def __init__(self, config: EffectConfig) -> None:
        self._cutter = Cutter(config)

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; all of it is transparent without a valid matte."""
        fill(out, color_to_yuv((0, 0, 0), frame.color), alpha=0)
        alpha = self._cutter.alpha(frame, result)
        if alpha is not None:
            self._cutter.lift(frame, alpha, out)
            if out.a is not None:
                np.copyto(out.a, alpha.luma)
