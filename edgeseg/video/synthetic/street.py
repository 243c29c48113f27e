"""The built part of the road scene: projection, backdrop, houses, fences, poles, lane marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeseg.types import U8, Size
from edgeseg.video.synthetic.canvas import F64, Canvas, Rgb
from edgeseg.video.synthetic.paint import Painting, tint

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
ROAD_LABELS = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car",
    "Pedestrian", "Bicyclist",
)  # fmt: skip

NEAR = 2.0  # m in front of the camera where things leave the picture
_JOINT: Rgb = (128, 124, 118)
LOOP = 168.0  # m after which the street repeats
KERBS = (-5.25, 3.9)  # m left and right of our lane's middle
_WALLS = (-9.0, 7.6)
_CAMERA = 1.4  # m above the road
_DETAIL = 50.0  # m; farther windows and boards would be specks
_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_RING = np.stack([0.55 * np.cos(_TURN), np.zeros(16), 0.35 * np.sin(_TURN)], axis=1)
_HAZE: Rgb = (190, 202, 212)
_FACADES: tuple[Rgb, ...] = (
    (168, 120, 92), (190, 176, 150), (146, 92, 76), (178, 170, 164), (202, 186, 140),
    (126, 130, 136),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """A camera that looks down the street; metres x right, y up, z ahead to pixels."""

    focal: float
    centre: tuple[float, float]

    @staticmethod
    def of(size: Size) -> View:
        """Returns the camera for a picture: its height and, where narrow, its width decide."""
        focal = min(size.height, 1.2 * size.width)
        return View(0.95 * focal, (0.5 * size.width, 0.44 * size.height))

    def project(self, points: Sequence[tuple[float, float, float]] | F64) -> F64:
        """Returns float [1, N, 2] pixels of [N, 3] metres, or [M, N, 2] of [M, N, 3]; z > 0."""
        solid = np.asarray(points, np.float64)
        k = self.focal / solid[..., 2]
        flat = np.empty((*solid.shape[:-1], 2))
        flat[..., 0] = self.centre[0] + k * solid[..., 0]
        flat[..., 1] = self.centre[1] + k * (_CAMERA - solid[..., 1])
        return flat if flat.ndim == 3 else flat[None]


@dataclass(frozen=True, slots=True)
class House:
    """side -1 left, 1 right; z, length, height in metres."""

    side: int
    z: float
    length: float
    height: float
    rgb: Rgb


def far(rgb: Rgb, z: float) -> Rgb:
    """Returns a colour as seen through z metres of haze, in few steps so that it can be cached."""
    share = min(1.0, round(z / 8) * 8 / 260)
    r, g, b = (round(c + (h - c) * share) for c, h in zip(rgb, _HAZE, strict=True))
    return r, g, b


def paint_backdrop(size: Size, view: View, rng: np.random.Generator) -> Canvas:
    """Returns sky, skyline, pavements and road, the parts that never move."""
    canvas = Canvas(size)
    canvas.fill(_sky(size, view, rng), SKY)
    width, horizon, bottom = size.width, view.centre[1], float(size.height)
    left, right = -float(width), 2.0 * width
    for label, rgb, tall in ((BUILDING, (168, 172, 178), 0.055), (TREE, (132, 150, 128), 0.03)):
        steps = np.repeat(rng.uniform(0.3, 1.0, 48), 2) * tall * size.height
        xs = np.repeat(np.linspace(left, right, 49), 2)[1:-1]
        top = np.stack([xs, horizon - steps], axis=1)
        skyline = np.vstack([[[left, horizon + 2]], top, [[right, horizon + 2]]])
        canvas.polygons(skyline[None], rgb, label)
    ground = np.array([[left, horizon], [right, horizon], [right, 2 * bottom], [left, 2 * bottom]])
    canvas.polygons(ground[None], (146, 142, 136), PAVEMENT)
    canvas.polygons(_strip(view, -8.2, 6.9), (162, 158, 152), PAVEMENT)
    canvas.polygons(_strip(view, KERBS[0] - 0.25, KERBS[1] + 0.25), (186, 184, 178), PAVEMENT)
    canvas.polygons(_strip(view, *KERBS), (92, 92, 96), ROAD)
    for x in np.concatenate([np.arange(-8.0, KERBS[0], 0.6), np.arange(6.7, KERBS[1], -0.6)]):
        canvas.marks(_strip(view, x - 0.015, x + 0.015), _JOINT)
    canvas.marks(_strip(view, 1.7, 1.85), (204, 204, 200))
    _darken_towards_camera(canvas, int(horizon))
    return canvas


def _sky(size: Size, view: View, rng: np.random.Generator) -> U8:
    art = Painting(1.6, 0.9, 400)
    rows = np.linspace(0, 1, art.bgr.shape[0])[:, None, None]
    top, low = np.array([206, 158, 112]), np.array([228, 220, 208])
    art.bgr[:] = (top + (low - top) * np.minimum(1, rows * 2)).astype(np.uint8)
    art.alpha[:] = 255
    horizon = 0.9 * view.centre[1] / size.height
    for _ in range(9):
        x, y = rng.uniform(0, 1.6), rng.uniform(0.05, 0.75) * horizon
        for _ in range(5):
            dx, dy = rng.normal(0, 0.09), rng.normal(0, 0.012)
            art.oval(x + dx, y + dy, 0.1, 0.022, (244, 246, 248), soft=0.016, strength=0.55)
    return art.bgr


def _strip(view: View, left: float, right: float) -> F64:
    """Returns the outline of a band of ground from the horizon to behind the picture's bottom."""
    near = 0.2
    return view.project([(left, 0, near), (left, 0, 1e5), (right, 0, 1e5), (right, 0, near)])


