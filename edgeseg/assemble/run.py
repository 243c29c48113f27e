"""From a RunConfig to a running pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgeseg.assemble.ends import make_sink, open_source, sink_uris
from edgeseg.assemble.model import Loaded, cautious, open_model
from edgeseg.backends import Tuning
from edgeseg.config import RunConfig
from edgeseg.controls import Choice, Controls, HudPainter, HudState, Ticks
from edgeseg.effects import check_classes, hidden_by, make_effect, parse_effect
from edgeseg.meter import Meter
from edgeseg.model_file import load_model, shipped_models
from edgeseg.protocols import Effect, Segmenter, Sink, Smoother, Source
from edgeseg.report import build_report
from edgeseg.runtime.closing import close_all
from edgeseg.runtime.mailbox import MailboxPolicy
from edgeseg.runtime.pipeline import Pipeline
from edgeseg.runtime.recipe import Flow, Recipe
from edgeseg.segment import KeepResult, PresenceGate, check_thresholds
from edgeseg.types import SourceInfo
from edgeseg.video.sink_uri import refuse_clashes

EFFECT_CYCLE = ("overlay", "blur", "color=#2e3440", "side-by-side", "none")
LIVE_QUEUE = 2
"""Frames that may wait when live; each adds its age to the latency."""


@dataclass(slots=True)
class Assembly:
    """A pipeline with what the command line needs to know about its parts."""

    config: RunConfig
    pipeline: Pipeline
    loaded: Loaded
    sinks: Sequence[Sink]
    ticks: Ticks

    def on_tick(self, act: Callable[[], None]) -> None:
        """Adds something to do about 20 times a second while running."""
        self.ticks.acts.append(act)

    def report(self, ended: str) -> dict[str, Any]:
        """Returns the run's report; ended: ``done``, ``interrupted`` or the error's line."""
        return build_report(
            config=self.config,
            meter=self.pipeline.meter,
            source=self.pipeline.source.info,
            counters=self.pipeline.source.counters,
            running=self._running(),
            ended=ended,
        )

    def _running(self) -> dict[str, Any]:
        tuning = self.loaded.tuning
        return {
            **self.loaded.describe(),
            "threads": tuning.threads,
            "workers": tuning.workers,
        }

    def opening_lines(self) -> list[str]:
        """Returns what to tell the user before the first frame."""
        source, loaded = self.pipeline.source.info, self.loaded
        rate = "" if source.fps is None else f" at {float(source.fps):.5g} fps"
        spec, tuning = loaded.file.spec, loaded.tuning
        return [
            f"{source.uri}: {source.size}{rate}",
            *source.notes,
            f"{spec.name} ({spec.input.size}, {loaded.precision}) on {loaded.backend} "
            f"{loaded.device}, {tuning.workers} x {tuning.threads} "
            f"thread{'s' if tuning.threads > 1 else ''}",
        ]

    def written_lines(self) -> list[str]:
        """Returns one line per file or folder that was written."""
        silent = ("null://", "window://")
        return [f"wrote {sink.uri}" for sink in self.sinks if sink.uri not in silent]


def flow_for(config: RunConfig, source: SourceInfo, tuning: Tuning) -> Flow:
    """Returns how frames flow: files wait and lose nothing, live sources drop the oldest."""
    policy: MailboxPolicy
    if config.runtime.policy == "auto":
        policy = "drop_oldest" if source.live else "wait"
    else:
        policy = config.runtime.policy
    capacity = min(config.runtime.queue, LIVE_QUEUE) if source.live else config.runtime.queue
    return Flow(policy=policy, capacity=capacity, workers=tuning.workers)


@contextmanager
def assembled(config: RunConfig) -> Iterator[Assembly]:
    """Opens everything a run needs, cheap checks first, and closes what it opened."""
    effect = make_effect(config.effect.name, config.effect)
    uris = sink_uris(config)
    refuse_clashes(uris, inputs=config.inputs, report=config.report)
    sinks = [make_sink(uri, config) for uri in uris]
    file = load_model(config.model.name)  # a wrong name is said before a camera is opened
    check_classes(config.effect.classes, effect, file.spec)
    check_thresholds(file.spec, threshold=config.model.threshold, score=config.model.score)
    source = open_source(config.source)
    opened: list[Segmenter] = []
    try:
        model = cautious(config.model, effect, file)
        loaded = open_model(model, live=source.info.live, file=file)
        opened.append(loaded.segmenter)
        yield _assembly(config, source, loaded, effect, sinks, opened)
    finally:
        for segmenter in opened:
            segmenter.close()
        close_all([source], quiet=True)


def _assembly(
    config: RunConfig,
    source: Source,
    loaded: Loaded,
    effect: Effect,
    sinks: Sequence[Sink],
    opened: list[Segmenter],
) -> Assembly:
    meter, hud, runs_on = Meter(), HudState(), {loaded.segmenter: loaded.runs_on}
    controls = Controls(
        effects=effect_choices(config, effect),
        models=model_choices(config, loaded, effect, live=source.info.live, runs_on=runs_on),
        hud=hud,
        opened=opened,
    )
    ticks = Ticks()
    pipeline = Pipeline(
        source=source,
        recipe=Recipe(loaded.segmenter, effect),
        smoother=make_smoother(config, loaded, effect),
        sinks=sinks,
        flow=flow_for(config, source.info, loaded.tuning),
        meter=meter,
        overwrite=config.output.overwrite,
        draw_hud=None
        if config.hud.show == "off"
        else HudPainter(meter, hud, lambda segmenter: runs_on.get(segmenter, "")),
        hud_everywhere=config.hud.show == "on",
        on_key=controls.press,
        on_tick=ticks.run,
    )
    return Assembly(config, pipeline, loaded, sinks, ticks)


def make_smoother(config: RunConfig, loaded: Loaded, effect: Effect) -> Smoother:
    """Returns what happens to results in frame order.

    No gate where people are what is hidden: it takes away what may be nobody, and is slow to
    believe in an arrival.
    """
    if hidden_by(effect) == "objects":
        return KeepResult()
    return PresenceGate(loaded.file.spec.thresholds) if config.model.presence else KeepResult()


def effect_choices(config: RunConfig, current: Effect) -> list[Choice]:
    """Returns the effects the ``e`` key goes through: the run's own, then the usual ones.

    Only those that fit the open outputs: an output with alpha stays one.
    """
    own = config.effect.name
    names = [own, *(n for n in EFFECT_CYCLE if parse_effect(n)[0] != parse_effect(own)[0])]

    def made(name: str) -> Effect:
        return current if name == own else make_effect(name, config.effect)

    return [Choice(n, partial(made, n)) for n in (names if not current.alpha else [own])]


def model_choices(
    config: RunConfig,
    current: Loaded,
    effect: Effect,
    *,
    live: bool,
    runs_on: dict[Segmenter, str] | None = None,
) -> list[Choice]:
    """Returns the models the ``m`` key goes through: the run's own, then the shipped ones.

    Those run in the precision that is best for them, whatever the run's own was asked to run in.
    runs_on: gets a word on what runs each.
    """
    own = config.model.name

    def opened(name: str) -> Segmenter:
        if name == own:
            return current.segmenter
        file = load_model(name)
        settings = cautious(config.model, effect, file).model_copy(update={"precision": "auto"})
        loaded = open_model(settings, live=live, file=file)
        if runs_on is not None:
            runs_on[loaded.segmenter] = loaded.runs_on
        return loaded.segmenter

    names = dict.fromkeys((own, *shipped_models()))
    return [Choice(name, partial(opened, name)) for name in names]
