"""The sprites of the road scene, painted in metres: cars, trees, people, bicyclists, signs."""

from __future__ import annotations

import numpy as np

from edgeseg.video.synthetic.canvas import Rgb, Sprite
from edgeseg.video.synthetic.paint import Painting, Points, tint

CAR_COLOURS: tuple[Rgb, ...] = (
    (150, 34, 36), (38, 62, 104), (188, 190, 194), (44, 46, 50), (222, 222, 218), (86, 104, 82)
)  # fmt: skip
CLOTHES: tuple[Rgb, ...] = (
    (60, 76, 120), (136, 58, 52), (70, 70, 74), (176, 152, 92), (64, 104, 84)
)  # fmt: skip
_GLASS: Rgb = (58, 72, 82)
_TYRE: Rgb = (26, 26, 28)
_SKIN: Rgb = (206, 160, 130)


def paint_car(rgb: Rgb, *, from_behind: bool) -> Sprite:
    """Returns a car 1.9 m wide and 1.5 m high."""
    art = Painting(1.9, 1.5, 110)
    for x in (0.16, 1.46):
        art.shape(_box(x, 1.1, 0.28, 0.4), _TYRE)
    body = [(0.1, 0.75), (0.3, 0.62), (0.45, 0.14), (0.7, 0.05), (1.2, 0.05), (1.45, 0.14),
            (1.6, 0.62), (1.8, 0.75), (1.84, 1.1), (1.76, 1.3), (0.14, 1.3),
            (0.06, 1.1)]  # fmt: skip
    art.blob(body, rgb)
    art.oval(0.95, 0.1, 0.5, 0.06, tint(rgb, 1.35), soft=0.03, add=False)
    art.shape(_box(0, 1.0, 1.9, 0.4), tint(rgb, 0.6), soft=0.06, strength=0.8, add=False)
    art.blob([(0.42, 0.6), (0.54, 0.2), (0.95, 0.16), (1.36, 0.2), (1.48, 0.6), (0.95, 0.64)],
             _GLASS, add=False)  # fmt: skip
    art.shape([(0.6, 0.24), (0.86, 0.22), (0.66, 0.58), (0.5, 0.58)], (120, 138, 148), soft=0.02,
              strength=0.6, add=False)  # fmt: skip
    lamp: Rgb = (190, 30, 28) if from_behind else (246, 244, 226)
    for x in (0.16, 1.46):
        art.shape(_box(x, 0.78, 0.28, 0.13), lamp, add=False)
    if not from_behind:
        art.shape(_box(0.55, 0.82, 0.8, 0.14), (34, 34, 36), add=False)
    art.shape(_box(0.7, 1.02, 0.5, 0.12), (232, 230, 214), add=False)
    return art.sprite()


def paint_tree(rng: np.random.Generator) -> Sprite:
    """Returns a tree 5 m wide and 7.5 m high: round masses, then leaves, lit from above."""
    art = Painting(5.0, 7.5, 44)
    bark: Rgb = (62, 52, 44)
    art.shape([(2.36, 7.5), (2.42, 4.5), (2.6, 4.5), (2.7, 7.5)], bark)
    art.stroke([(2.5, 5.2), (1.7, 3.9)], 0.14, bark)
    art.stroke([(2.5, 5.0), (3.4, 3.8)], 0.12, tint(bark, 0.9))
    green = tint((66, 88, 46), rng.uniform(0.85, 1.15))
    for layer, shade in enumerate((0.45, 0.65, 0.85)):
        for _ in range(26):
            angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) ** 0.6
            x = 2.5 + reach * 1.8 * np.cos(angle) - 0.1 * layer
            y = 2.6 + reach * 1.9 * np.sin(angle) - 0.18 * layer
            radius = rng.uniform(0.22, 0.5) * (1 - 0.12 * layer)
            art.oval(x, y, radius, radius * 0.85, tint(green, shade * rng.uniform(0.9, 1.1)))
    for _ in range(450):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) ** 0.5
        dx, dy = reach * 2.2 * np.cos(angle), reach * 2.3 * np.sin(angle)
        radius, light = rng.uniform(0.04, 0.11), rng.choice((0.35, 0.6, 1.0, 1.3)) * (1 - 0.15 * dy)
        leaf = tint(green, light)
        art.oval(2.5 + dx, 2.5 + dy, radius, radius * rng.uniform(0.6, 1.0), leaf)
    return art.sprite()


