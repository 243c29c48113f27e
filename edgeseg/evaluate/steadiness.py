"""How much a model's masks flicker on a clip without labels."""

from __future__ import annotations

from collections.abc import Iterable

from edgeseg.ops.flicker import Flicker
from edgeseg.ops.labels import label_map
from edgeseg.protocols import Segmenter
from edgeseg.types import Frame, SemanticMap


class _NoTimes:
    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        """Times are not wanted."""


def clip_flicker(segmenter: Segmenter, frames: Iterable[Frame]) -> float:
    """Returns the flicker of a model's masks on consecutive frames, 0..1; NaN below two frames.

    Every class of a driving scene counts; of a portrait and of objects the background does not.
    """
    flicker: Flicker | None = None
    for frame in frames:
        result = segmenter.segment(frame, _NoTimes())
        if flicker is None:
            flicker = Flicker(background=None if isinstance(result, SemanticMap) else 0)
        flicker.add(frame.planes.y, label_map(result), cut=frame.cut)
    return float("nan") if flicker is None else flicker.mean
