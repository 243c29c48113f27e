"""From a RunConfig to a running pipeline: the only file that names concrete classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgeseg.backends import Tuning, open_network
from edgeseg.config import ModelConfig, RunConfig, SourceConfig
from edgeseg.controls import Choice, Controls, HudPainter, HudState, Ticks
from edgeseg.effects import check_classes, hidden_by, make_effect, parse_effect
from edgeseg.errors import ConfigError
from edgeseg.meter import Meter
from edgeseg.model_file import ModelFile, load_model, shipped_models
from edgeseg.protocols import BackendInfo, Effect, Segmenter, Sink, Smoother, Source
from edgeseg.report import build_report
from edgeseg.runtime.closing import close_all
from edgeseg.runtime.mailbox import MailboxPolicy
from edgeseg.runtime.pipeline import Pipeline
from edgeseg.runtime.recipe import Flow, Recipe
from edgeseg.segment import KeepResult, NetworkSegmenter, PresenceGate, check_thresholds
from edgeseg.types import SourceInfo
from edgeseg.video.sink_uri import SinkKind, parse_sink, refuse_clashes
from edgeseg.video.uri import SourceKind, classify

EFFECT_CYCLE = ("overlay", "blur", "color=#2e3440", "side-by-side", "none")
LIVE_QUEUE = 2
"""Frames that may wait when live; each adds its age to the latency."""


@dataclass(slots=True)
class Loaded:
    """A model ready to run: the segmenter, and what was chosen for it.

    file: the one that runs, with the recipe of ``source``, which is the model as it was named.
    remarks: backends and precisions that were not taken, and why.
    """

    source: ModelFile
    file: ModelFile
    segmenter: Segmenter
    tuning: Tuning
    info: BackendInfo
    remarks: tuple[str, ...] = ()

    @property
    def backend(self) -> str:
        """Name of what runs the network."""
        return self.info.name

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.info.device

    @property
    def precision(self) -> str:
        """Precision of what runs."""
        return self.info.precision

    def describe(self) -> dict[str, Any]:
        """Returns what every report says of a model and what runs it.

        sha256: of the file or engine that runs. source_sha256: of the model as it was named.
        """
        path = self.info.file or str(self.file.path)
        return {
            "model": {
                "name": self.file.name,
                "file": Path(path).name,
                "sha256": self.info.sha256 or self.file.sha256,
                "source_sha256": self.source.sha256,
            },
            "backend": self.backend,
            "backend_device": self.device,
            "precision": self.precision,
            "not_taken": list(self.remarks),
        }


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


def open_model(config: ModelConfig, *, live: bool, file: ModelFile | None = None) -> Loaded:
    """Loads, measures and opens a model; ``file`` where it is loaded already.

    Raises ConfigError, ModelError, BackendUnavailable.
    """
    source = file or load_model(config.name)
    opened = open_network(source, config, live=live)
    spec = opened.file.spec.with_thresholds(decision=config.threshold, score=config.score)
    segmenter = NetworkSegmenter(spec, opened.backend)
    return Loaded(
        source, opened.file, segmenter, opened.tuning, opened.backend.info, opened.remarks
    )


def open_source(config: SourceConfig) -> Source:
    """Opens the source a URI names. Raises SourceNotFound, SourceError, ConfigError."""
    kind = classify(config.uri)
    if kind is SourceKind.CAMERA:
        from edgeseg.video.camera import CameraSource

        return CameraSource(config)
    if kind is SourceKind.FILE:
        from edgeseg.video.files import FileSource

        return FileSource(config)
    if kind is SourceKind.IMAGES:
        from edgeseg.video.images import ImageSource

        return ImageSource(config)
    if kind is SourceKind.STREAM:
        from edgeseg.video.streams import StreamSource

        return StreamSource(config)
    if kind is SourceKind.GSTREAMER:
        from edgeseg.video.gst import GstSource

        return GstSource(config)
    from edgeseg.video.synthetic import SyntheticSource

    return SyntheticSource(config)


def make_sink(uri: str, config: RunConfig) -> Sink:
    """Makes, without opening it, the sink a name asks for. Raises SinkRefused."""
    kind, path = parse_sink(uri)
    if kind is SinkKind.VIDEO:
        from edgeseg.video.file_sink import FileSink

        return FileSink(path, config.output)
    if kind is SinkKind.IMAGES:
        from edgeseg.video.image_sink import ImageSequenceSink

        return ImageSequenceSink(path)
    if kind is SinkKind.MASKS:
        from edgeseg.video.masks_sink import MasksSink

        return MasksSink(path)
    if kind is SinkKind.CSV:
        from edgeseg.video.csv_sink import CsvSink

        return CsvSink(path)
    if kind is SinkKind.COCO:
        from edgeseg.video.coco_sink import CocoSink

        return CocoSink(path)
    if kind is SinkKind.WINDOW:
        from edgeseg.video.window import WindowSink

        return WindowSink()
    from edgeseg.video.null_sink import NullSink

    return NullSink()


def sink_uris(config: RunConfig) -> list[str]:
    """Returns the sinks of a run: those named, plus a window where one is wanted.

    Without any sink a window is shown; ``window: false`` then makes a run that only measures.
    """
    named = list(config.output.sinks)
    if config.output.window is False and "window://" in named:
        raise ConfigError("window:// is asked for, and no window (--no-window): leave one out")
    if config.output.window or (config.output.window is None and not named):
        named += [] if "window://" in named else ["window://"]
    return named or ["null://"]


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


def cautious(config: ModelConfig, effect: Effect, file: ModelFile) -> ModelConfig:
    """Returns a model's settings; half the least score, if not the user's own, to hide objects."""
    if hidden_by(effect) != "objects" or config.score is not None:
        return config
    return config.model_copy(update={"score": file.spec.thresholds.score / 2})


def _assembly(
    config: RunConfig,
    source: Source,
    loaded: Loaded,
    effect: Effect,
    sinks: Sequence[Sink],
    opened: list[Segmenter],
) -> Assembly:
    meter, hud = Meter(), HudState()
    controls = Controls(
        effects=effect_choices(config, effect),
        models=model_choices(config, loaded, effect, live=source.info.live),
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
        else HudPainter(meter, hud, f"{loaded.backend} {loaded.precision}"),
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
    config: RunConfig, current: Loaded, effect: Effect, *, live: bool
) -> list[Choice]:
    """Returns the models the ``m`` key goes through: the run's own, then the shipped ones."""
    own = config.model.name

    def opened(name: str) -> Segmenter:
        if name == own:
            return current.segmenter
        file = load_model(name)
        return open_model(cautious(config.model, effect, file), live=live, file=file).segmenter

    names = dict.fromkeys((own, *shipped_models()))
    return [Choice(name, partial(opened, name)) for name in names]
