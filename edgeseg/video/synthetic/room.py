"""The backdrop of the portrait scene: a room with a window, a shelf, a picture and a plant."""

from __future__ import annotations

import numpy as np

from edgeseg.types import U8, Size
from edgeseg.video.synthetic.canvas import Rgb
from edgeseg.video.synthetic.paint import Painting, Points, blur, tint

_LARGEST = 1280  # px; a bigger room would only be blurred away again
_WALLS: tuple[Rgb, ...] = (
    (196, 188, 174), (168, 184, 190), (176, 190, 168), (204, 182, 168), (150, 158, 172)
)  # fmt: skip
_BOOKS: tuple[Rgb, ...] = (
    (142, 52, 44), (40, 78, 112), (58, 96, 66), (190, 160, 84), (92, 66, 92), (210, 204, 190),
    (60, 60, 64), (176, 98, 54),
)  # fmt: skip
_DEFOCUS = 0.0035  # of the picture's height: the room lies behind the plane of focus


def paint_room(size: Size, rng: np.random.Generator) -> U8:
    """Returns uint8 [h, w, 3] BGR of about ``size``, never larger than 1280 pixels a side."""
    unit = size.height * min(1.0, _LARGEST / max(size))
    aspect = size.width / size.height
    room = Painting(aspect, 1.0, unit)
    wall = _WALLS[rng.integers(len(_WALLS))]
    _wall(room, aspect, wall)
    left = bool(rng.integers(2))
    window_x, shelf_x = (0.05, 0.66) if left else (0.60, 0.03)
    _window(room, window_x * aspect, 0.36 * aspect)
    _shelf(room, shelf_x * aspect, min(0.31 * aspect, 1.2), tint(wall, 0.55), rng)
    _framed_picture(room, (0.47 if left else 0.42) * aspect, rng)
    _plant(room, (0.55 if left else 0.50) * aspect, rng)
    return blur(room.bgr, _DEFOCUS * unit)


def box(x: float, y: float, w: float, h: float) -> Points:
    """Returns the corners of an upright rectangle."""
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]


def _wall(room: Painting, aspect: float, wall: Rgb) -> None:
    room.shape(box(-1, -1, aspect + 2, 3), wall)
    room.oval(0.2 * aspect, 0.3, 0.8 * aspect, 0.6, tint(wall, 1.14), soft=0.2, strength=0.8)
    room.shape(box(-1, 0.86, aspect + 2, 1), tint(wall, 0.72), soft=0.02)
    room.shape(box(-1, 0.845, aspect + 2, 0.02), tint(wall, 1.2))


def _window(room: Painting, x: float, width: float) -> None:
    top, height = 0.06, 0.56
    room.shape(box(x - 0.02, top - 0.02, width + 0.04, height + 0.05), (232, 230, 224))
    room.shape(box(x, top, width, height), (176, 208, 236))
    room.shape(box(x, top + 0.16, width, height - 0.16), (214, 228, 238), soft=0.06, add=False)
    trees = [(x, top + height), (x, 0.5)]
    trees += [(x + f * width, 0.47 + 0.04 * np.sin(17 * f)) for f in np.linspace(0, 1, 12)]
    room.shape([*trees, (x + width, top + height)], (96, 128, 84), soft=0.008)
    for f in (0.333, 0.667):
        room.shape(box(x + f * width - 0.006, top, 0.012, height), (226, 224, 218))
    room.shape(box(x, top + 0.26, width, 0.012), (226, 224, 218))
    room.shape(box(x - 0.035, top + height + 0.02, width + 0.07, 0.03), (212, 208, 200))
    for side in (x - 0.09, x + width - 0.01):
        for fold in range(4):
            shade = 0.86 + 0.14 * (fold % 2)
            room.shape(box(side + fold * 0.025, 0.0, 0.025, 0.8), tint((198, 176, 150), shade))


def _shelf(room: Painting, x: float, width: float, wood: Rgb, rng: np.random.Generator) -> None:
    room.shape(box(x, 0.1, width, 0.78), tint(wood, 0.62))
    for level in range(4):
        top = 0.1 + level * 0.19
        cursor = x + 0.02
        while cursor < x + width - 0.05:
            thick, tall = rng.uniform(0.014, 0.04), rng.uniform(0.1, 0.155)
            if rng.random() < 0.82:
                rgb = tint(_BOOKS[rng.integers(len(_BOOKS))], rng.uniform(0.7, 1.05))
                room.shape(box(cursor, top + 0.18 - tall, thick, tall), rgb)
                room.shape(box(cursor, top + 0.2 - tall, thick, 0.012), tint(rgb, 1.4))
            cursor += thick + 0.002
        room.shape(box(x - 0.008, top + 0.18, width + 0.016, 0.016), wood)
    for side in (x - 0.008, x + width - 0.008):
        room.shape(box(side, 0.08, 0.016, 0.8), tint(wood, 1.1))
    room.shape(box(x - 0.008, 0.08, width + 0.016, 0.02), tint(wood, 1.15))


def _framed_picture(room: Painting, x: float, rng: np.random.Generator) -> None:
    room.shape(box(x + 0.008, 0.108, 0.2, 0.26), (70, 66, 60), soft=0.012, strength=0.5)
    room.shape(box(x, 0.1, 0.2, 0.26), (62, 48, 38))
    room.shape(box(x + 0.014, 0.114, 0.172, 0.232), (224, 220, 208))
    warm, cool = rng.integers(90, 220, 3), rng.integers(60, 180, 3)
    room.oval(x + 0.08, 0.22, 0.045, 0.06, (int(warm[0]), int(warm[1]), int(warm[2])))
    room.oval(x + 0.125, 0.26, 0.04, 0.05, (int(cool[0]), int(cool[1]), int(cool[2])))


def _plant(room: Painting, x: float, rng: np.random.Generator) -> None:
    for _ in range(16):
        lean, reach = rng.uniform(-0.16, 0.16), rng.uniform(0.2, 0.36)
        tip, width = (x + lean, 0.8 - reach), rng.uniform(0.012, 0.03)
        middle = (x + lean * 0.35, 0.8 - reach * 0.6)
        leaf = [(x, 0.8), (middle[0] - width, middle[1]), tip, (middle[0] + width, middle[1])]
        room.blob(leaf, tint((74, 118, 66), rng.uniform(0.6, 1.25)))
    room.shape([(x - 0.06, 0.78), (x + 0.06, 0.78), (x + 0.045, 0.9), (x - 0.045, 0.9)],
               (168, 108, 78))  # fmt: skip
