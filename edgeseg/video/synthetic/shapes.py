"""The shapes scene: discs, boxes and triangles that bounce and turn, nearer ones over farther."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.types import Size
from edgeseg.video.synthetic.canvas import F64, Canvas, Rgb
from edgeseg.video.synthetic.paint import blur, tint

COUNT = 9
SHAPE_LABELS = ("background", *(f"shape {i}" for i in range(1, COUNT + 1)))

_KINDS: tuple[F64, ...] = (
    np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 2 * np.pi, 64, endpoint=False)]),
    np.array([[-0.9, -0.7], [0.9, -0.7], [0.9, 0.7], [-0.9, 0.7]]),
    np.array([[np.cos(a), np.sin(a)] for a in (-np.pi / 2, np.pi / 6, 5 * np.pi / 6)]),
)
_COLOURS: tuple[Rgb, ...] = (
    (214, 80, 64), (64, 132, 206), (240, 186, 66), (92, 170, 102), (158, 96, 184),
    (236, 132, 58), (72, 178, 180), (222, 120, 160), (130, 140, 60),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shape:
    outline: F64  # float [N, 2] around 0, radius in pixels
    start: F64  # px
    velocity: F64  # px a second
    turn: float  # radians a second
    rgb: Rgb


class ShapesScene:
    """Instance ids are 1..9 from far to near; a pixel belongs to the nearest shape over it."""

    labels = SHAPE_LABELS

    def __init__(self, size: Size, seed: int) -> None:
        rng = np.random.default_rng([seed, 3])
        self._backdrop = Canvas(size)
        grain = rng.integers(0, 56, (18, 32, 1)) + rng.integers(70, 130, (1, 1, 3))
        fine = cv2.resize(
            src=grain.astype(np.uint8), dsize=(320, 180), interpolation=cv2.INTER_CUBIC
        )
        self._backdrop.fill(blur(fine, 3.0), 0)
        self._room = np.array(size, np.float64)
        side = float(min(size))
        order = rng.permutation(len(_COLOURS))
        self._shapes = [
            _Shape(
                outline=_KINDS[i % len(_KINDS)] * side * rng.uniform(0.09, 0.2),
                start=rng.uniform(0, 1, 2) * self._room,
                velocity=rng.uniform(0.15, 0.45, 2) * side * rng.choice([-1, 1], 2),
                turn=float(rng.uniform(-1.2, 1.2)),
                rgb=_COLOURS[order[i % len(_COLOURS)]],
            )
            for i in range(COUNT)
        ]

    def draw(self, t: float) -> Canvas:
        """Returns a new canvas with the picture and truth at time ``t``."""
        canvas = self._backdrop.copy()
        for number, shape in enumerate(self._shapes, start=1):
            centre = _bounce(shape.start + shape.velocity * t, self._room)
            c, s = np.cos(shape.turn * t), np.sin(shape.turn * t)
            turned = shape.outline @ np.array([[c, s], [-s, c]])
            canvas.polygons((turned + centre)[None], shape.rgb, number)
            canvas.marks((turned * 0.55 + centre)[None], tint(shape.rgb, 0.72))
        return canvas


def _bounce(position: F64, room: F64) -> F64:
    """Reflects a straight path at the walls 0 and ``room``: a triangle wave."""
    folded: F64 = room - np.abs(position % (2 * room) - room)
    return folded
