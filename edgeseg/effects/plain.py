"""Effects that leave the picture alone: ``none``, and ``side-by-side`` with another effect."""

from __future__ import annotations

import numpy as np

from edgeseg.ops.planes import copy_planes
from edgeseg.ops.scratch import Scratch
from edgeseg.protocols import Effect, Hides
from edgeseg.types import Frame, Planes, Result, Size


class Plain:
    """The picture as it came."""

    name = "none"
    hides: Hides = "nothing"
    alpha = False

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Copies the frame."""
        copy_planes(frame.planes, out)


class SideBySide:
    """The picture as it came on the left, another effect's on the right."""

    name = "side-by-side"
    hides: Hides = "nothing"  # the left half shows everything

    def __init__(self, effect: Effect) -> None:
        self.effect = effect
        self._scratch = Scratch()

    @property
    def alpha(self) -> bool:
        return self.effect.alpha

    def output_size(self, size: Size) -> Size:
        inner = self.effect.output_size(size)
        return Size(size.width + inner.width, inner.height)

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws both halves. With an odd width they share one column of U and V, the left's."""
        width, columns = frame.size.width, frame.size.chroma.width
        copy_planes(
            frame.planes,
            Planes(
                out.y[:, :width],
                out.u[:, :columns],
                out.v[:, :columns],
                None if out.a is None else out.a[:, :width],
            ),
        )
        if width % 2 == 0:
            right = Planes(
                out.y[:, width:],
                out.u[:, columns:],
                out.v[:, columns:],
                None if out.a is None else out.a[:, width:],
            )
            self.effect.render(frame, result, right)
            return
        self._render_odd(frame, result, out)

    def _render_odd(self, frame: Frame, result: Result | None, out: Planes) -> None:
        width, columns = frame.size.width, frame.size.chroma.width
        size = self.effect.output_size(frame.size)
        half = self._scratch.planes("right", size)
        right_alpha = None if out.a is None else self._scratch.u8("right.a", size)
        half = Planes(half.y, half.u, half.v, right_alpha)
        self.effect.render(frame, result, half)
        if out.a is not None and right_alpha is not None:
            np.copyto(out.a[:, width:], right_alpha)
        np.copyto(out.y[:, width:], half.y)
        np.copyto(out.u[:, columns:], half.u[:, 1:])
        np.copyto(out.v[:, columns:], half.v[:, 1:])


def hidden_by(effect: Effect) -> Hides:
    """Returns what an effect hides; beside the picture, what it hides in its own half."""
    return (effect.effect if isinstance(effect, SideBySide) else effect).hides
