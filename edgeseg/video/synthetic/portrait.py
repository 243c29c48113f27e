"""The portrait scene: a person in front of a camera who sways, blinks and sometimes waves."""

from __future__ import annotations

import numpy as np

from edgeseg.types import Size
from edgeseg.video.synthetic.canvas import Canvas, Placement
from edgeseg.video.synthetic.person import ELBOW, HEAD_PIVOT, TORSO_PIVOT, make_person
from edgeseg.video.synthetic.room import paint_room

PORTRAIT_LABELS = ("background", "person")
_PERSON = 1
_SPRITE_UNIT = 420.0  # px; larger heads are enlarged, which costs sharpness and saves memory
_WAVE_PERIOD_S = 7.0
_WAVE_S = 2.8


class PortraitScene:
    """Draws the person at any moment; ``t`` is scene time in seconds."""

    labels = PORTRAIT_LABELS

    def __init__(self, size: Size, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self._backdrop = Canvas(size)
        self._backdrop.fill(paint_room(size, rng), 0)
        self._unit = min(0.40 * size.height, 0.36 * size.width)
        self._person = make_person(min(max(self._unit, 4.0), _SPRITE_UNIT), rng)
        self._phase = rng.uniform(0, 2 * np.pi, 4)
        self._wave_from = float(rng.uniform(1.0, 3.0))
        self._side = 1.0 if rng.integers(2) else -1.0
        self._x = size.width / 2 + float(rng.uniform(-0.3, 0.3)) * self._unit
        # The torso is 3.4 heads long: in a tall picture the person stands lower than usual.
        self._neck_y = max(0.42 * size.height + 0.66 * self._unit,
                           size.height - 3.1 * self._unit)  # fmt: skip

    def draw(self, t: float) -> Canvas:
        """Returns a new canvas with the picture and truth at time ``t``."""
        canvas = self._backdrop.copy()
        unit, person = self._unit, self._person
        scale = unit / person.unit
        a, b, c, d = self._phase
        x = self._x + unit * (0.10 * np.sin(0.9 * t + a) + 0.03 * np.sin(2.3 * t + b))
        y = self._neck_y + unit * 0.02 * np.sin(1.4 * t + c)
        lean = 1.5 * float(np.sin(0.9 * t + a))
        canvas.paste(person.torso, self._place(TORSO_PIVOT, (x, y), scale, lean), _PERSON)
        roll = lean + 4.0 * float(np.sin(1.1 * t + d))
        nod = y + unit * 0.025 * float(np.sin(1.7 * t + b))
        head = person.blink if (t + a) % 3.7 < 0.14 else person.head
        canvas.paste(head, self._place(HEAD_PIVOT, (x, nod), scale, roll), _PERSON)
        raised = self._raised(t)
        if raised > 0:
            elbow = (
                x + self._side * unit * (0.95 + 0.17 * raised),
                y + unit * (1.75 - 0.7 * raised),
            )
            swing = self._side * (150 * (1 - raised) + 12 * float(np.sin(9 * t)) * raised - 4)
            canvas.paste(person.forearm, self._place(ELBOW, elbow, scale, swing), _PERSON)
        return canvas

    def _place(
        self, pivot: tuple[float, float], at: tuple[float, float], scale: float, degrees: float
    ) -> Placement:
        unit = self._person.unit
        where = (pivot[0] * unit, pivot[1] * unit)
        return Placement.of(pivot=where, at=at, scale=scale, degrees=degrees)

    def _raised(self, t: float) -> float:
        """Returns how far the hand is up, 0..1, easing in and out."""
        since = (t - self._wave_from) % _WAVE_PERIOD_S
        if t < self._wave_from or since > _WAVE_S:
            return 0.0
        ramp = min(since, _WAVE_S - since) / 0.7
        eased = min(1.0, ramp)
        return eased * eased * (3 - 2 * eased)
