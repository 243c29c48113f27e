"""The pictures of a synthetic source by frame number, whatever was asked for before."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from edgeseg.ops.planes import NEUTRAL
from edgeseg.types import U8, Planes, Size
from edgeseg.video.synthetic.canvas import Canvas
from edgeseg.video.synthetic.options import SyntheticOptions
from edgeseg.video.synthetic.portrait import PortraitScene
from edgeseg.video.synthetic.road import RoadScene
from edgeseg.video.synthetic.shapes import ShapesScene

BLACK = 16
"""Luma of black in limited range."""

_LIGHT_PERIOD_S = 4.0
_NOISE_MARGIN = 64  # px; the noise of a frame is a window at a random place of a larger field
_CUT_SEED = 7919  # apart from neighbouring seeds, so that seed=2 is not seed=1 after a cut


class Scene(Protocol):
    """Something to film: ``draw`` returns a new canvas that shows it at ``t`` seconds."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    def draw(self, t: float) -> Canvas: ...


class Picture(NamedTuple):
    """Read-only planes and truth of one frame."""

    planes: Planes
    truth: U8


def make_scene(name: str, size: Size, seed: int) -> Scene:
    """Builds a scene; ``name`` is one of ``options.SCENES``."""
    scenes: dict[str, Callable[[Size, int], Scene]] = {
        "portrait": PortraitScene,
        "road": RoadScene,
        "shapes": ShapesScene,
    }
    return scenes[name](size, seed)


class Film:
    """Draws frame ``index``; the same index gives the same bytes. Not thread-safe.

    lens: the slight softness of luma; without it every edge lies exactly on the truth's.
    """

    def __init__(self, options: SyntheticOptions, *, lens: bool = True) -> None:
        self._options = options
        self._lens = lens
        self._cuts = sorted(options.cuts)
        self._take = 0
        self._scene = self._open_take(0)
        self._noise = _noise_field(options) if options.noise > 0 else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the truth's labels, in order."""
        return self._scene.labels

    def picture(self, index: int) -> Picture:
        """Returns the picture and truth of a frame, in memory of its own."""
        while index in self._options.repeats:
            index -= 1
        take = bisect_right(self._cuts, index)
        if take != self._take:
            self._scene, self._take = self._open_take(take), take
        t = float(index / self._options.fps) * self._options.speed
        planes, truth = self._scene.draw(t).finish(lens=self._lens)
        if self._options.light > 0:
            planes = self._lit(planes, float(index / self._options.fps))
        if self._noise is not None:
            self._add_noise(planes.y, index)
        truth.flags.writeable = False
        return Picture(planes.freeze(), truth)

    def _open_take(self, take: int) -> Scene:
        options = self._options
        return make_scene(options.scene, options.size, options.seed + take * _CUT_SEED)

    def _lit(self, planes: Planes, seconds: float) -> Planes:
        gain = 1 + self._options.light * math.sin(2 * math.pi * seconds / _LIGHT_PERIOD_S)
        y, u, v = (
            cv2.convertScaleAbs(src=plane, alpha=gain, beta=anchor * (1 - gain))
            for plane, anchor in ((planes.y, BLACK), (planes.u, NEUTRAL), (planes.v, NEUTRAL))
        )
        return Planes(y, u, v)

    def _add_noise(self, y: U8, index: int) -> None:
        """Adds noise to luma in place; two saturating passes, as there is no signed uint8 add."""
        assert self._noise is not None
        rng = np.random.default_rng([self._options.seed, index])
        left, top = (int(n) for n in rng.integers(_NOISE_MARGIN, size=2))
        window = slice(top, top + y.shape[0]), slice(left, left + y.shape[1])
        brighter, darker = self._noise
        cv2.add(src1=y, src2=brighter[window], dst=y)
        cv2.subtract(src1=y, src2=darker[window], dst=y)


def _noise_field(options: SyntheticOptions) -> tuple[U8, U8]:
    """Returns the positive and the negative part of Gaussian noise, larger than the picture."""
    shape = options.size.height + _NOISE_MARGIN, options.size.width + _NOISE_MARGIN
    rng = np.random.default_rng([options.seed, 4])
    noise = np.rint(rng.standard_normal(shape, np.float32) * options.noise)
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)
