"""While running: what each key does to a pipeline, the figures on the picture, regular acts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from edgeseg.effects.hud import Hud, HudFigures
from edgeseg.errors import EdgesegError
from edgeseg.meter import Meter
from edgeseg.ops.planes import to_bgr
from edgeseg.protocols import Effect, Segmenter
from edgeseg.runtime.pipeline import Pipeline
from edgeseg.runtime.recipe import Recipe
from edgeseg.types import Frame, Planes

log = logging.getLogger(__name__)

KEYS = {
    "q": "quit",
    " ": "pause",
    "e": "next effect",
    "m": "next model",
    "s": "snapshot",
    "h": "figures",
}
NOTE_S = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a cycle: its name and how to make it, made once at first use."""

    name: str
    make: Callable[[], Segmenter | Effect]


@dataclass(slots=True)
class Ticks:
    """Things to do about 20 times a second while running."""

    acts: list[Callable[[], None]] = field(default_factory=list)

    def run(self) -> None:
        """Does them."""
        for act in self.acts:
            act()


@dataclass(slots=True)
class HudState:
    """What the HUD shows besides figures: which page, and a short note for a moment."""

    pages: Sequence[str] = ("figures", "help", "off")
    page: int = 0
    note: str = ""
    note_until: float = 0.0

    @property
    def current_page(self) -> str:
        """Name of the page that is shown."""
        return self.pages[self.page]

    def next_page(self) -> None:
        """Goes to the next page."""
        self.page = (self.page + 1) % len(self.pages)

    def say(self, text: str) -> None:
        """Shows a note for about two seconds."""
        self.note, self.note_until = text, time.perf_counter() + NOTE_S

    def current_note(self) -> str:
        """Returns the note while it lasts."""
        return self.note if time.perf_counter() < self.note_until else ""


@dataclass(slots=True)
class Controls:
    """Acts on keys. ``opened`` collects segmenters made here, for the opener to close."""

    effects: Sequence[Choice]
    models: Sequence[Choice]
    hud: HudState
    folder: Path = field(default_factory=Path)
    opened: list[Segmenter] = field(default_factory=list)
    _effect: int = 0
    _model: int = 0
    _made: dict[str, Segmenter | Effect] = field(default_factory=dict)

    def press(self, pipeline: Pipeline, key: str) -> None:
        """Does what a key stands for; unknown keys do nothing."""
        actions: dict[str, Callable[[Pipeline], None]] = {
            "q": lambda p: p.end(),
            " ": self._toggle_pause,
            "e": self._next_effect,
            "m": self._next_model,
            "s": self._snapshot,
            "h": lambda p: self.hud.next_page(),
        }
        action = actions.get(key)
        if action is not None:
            action(pipeline)

    def _toggle_pause(self, pipeline: Pipeline) -> None:
        pipeline.pause(not pipeline.paused)

    def _next_effect(self, pipeline: Pipeline) -> None:
        self._effect = (self._effect + 1) % len(self.effects)
        effect = self._get(self.effects[self._effect])
        if effect is not None and not isinstance(effect, Segmenter):
            pipeline.swap(Recipe(pipeline.recipe.segmenter, effect))
            self.hud.say(f"effect: {effect.name}")

    def _next_model(self, pipeline: Pipeline) -> None:
        self._model = (self._model + 1) % len(self.models)
        segmenter = self._get(self.models[self._model])
        if isinstance(segmenter, Segmenter):
            pipeline.swap(Recipe(segmenter, pipeline.recipe.effect))
            self.hud.say(f"model: {segmenter.name}")

    def _get(self, choice: Choice) -> Segmenter | Effect | None:
        """Returns a choice, made once; None, with a note, when it cannot be made."""
        if choice.name not in self._made:
            try:
                made = choice.make()
            except EdgesegError as error:
                log.warning("%s: %s", choice.name, error)
                self.hud.say(f"{choice.name}: not available")
                return None
            self._made[choice.name] = made
            if isinstance(made, Segmenter) and made not in self.opened:
                self.opened.append(made)
        return self._made[choice.name]

    def _snapshot(self, pipeline: Pipeline) -> None:
        last = pipeline.last
        if last is None:
            return
        stem = f"edgeseg_{time.strftime('%Y%m%d_%H%M%S')}"
        path = self.folder / f"{stem}_{last.frame.index:06d}.png"
        written = cv2.imwrite(str(path), to_bgr(last.picture, last.frame.color))
        self.hud.say(f"saved {path.name}" if written else f"cannot write {path.name}")


class HudPainter:
    """Draws the HUD with the meter's figures of this moment."""

    def __init__(self, meter: Meter, state: HudState, runs_on: Callable[[Segmenter], str]) -> None:
        """runs_on: what runs a segmenter's network, in a few words."""
        self._meter = meter
        self._state = state
        self._runs_on = runs_on
        self._hud = Hud()

    def __call__(self, picture: Planes, frame: Frame, recipe: Recipe) -> None:
        """Draws the page the user chose on the picture's planes, in place."""
        if self._state.current_page == "help":
            self._hud.draw_help(picture, frame.color)
        elif self._state.current_page == "figures":
            self._hud.draw(picture, frame.color, self._figures(recipe))

    def _figures(self, recipe: Recipe) -> HudFigures:
        now = self._meter.snapshot()
        return HudFigures(
            model=recipe.segmenter.name,
            backend=self._runs_on(recipe.segmenter),
            effect=recipe.effect.name,
            fps_captured=now.fps["captured"],
            fps_inferred=now.fps["inferred"],
            fps_shown=now.fps["written"],
            latency_p50_ms=now.latency_p50_ms,
            latency_p99_ms=now.latency_p99_ms,
            dropped=now.counts["dropped"],
            note=self._state.current_note(),
        )
