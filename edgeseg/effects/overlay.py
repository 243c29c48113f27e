"""What the network saw, drawn over the picture: a person, a scene, or objects."""

from __future__ import annotations

from edgeseg.config import EffectConfig
from edgeseg.effects import paint_objects, paint_person, paint_scene
from edgeseg.ops.planes import copy_planes
from edgeseg.protocols import Hides
from edgeseg.types import Frame, Matte, Planes, Result, SemanticMap, Size


class Overlay:
    """Paints whatever kind of result a frame comes with.

    opacity: 0..1 of the tint, None = what suits the kind of result.
    """

    name = "overlay"
    hides: Hides = "nothing"
    alpha = False

    def __init__(self, config: EffectConfig, opacity: float | None = None) -> None:
        def chosen(default: float) -> float:
            return default if opacity is None else opacity

        self._person = paint_person.PersonPainter(config, chosen(paint_person.DEFAULT_OPACITY))
        self._scene = paint_scene.ScenePainter(config, chosen(paint_scene.DEFAULT_OPACITY))
        self._objects = paint_objects.ObjectPainter(config, chosen(paint_objects.DEFAULT_OPACITY))

    def output_size(self, size: Size) -> Size:
        return size

    def render(self, frame: Frame, result: Result | None, out: Planes) -> None:
        """Draws one frame; without a valid result the picture as it came."""
        copy_planes(frame.planes, out)
        if result is None:
            return
        if isinstance(result, Matte):
            self._person.paint(frame, result, out)
        elif isinstance(result, SemanticMap):
            self._scene.paint(frame, result, out)
        else:
            self._objects.paint(frame, result, out)
