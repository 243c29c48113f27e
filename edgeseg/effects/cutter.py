"""What every effect that separates people and background shares: alpha, and pasting with it."""

from __future__ import annotations

import cv2

from edgeseg.config import EffectConfig
from edgeseg.ops.draw import blend_planes
from edgeseg.ops.foreground import foreground
from edgeseg.ops.masks import Alpha, cut_out, cut_out_roughly
from edgeseg.ops.scratch import Scratch
from edgeseg.ops.soft_edge import lift, paste
from edgeseg.types import U8, Frame, Planes, Result


class Cutter:
    """Cuts people, or the chosen classes, out of frames; thread-safe."""

    def __init__(self, config: EffectConfig) -> None:
        self._config = config
        self.scratch = Scratch()

    def alpha(self, frame: Frame, result: Result | None) -> Alpha | None:
        """Returns the frame's alpha, or None when all of it counts as background.

        The alpha is valid until the thread's next call.
        """
        matte = foreground(result, self._config.classes)
        if matte is None:
            return None
        return cut_out(
            frame.planes,
            matte,
            scratch=self.scratch,
            feather=self._config.feather,
            refine=self._config.refine,
        )

    def rough_alpha(self, frame: Frame, result: Result | None) -> U8 | None:
        """Returns alpha for the U and V planes only, good enough to draw on, not to cut with."""
        matte = foreground(result, self._config.classes)
        if matte is None:
            return None
        return cut_out_roughly(
            frame.planes,
            matte,
            scratch=self.scratch,
            feather=self._config.feather,
            refine=self._config.refine,
        )

    def paste(self, frame: Frame, alpha: Alpha, out: Planes) -> None:
        """Draws the person on ``out``, which holds the new background of the frame's size."""
        if self._config.decontaminate:
            paste(frame.planes, alpha, out)
        else:
            blend_planes(frame.planes, out, alpha, out, self.scratch)

    def lift(self, frame: Frame, alpha: Alpha, out: Planes) -> None:
        """Writes the person's own colours into ``out`` wherever alpha is above 0."""
        if self._config.decontaminate:
            lift(frame.planes, alpha, out)
            return
        for plane, share, target in (
            (frame.planes.y, alpha.luma, out.y),
            (frame.planes.u, alpha.chroma, out.u),
            (frame.planes.v, alpha.chroma, out.v),
        ):
            cv2.copyTo(src=plane, mask=share, dst=target)
