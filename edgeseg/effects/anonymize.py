"""People, or other chosen classes, made unrecognisable."""

from __future__ import annotations

from edgeseg.config import EffectConfig
from edgeseg.ops.foreground import wanted
from edgeseg.ops.hidden import How, hide, pieces, whole
from edgeseg.ops.planes import copy_planes
from edgeseg.protocols import Hides
from edgeseg.types import Frame, Matte, Planes, Result, Size


class Anonymize:
    """Pixelates or blurs the masks of the chosen classes, grown by a margin.

    The whole picture where it is not known what to hide: without a result, and with the result of
    a model that knows none of the classes. The presence gate says nothing here: what looks like a
    person is hidden even where nobody is believed to be.
    """

    name = "anonymize"
    hides: Hides = "objects"
    alpha = False

    def __init__(self, config: EffectConfig, how: How = "pixelate") -> None:
        self._config = config
        self._how = how

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame."""
        copy_planes(frame.planes, out)
        numbers: tuple[int, ...] = ()
        if result is not None and not isinstance(result, Matte):
            numbers = wanted(result.label_set, self._config.classes)
        if result is None or not (numbers or isinstance(result, Matte)):
            hide(frame.planes, whole(frame.size), self._how, out)
            return
        for piece in pieces(result, numbers, margin=self._config.margin):
            hide(frame.planes, piece, self._how, out)
