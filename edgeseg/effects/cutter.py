"""What every effect that separates person and background shares: alpha, and pasting with it."""

from __future__ import annotations

import cv2

from edgeseg.config import EffectConfig
from edgeseg.ops.draw import blend_planes, crop, crop_alpha, decontaminate, soft_box
from edgeseg.ops.masks import Alpha, cut_out, cut_out_chroma
from edgeseg.ops.scratch import Scratch
from edgeseg.types import U8, Frame, Planes, Result

_MARGIN_SHARE = 0.03  # of the chroma plane's shorter side: room to see what lies beside the edge


class Cutter:
    """Cuts persons out of frames as an ``EffectConfig`` says; thread-safe."""

    def __init__(self, config: EffectConfig) -> None:
        self._config = config
        self.scratch = Scratch()

    def alpha(self, frame: Frame, result: Result | None) -> Alpha | None:
        """Returns the frame's alpha, or None when all of it counts as background.

        The alpha is valid until the thread's next call.
        """
        if result is None or not result.present:
            return None
        return cut_out(
            frame.planes,
            result,
            scratch=self.scratch,
            feather=self._config.feather,
            refine=self._config.refine,
        )

    def chroma_alpha(self, frame: Frame, result: Result | None) -> U8 | None:
        """Returns ``alpha``'s chroma plane only, for effects that need no more."""
        if result is None or not result.present:
            return None
        return cut_out_chroma(
            frame.planes,
            result,
            scratch=self.scratch,
            feather=self._config.feather,
            refine=self._config.refine,
        )

    def paste(self, frame: Frame, alpha: Alpha, out: Planes) -> None:
        """Draws the person on ``out``, which holds the new background of the frame's size."""
        if not self._config.decontaminate:
            blend_planes(frame.planes, out, alpha, out, self.scratch)
            return
        box = soft_box(alpha.chroma, margin=self._margin(alpha))
        if box is not None:
            soft, view = crop_alpha(alpha, box), crop(out, box)
            colors = decontaminate(crop(frame.planes, box), soft, self.scratch)
            blend_planes(colors, view, soft, view, self.scratch)
        self._copy_opaque(frame.planes, alpha, out)

    def lift(self, frame: Frame, alpha: Alpha, out: Planes) -> None:
        """Writes the person's own colours into ``out`` wherever alpha is above 0."""
        box = soft_box(alpha.chroma, margin=self._margin(alpha))
        if box is not None:
            soft, view, source = crop_alpha(alpha, box), crop(out, box), crop(frame.planes, box)
            if self._config.decontaminate:
                source = decontaminate(source, soft, self.scratch)
            for plane, mask, target in _each(source, soft, view):
                cv2.copyTo(src=plane, mask=mask, dst=target)
        self._copy_opaque(frame.planes, alpha, out)

    def _copy_opaque(self, planes: Planes, alpha: Alpha, out: Planes) -> None:
        for plane, share, target in _each(planes, alpha, out):
            opaque = cv2.inRange(src=share, lowerb=255, upperb=255)
            cv2.copyTo(src=plane, mask=opaque, dst=target)

    @staticmethod
    def _margin(alpha: Alpha) -> int:
        shorter: int = min(alpha.chroma.shape)
        return max(round(_MARGIN_SHARE * shorter), 8)


def _each(source: Planes, alpha: Alpha, out: Planes) -> list[tuple[U8, U8, U8]]:
    """Pairs each plane with its share of alpha and its target."""
    return [
        (source.y, alpha.luma, out.y),
        (source.u, alpha.chroma, out.u),
        (source.v, alpha.chroma, out.v),
    ]