def _darken_towards_camera(canvas: Canvas, horizon: int) -> None:
    ground = canvas.y[horizon:]
    ramp = np.linspace(22, -10, len(ground))[:, None]
    ground[:] = np.clip(ground + ramp, 16, 235).astype(np.uint8)


def draw_lane_marks(canvas: Canvas, view: View, travelled: float) -> None:
    """Draws the dashes between the lanes, 3 m long and 6 m apart."""
    low = np.arange(0, 90, 9.0) - travelled % 9.0
    high = low + 3.0
    low, high = np.maximum(low, 0.5)[high > 0.6], high[high > 0.6]
    dashes = np.zeros((len(low), 4, 3))
    dashes[:, :, 0] = -1.82, -1.82, -1.68, -1.68
    dashes[:, :, 2] = np.stack([low, high, high, low], axis=1)
    canvas.marks(view.project(dashes), (222, 222, 216))


def draw_slabs(canvas: Canvas, view: View, travelled: float) -> None:
    """Draws the joints across the pavements' slabs, 0.9 m apart, as far as they can be seen."""
    z = np.arange(0.9, 28, 0.9) - travelled % 0.9
    z = z[z > 0.5]
    joints = np.zeros((2, len(z), 4, 3))
    for side, (left, right) in zip(joints, ((-8.2, KERBS[0]), (KERBS[1], 6.9)), strict=True):
        side[:, :, 0] = left, left, right, right
        side[:, :, 2] = np.stack([z, z + 0.03, z + 0.03, z], axis=1)
    canvas.marks(view.project(joints.reshape(-1, 4, 3)), _JOINT)


def make_houses(rng: np.random.Generator) -> list[House]:
    """Returns the houses of both sides over one loop of the street."""
    houses = []
    for side in (-1, 1):
        z = 0.0
        while z < LOOP - 14:
            length = float(rng.uniform(14, 28))
            rgb = _FACADES[rng.integers(len(_FACADES))]
            houses.append(House(side, z, length, float(rng.uniform(6.5, 15)), rgb))
            z += length + float(rng.choice([0.0, 0.0, 3.5]))
    return houses