def paint_pedestrian(coat: Rgb, *, stride: float) -> Sprite:
    """Returns a walker 0.9 m wide and 1.8 m high; stride -1..1 is how far the legs are apart."""
    art = Painting(0.9, 1.8, 120)
    trousers = tint(coat, 0.5)
    for side in (-1, 1):
        foot = 0.45 + side * (0.04 + 0.16 * stride)
        art.stroke([(0.45 + side * 0.06, 0.9), (0.45 + side * 0.09, 1.3), (foot, 1.72)], 0.14,
                   tint(trousers, 1 + 0.2 * side))  # fmt: skip
        art.oval(foot + 0.03, 1.76, 0.09, 0.04, _TYRE)
        hand = (0.45 + side * (0.24 - 0.08 * stride), 1.0)
        art.stroke([(0.45 + side * 0.17, 0.42), (0.45 + side * 0.23, 0.72), hand], 0.1,
                   tint(coat, 0.85))  # fmt: skip
        art.oval(*hand, 0.05, 0.05, _SKIN)
    art.blob([(0.27, 0.38), (0.45, 0.33), (0.63, 0.38), (0.64, 0.7), (0.6, 1.0), (0.3, 1.0),
              (0.26, 0.7)], coat)  # fmt: skip
    _small_head(art, 0.45, 0.19)
    return art.sprite()


def paint_bicyclist(coat: Rgb, *, stride: float) -> Sprite:
    """Returns a bicyclist seen from behind, 0.9 m wide and 1.8 m high."""
    art = Painting(0.9, 1.8, 120)
    art.stroke([(0.45, 1.1), (0.45, 1.76)], 0.07, _TYRE)
    art.stroke([(0.16, 0.86), (0.74, 0.86)], 0.05, (70, 72, 76))
    for side in (-1, 1):
        knee = 1.16 + 0.1 * side * stride
        art.stroke([(0.45 + side * 0.08, 0.9), (0.45 + side * 0.15, knee),
                    (0.45 + side * 0.12, knee + 0.34)], 0.13, tint(coat, 0.55))  # fmt: skip
        art.stroke([(0.45 + side * 0.17, 0.42), (0.45 + side * 0.28, 0.66),
                    (0.45 + side * 0.26, 0.86)], 0.1, tint(coat, 0.9))  # fmt: skip
    art.blob([(0.28, 0.38), (0.45, 0.33), (0.62, 0.38), (0.6, 0.8), (0.56, 0.98), (0.34, 0.98),
              (0.3, 0.8)], coat)  # fmt: skip
    _small_head(art, 0.45, 0.2)
    art.blob([(0.33, 0.19), (0.36, 0.09), (0.45, 0.05), (0.54, 0.09), (0.57, 0.19)],
             (214, 196, 60))  # fmt: skip
    return art.sprite()


def paint_sign(number: int) -> Sprite:
    """Returns a traffic sign 0.9 m across: a speed limit, a warning or a parking sign."""
    art = Painting(0.9, 0.9, 120)
    if number % 3 == 0:
        art.oval(0.45, 0.45, 0.42, 0.42, (196, 32, 34))
        art.oval(0.45, 0.45, 0.31, 0.31, (240, 240, 236))
        art.shape(_box(0.28, 0.32, 0.12, 0.26), (24, 24, 26))
        art.oval(0.56, 0.45, 0.09, 0.14, (24, 24, 26))
    elif number % 3 == 1:
        art.shape([(0.45, 0.05), (0.87, 0.8), (0.03, 0.8)], (196, 32, 34))
        art.shape([(0.45, 0.22), (0.72, 0.7), (0.18, 0.7)], (240, 240, 236))
        art.shape(_box(0.42, 0.36, 0.06, 0.28), (24, 24, 26))
    else:
        art.shape(_box(0.08, 0.08, 0.74, 0.74), (28, 84, 164))
        art.stroke([(0.34, 0.68), (0.34, 0.22), (0.52, 0.24), (0.58, 0.34), (0.52, 0.46),
                    (0.36, 0.46)], 0.09, (240, 240, 236))  # fmt: skip
    return art.sprite()


def _small_head(art: Painting, x: float, y: float) -> None:
    art.oval(x, y, 0.1, 0.13, _SKIN)
    art.blob([(x - 0.11, y), (x - 0.09, y - 0.11), (x, y - 0.15), (x + 0.09, y - 0.11),
              (x + 0.11, y), (x, y - 0.05)], (62, 46, 36))  # fmt: skip


def _box(x: float, y: float, w: float, h: float) -> Points:
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
