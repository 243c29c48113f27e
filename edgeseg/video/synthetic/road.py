"""The road scene: a drive down a street with cars, people, trees and signs, CamVid's 11 classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg.types import Size
from edgeseg.video.synthetic import street, traffic
from edgeseg.video.synthetic.canvas import Canvas, Placement, Sprite
from edgeseg.video.synthetic.street import LOOP, NEAR, ROAD_LABELS, View

_SPEED = 10.0  # m a second, ours
_SMALLEST = 12.0  # px high at 720 lines; less is not drawn


@dataclass(frozen=True, slots=True)
class _Thing:
    """Something upright at x, z metres that moves along the street at speed metres a second.

    frames are its sprites, shown in turn while it moves; raised is how far above the ground it is.
    """

    frames: tuple[Sprite, ...]
    label: int
    x: float
    z: float
    width: float
    height: float
    unit: float  # sprite pixels a metre
    speed: float = 0.0
    raised: float = 0.0
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class _Post:
    """A pole (length 0, that high) or a fence (that long) at x, z metres."""

    x: float
    z: float
    height: float
    length: float = 0.0


class RoadScene:
    """Draws the drive at any moment; ``t`` is scene time in seconds."""

    labels = ROAD_LABELS

    def __init__(self, size: Size, seed: int) -> None:
        rng = np.random.default_rng([seed, 2])
        self._view = View.of(size)
        self._backdrop = street.paint_backdrop(size, self._view, rng)
        self._houses = street.make_houses(rng)
        self._things, self._posts = _trees(rng), _lamps_and_fences(rng)
        _add_signs(self._things, self._posts, rng)
        _add_cars(self._things, rng)
        _add_people(self._things, rng)
        self._lead = self._things[-1]
        self._phase = float(rng.uniform(0, 6))

    def draw(self, t: float) -> Canvas:
        """Returns a new canvas with the picture and truth at time ``t``."""
        canvas, view, travelled = self._backdrop.copy(), self._view, _SPEED * t
        street.draw_slabs(canvas, view, travelled)
        street.draw_lane_marks(canvas, view, travelled)
        houses = [(_ahead(h.z - travelled, h.length), h) for h in self._houses]
        for z, house in sorted(houses, key=lambda pair: -pair[0]):
            street.draw_house(canvas, view, house, z)
        items: list[tuple[float, _Thing | _Post]] = [
            (self._distance(thing, t), thing) for thing in self._things
        ]
        items += [(_ahead(post.z - travelled, post.length), post) for post in self._posts]
        for z, item in sorted(items, key=lambda pair: -pair[0]):
            if isinstance(item, _Thing):
                self._draw_thing(canvas, item, z, t)
            elif item.length:
                street.draw_fence(canvas, view, item.x, z, item.length)
            elif z * 2 < view.focal:  # a thinner post would be drawn wider than it is
                street.draw_pole(canvas, view, item.x, z, item.height)
        return canvas

    def _distance(self, thing: _Thing, t: float) -> float:
        if thing is self._lead:
            return thing.z + 5.0 * float(np.sin(0.5 * t + self._phase))
        return _ahead(thing.z + (thing.speed - _SPEED) * t, 0.0)

    def _draw_thing(self, canvas: Canvas, thing: _Thing, z: float, t: float) -> None:
        scale = self._view.focal / z
        if scale * thing.height < _SMALLEST:
            return
        if thing.shadow:
            street.draw_shadow(canvas, self._view, thing.x, z, thing.width)
        turn = int(abs(thing.z + t * 3)) % len(thing.frames)
        foot = self._view.project([(thing.x, thing.raised, z)])[0, 0]
        placement = Placement.of(
            pivot=(thing.width / 2 * thing.unit, thing.height * thing.unit),
            at=(float(foot[0]), float(foot[1])),
            scale=scale / thing.unit,
        )
        canvas.paste(thing.frames[turn], placement, thing.label)


def _ahead(z: float, length: float) -> float:
    """Returns the distance on the loop; a thing stays until its far end has passed the camera."""
    return float((z + length - NEAR) % LOOP + NEAR - length)


def _trees(rng: np.random.Generator) -> list[_Thing]:
    kinds = [traffic.paint_tree(rng) for _ in range(3)]
    spots = [(-7.6 if i % 2 else 6.2, i * LOOP / 14 + rng.uniform(-4, 4)) for i in range(14)]
    return [
        _Thing((kinds[i % 3],), street.TREE, x, float(z), 5.0, 7.5, 44)
        for i, (x, z) in enumerate(spots)
    ]


def _lamps_and_fences(rng: np.random.Generator) -> list[_Post]:
    lamps = [_Post(4.4 if i % 2 else -5.8, i * LOOP / 8 + 3, 6.5) for i in range(8)]
    starts = rng.uniform(0, LOOP, 4)
    fences = [_Post(-8.4 if i % 2 else 7.1, float(z), 1.1, 12.0) for i, z in enumerate(starts)]
    return lamps + fences


def _add_signs(things: list[_Thing], posts: list[_Post], rng: np.random.Generator) -> None:
    for i in range(6):
        x, z = (4.5, -5.9)[i % 2], i * LOOP / 6 + float(rng.uniform(0, 12))
        posts.append(_Post(x, z + 0.02, 2.6))
        sprite = traffic.paint_sign(i)
        things.append(_Thing((sprite,), street.SIGN, x, z, 0.9, 0.9, 120, raised=2.0))


def _add_people(things: list[_Thing], rng: np.random.Generator) -> None:
    coats = [traffic.CLOTHES[i] for i in rng.permutation(len(traffic.CLOTHES))]
    lead = things.pop()
    for i, coat in enumerate(coats):
        steps = tuple(traffic.paint_pedestrian(coat, stride=s) for s in (-0.8, 0.2, 0.9))
        x, walk = (5.3, -6.7)[i % 2], (1.3, -1.3)[i // 2 % 2]
        z = float(rng.uniform(0, LOOP))
        things.append(_Thing(steps, street.PEDESTRIAN, x, z, 0.9, 1.8, 120, walk, shadow=True))
    for i in range(2):
        legs = tuple(traffic.paint_bicyclist(coats[i], stride=s) for s in (-1.0, 1.0))
        z = float(rng.uniform(10, 40) + i * LOOP / 2)
        things.append(_Thing(legs, street.BICYCLIST, 1.5, z, 0.9, 1.8, 120, 6.0, shadow=True))
    things.append(lead)


def _add_cars(things: list[_Thing], rng: np.random.Generator) -> None:
    """Adds parked and oncoming cars and, last, the one that we follow."""
    colours = [traffic.CAR_COLOURS[i] for i in rng.permutation(len(traffic.CAR_COLOURS))]
    backs = [traffic.paint_car(rgb, from_behind=True) for rgb in colours]
    fronts = [traffic.paint_car(rgb, from_behind=False) for rgb in colours]

    def car(sprite: Sprite, x: float, z: float, speed: float) -> _Thing:
        return _Thing((sprite,), street.CAR, x, z, 1.9, 1.5, 110, speed, shadow=True)

    parked = [i * LOOP / 6 + float(rng.uniform(0, 14)) for i in range(6)]
    oncoming = [i * LOOP / 4 + float(rng.uniform(0, 25)) for i in range(4)]
    things.extend(car(backs[i], 2.85, z, 0.0) for i, z in enumerate(parked))
    things.extend(car(fronts[i], -3.4, z, -9.0) for i, z in enumerate(oncoming))
    things.append(car(backs[int(rng.integers(6))], 0.1, 17.0, _SPEED))
