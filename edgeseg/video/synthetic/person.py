"""The sprites of the portrait scene: head, torso and forearm of a drawn person.

The unit is the height of the head from crown to chin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg.video.synthetic.canvas import Rgb, Sprite
from edgeseg.video.synthetic.paint import Painting, mirrored, shifted, tint

HEAD_PIVOT = (1.0, 1.44)  # where the neck carries the head
TORSO_PIVOT = (1.5, 0.2)  # the same point of the torso
ELBOW = (0.4, 1.95)
FACE = (1.0, 0.86)  # centre of the face in the head's sprite

_SKINS: tuple[Rgb, ...] = (
    (236, 196, 170), (224, 172, 140), (198, 144, 108), (150, 102, 74), (104, 70, 52)
)  # fmt: skip
_HAIR: tuple[Rgb, ...] = (
    (44, 34, 30), (84, 56, 38), (30, 28, 30), (150, 112, 66), (122, 116, 112)
)  # fmt: skip
_SHIRTS: tuple[Rgb, ...] = (
    (52, 74, 112), (128, 48, 52), (64, 92, 76), (198, 194, 186), (58, 58, 66), (188, 132, 62)
)  # fmt: skip
_WHITE: Rgb = (238, 236, 232)


@dataclass(frozen=True, slots=True)
class Person:
    """Sprites of one person, unit pixels to a head; ``blink`` is the head with closed eyes."""

    head: Sprite
    blink: Sprite
    torso: Sprite
    forearm: Sprite
    unit: float


@dataclass(frozen=True, slots=True)
class _Looks:
    skin: Rgb
    hair: Rgb
    shirt: Rgb
    long_hair: bool
    striped: bool


def make_person(unit: float, rng: np.random.Generator) -> Person:
    """Paints a person; the generator chooses skin, hair, shirt and hair style."""
    looks = _Looks(
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        shirt=_SHIRTS[rng.integers(len(_SHIRTS))],
        long_hair=bool(rng.integers(2)),
        striped=bool(rng.integers(2)),
    )
    strands = int(rng.integers(1 << 31))
    return Person(
        head=_head(unit, looks, strands, eyes_open=True),
        blink=_head(unit, looks, strands, eyes_open=False),
        torso=_torso(unit, looks),
        forearm=_forearm(unit, looks),
        unit=unit,
    )


def _head(unit: float, looks: _Looks, strands: int, *, eyes_open: bool) -> Sprite:
    art = Painting(2.0, 2.2, unit)
    rng = np.random.default_rng(strands)
    if looks.long_hair:
        back = mirrored([(0, -0.64), (0.32, -0.58), (0.47, -0.25), (0.5, 0.2), (0.53, 0.6),
                         (0.42, 0.82), (0.2, 0.78), (0, 0.7)])  # fmt: skip
        art.blob(shifted(back, *FACE), tint(looks.hair, 0.8))
        _strands(art, looks.hair, rng, bottom=0.8)
    else:
        nape = mirrored([(0, -0.62), (0.3, -0.56), (0.41, -0.2), (0.36, 0.16), (0, 0.3)])
        art.blob(shifted(nape, *FACE), tint(looks.hair, 0.75))
    _face(art, looks, eyes_open=eyes_open)
    _front_hair(art, looks, rng)
    return art.sprite()


def _strands(art: Painting, hair: Rgb, rng: np.random.Generator, *, bottom: float) -> None:
    cx, cy = FACE
    for _ in range(90):
        side, top = rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.2)
        end = (cx + side * 1.1, cy + rng.uniform(top, bottom))
        art.stroke([(cx + side * 0.8, cy + top), (cx + side, cy + (top + end[1] - cy) / 2), end],
                   0.008, tint(hair, rng.uniform(0.6, 1.5)), strength=0.5, add=False)  # fmt: skip


def _face(art: Painting, looks: _Looks, *, eyes_open: bool) -> None:
    cx, cy = FACE
    skin = looks.skin
    neck = mirrored([(0, 0.2), (0.2, 0.24), (0.19, 0.62), (0.15, 0.74), (0, 0.76)])
    art.blob(shifted(neck, cx, cy), tint(skin, 0.82))
    for side in (-1, 1):
        art.oval(cx + side * 0.37, cy + 0.03, 0.055, 0.11, tint(skin, 0.9))
    outline = mirrored([(0, -0.5), (0.24, -0.43), (0.355, -0.15), (0.35, 0.1), (0.3, 0.28),
                        (0.16, 0.46), (0, 0.5)])  # fmt: skip
    art.blob(shifted(outline, cx, cy), skin)
    art.oval(cx + 0.27, cy + 0.1, 0.14, 0.4, tint(skin, 0.72), soft=0.06, strength=0.55, add=False)
    art.oval(cx - 0.14, cy - 0.22, 0.2, 0.14, tint(skin, 1.15), soft=0.06, strength=0.6, add=False)
    r, g, b = skin
    blush = (min(255, r + 10), int(g * 0.84), int(b * 0.84))
    for side in (-1, 1):
        art.oval(cx + side * 0.19, cy + 0.16, 0.08, 0.06, blush, soft=0.03, strength=0.5, add=False)
        _eye(art, cx + side * 0.15, cy - 0.03, looks, eyes_open=eyes_open)
    _nose_and_mouth(art, looks)


def _eye(art: Painting, x: float, y: float, looks: _Looks, *, eyes_open: bool) -> None:
    dark = tint(looks.skin, 0.45)
    art.oval(x, y - 0.01, 0.1, 0.06, tint(looks.skin, 0.8), soft=0.02, strength=0.7, add=False)
    lid = [(x - 0.07, y + 0.01), (x - 0.03, y - 0.03), (x + 0.03, y - 0.03), (x + 0.07, y + 0.01)]
    if eyes_open:
        art.blob([(x - 0.072, y + 0.005), (x, y - 0.034), (x + 0.072, y + 0.005), (x, y + 0.03)],
                 _WHITE, add=False)  # fmt: skip
        art.oval(x, y, 0.03, 0.031, (82, 62, 44), add=False)
        art.oval(x, y, 0.014, 0.014, (18, 16, 16), add=False)
        art.oval(x - 0.01, y - 0.012, 0.007, 0.007, (255, 255, 255), add=False)
    else:
        lid = [(px, y + 0.02 - (py - y) * 0.3) for px, py in lid]
    art.stroke(lid, 0.016, dark, add=False)
    out = 1 if x > FACE[0] else -1
    brow = [
        (x - out * 0.09, y - 0.105),
        (x, y - 0.13),
        (x + out * 0.06, y - 0.12),
        (x + out * 0.1, y - 0.085),
    ]
    art.stroke(brow, 0.03, tint(looks.hair, 0.9), soft=0.006, strength=0.9, add=False)


def _nose_and_mouth(art: Painting, looks: _Looks) -> None:
    cx, cy = FACE
    shade, light = tint(looks.skin, 0.68), tint(looks.skin, 1.16)
    art.stroke([(cx + 0.035, cy), (cx + 0.05, cy + 0.13)], 0.03, shade, soft=0.02,
               strength=0.5, add=False)  # fmt: skip
    art.stroke([(cx - 0.005, cy - 0.02), (cx, cy + 0.13)], 0.03, light, soft=0.015,
               strength=0.5, add=False)  # fmt: skip
    for side in (-1, 1):
        art.oval(cx + side * 0.035, cy + 0.165, 0.016, 0.009, tint(looks.skin, 0.45), soft=0.006,
                 strength=0.8, add=False)  # fmt: skip
    r, g, b = looks.skin
    lips = (int(r * 0.84), int(g * 0.58), int(b * 0.58))
    upper = [(-0.13, 0.27), (-0.04, 0.262), (0, 0.27), (0.04, 0.262), (0.13, 0.27), (0, 0.302)]
    lower = [(-0.12, 0.276), (0, 0.304), (0.12, 0.276), (0.06, 0.338), (-0.06, 0.338)]
    art.blob(shifted(upper, cx, cy), tint(lips, 0.88), add=False)
    art.blob(shifted(lower, cx, cy), lips, add=False)
    smile = [(-0.135, 0.266), (-0.07, 0.292), (0, 0.304), (0.07, 0.292), (0.135, 0.266)]
    art.stroke(shifted(smile, cx, cy), 0.01, tint(lips, 0.5), add=False)
    art.oval(cx, cy + 0.37, 0.07, 0.015, shade, soft=0.012, strength=0.5, add=False)


def _front_hair(art: Painting, looks: _Looks, rng: np.random.Generator) -> None:
    cx, cy = FACE
    outer = [(-0.42, 0.02), (-0.45, -0.28), (-0.32, -0.56), (-0.02, -0.68), (0.3, -0.6),
             (0.45, -0.3), (0.42, 0.02)]  # fmt: skip
    fringe = [(0.36, -0.1), (0.31, -0.26), (0.12, -0.36), (-0.1, -0.31), (-0.26, -0.22),
              (-0.355, -0.08)]  # fmt: skip
    art.blob(shifted([*outer, *fringe], cx, cy), looks.hair)
    if looks.long_hair:
        for side in (-1, 1):
            lock = [(0.38, -0.3), (0.47, -0.2), (0.5, 0.3), (0.46, 0.78), (0.36, 0.7), (0.37, 0.2)]
            art.blob([(cx + side * x, cy + y) for x, y in lock], looks.hair)
    art.oval(cx - 0.15, cy - 0.5, 0.2, 0.06, tint(looks.hair, 1.6), soft=0.04, strength=0.5,
             add=False)  # fmt: skip
    for _ in range(60):
        angle, length = rng.uniform(-1.2, 1.2), rng.uniform(0.05, 0.16)
        x, y = cx + 0.4 * np.sin(angle), cy - 0.12 - 0.42 * np.cos(angle)
        tip = (x + length * np.cos(angle), y + length * np.sin(angle) * 0.8)
        shade = tint(looks.hair, rng.uniform(0.6, 1.5))
        if looks.long_hair or y < cy - 0.32:
            art.stroke([(x, y), tip], 0.008, shade, strength=0.4, add=False)


def _torso(unit: float, looks: _Looks) -> Sprite:
    art = Painting(3.0, 3.6, unit)
    cx, cy = TORSO_PIVOT
    shirt, skin = looks.shirt, looks.skin
    neck = mirrored([(0, -0.12), (0.19, -0.1), (0.2, 0.1), (0.34, 0.24), (0.2, 0.4), (0, 0.44)])
    art.blob(shifted(neck, cx, cy), skin)
    art.oval(cx, cy - 0.02, 0.24, 0.13, tint(skin, 0.6), soft=0.05, strength=0.8, add=False)
    right = [(0.22, 0.12), (0.3, 0.16), (0.62, 0.25), (0.9, 0.36), (1.03, 0.56), (1.1, 1.0),
             (1.16, 1.7), (1.18, 3.7)]  # fmt: skip
    neckline = [(-0.16, 0.26), (0, 0.38), (0.16, 0.26)]
    outline = [*right, *((-x, y) for x, y in reversed(right)), *neckline]
    art.blob(shifted(outline, cx, cy), shirt)
    if looks.striped:
        for row in range(9):
            y = 0.55 + row * 0.33
            art.stroke(shifted([(-1.3, y + 0.05), (0, y - 0.02), (1.3, y + 0.05)], cx, cy), 0.1,
                       tint(shirt, 1.35), strength=0.7, add=False)  # fmt: skip
    collar = [(-0.21, 0.17), (-0.16, 0.27), (0, 0.4), (0.16, 0.27), (0.21, 0.17)]
    art.stroke(shifted(collar, cx, cy), 0.05, tint(shirt, 0.75))
    art.shape(shifted([(0.45, 0.2), (1.3, 0.2), (1.3, 3.6), (0.7, 3.6)], cx, cy),
              tint(shirt, 0.6), soft=0.2, strength=0.6, add=False)  # fmt: skip
    art.oval(cx - 0.5, cy + 0.6, 0.35, 0.3, tint(shirt, 1.3), soft=0.14, strength=0.5, add=False)
    for side in (-1, 1):
        crease = [(side * 0.76, 0.85), (side * 0.72, 1.3), (side * 0.78, 2.4)]
        art.stroke(shifted(crease, cx, cy), 0.05, tint(shirt, 0.45), soft=0.03, strength=0.7,
                   add=False)  # fmt: skip
    return art.sprite()


def _forearm(unit: float, looks: _Looks) -> Sprite:
    art = Painting(0.8, 2.2, unit)
    skin, shirt, (ex, ey) = looks.skin, looks.shirt, ELBOW
    for x, y in ((-0.15, -1.6), (-0.05, -1.68), (0.05, -1.66), (0.14, -1.56)):
        art.stroke([(ex + x * 0.8, ey - 1.25), (ex + x, ey + y)], 0.085, skin)
        art.stroke([(ex + x * 0.8 + 0.04, ey - 1.28), (ex + x + 0.04, ey + y)], 0.014,
                   tint(skin, 0.7), soft=0.008, strength=0.7, add=False)  # fmt: skip
    art.stroke([(ex - 0.1, ey - 1.12), (ex - 0.25, ey - 1.33)], 0.09, tint(skin, 0.95))
    palm = [(-0.17, -1.32), (0.15, -1.32), (0.15, -1.1), (0.08, -0.95), (0.1, -0.8), (-0.1, -0.8),
            (-0.09, -0.95), (-0.17, -1.1)]  # fmt: skip
    art.blob(shifted(palm, ex, ey), skin)
    art.oval(ex + 0.04, ey - 1.12, 0.08, 0.12, tint(skin, 0.85), soft=0.04, strength=0.6, add=False)
    sleeve = [(-0.13, -0.86), (0.13, -0.86), (0.2, -0.4), (0.22, 0.1), (-0.22, 0.1), (-0.18, -0.4)]
    art.blob(shifted(sleeve, ex, ey), shirt)
    art.stroke(shifted([(-0.13, -0.84), (0.13, -0.84)], ex, ey), 0.04, tint(shirt, 0.75))
    art.stroke(shifted([(0.12, -0.8), (0.18, 0.2)], ex, ey), 0.12, tint(shirt, 0.55), soft=0.05,
               strength=0.7, add=False)  # fmt: skip
    return art.sprite()