def draw_house(canvas: Canvas, view: View, house: House, z: float) -> None:
    """Draws one house whose near end is z metres ahead (z may be behind the camera)."""
    x = _WALLS[0] if house.side < 0 else _WALLS[1]
    deep = x + house.side * 10
    low, high, h = max(z, NEAR), z + house.length, house.height
    shade = 0.78 if house.side > 0 else 1.0
    wall = far(tint(house.rgb, shade), low)
    walls = view.project(
        [(deep, 0, low), (deep, h, low), (x, h, low), (x, 0, low), (x, 0, high), (x, h, high),
         (x, h - 0.35, high), (x, h - 0.35, low)]
    )  # fmt: skip
    if z > NEAR:
        gable = far(tint(house.rgb, 0.7 * shade), low)
        canvas.polygons(walls[:, [0, 1, 2, 3]], gable, BUILDING)
    canvas.polygons(walls[:, [2, 3, 4, 5]], wall, BUILDING)
    if low < _DETAIL:
        canvas.marks(walls[:, [2, 5, 6, 7]], tint(wall, 0.8))
        windows = view.project(_windows(x, z, house))
        canvas.marks(windows, far((70, 82, 96), low))


def _windows(x: float, z: float, house: House) -> F64:
    """Returns float [count, 4, 3] metres, the windows in front of the camera."""
    columns = z + np.arange(1.2, house.length - 1.6, 2.8)
    columns = columns[columns > NEAR]
    floors = np.arange(0.9, house.height - 2.0, 2.9)
    count = len(columns) * len(floors)
    corners = np.empty((count, 4, 3))
    corners[:, :, 0] = x
    corners[:, :, 1] = np.tile(floors, len(columns))[:, None] + (0, 0, 1.5, 1.5)
    corners[:, :, 2] = np.repeat(columns, len(floors))[:, None] + (0, 1.2, 1.2, 0)
    return corners


def draw_pole(canvas: Canvas, view: View, x: float, z: float, height: float) -> None:
    """Draws a post; one higher than 4 m carries a lamp towards the road."""
    half = 0.07 if height > 4 else 0.04
    parts = [[(x - half, 0, z), (x + half, 0, z), (x + half, height, z), (x - half, height, z)]]
    if height > 4:
        end = x - math.copysign(1.6, x)
        parts.append([(x, height, z), (end, height + 0.3, z), (end, height + 0.14, z),
                      (x, height - 0.2, z)])  # fmt: skip
    rgb = far((88, 92, 94), z)
    if z > _DETAIL:
        parts = parts[:1]
    for flat in view.project(
        np.array(parts)
    ):  # one by one: where two overlap, fillPoly makes holes
        canvas.polygons(flat[None], rgb, POLE)


def draw_fence(canvas: Canvas, view: View, x: float, z: float, length: float) -> None:
    """Draws a boarded fence along the street."""
    low, high = max(z, NEAR), z + length
    if high <= low:
        return
    board = [(x, 0, low), (x, 0, high), (x, 1.1, high), (x, 1.1, low)]
    canvas.polygons(view.project(board), far((122, 98, 74), low), FENCE)
    if low > _DETAIL:
        return
    starts = np.arange(z, high, 0.9)
    starts = starts[starts > low]
    gaps = np.full((len(starts), 4, 3), x)
    gaps[:, :, 1] = 0, 0, 1.1, 1.1
    gaps[:, :, 2] = starts[:, None] + (0, 0.08, 0.08, 0)
    canvas.marks(view.project(gaps), far((72, 58, 46), low))


def draw_shadow(canvas: Canvas, view: View, x: float, z: float, width: float) -> None:
    """Darkens the ground under a thing that is near."""
    if z > _DETAIL:
        return
    canvas.marks(view.project(_RING * width + (x, 0, z)), (54, 54, 58))
