"""``edgeseg run``: a source through a model and an effect into windows and files."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeseg.assets import configs_dir
from edgeseg.cli.ending import TWICE_S
from edgeseg.cli.progress import RunProgress, console, summary_lines, tell
from edgeseg.config import RunConfig, assign, load_yaml, parse_assignment, resolve
from edgeseg.errors import ConfigError, EdgesegError, Interrupted, SinkError, near_match
from edgeseg.report import check_report_path, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from edgeseg.assemble import Assembly

log = logging.getLogger(__name__)


def run(
    source: str | None = typer.Argument(
        None, metavar="SOURCE", help="0, clip.mp4, folder/, 'f_*.png', rtsp://..., synthetic://..."
    ),
    model: str | None = typer.Option(None, "--model", "-m", help="Shipped name or FILE.onnx."),
    backend: str | None = typer.Option(
        None, "--backend", "-b", help="auto, onnxruntime, openvino, tensorrt, onnxruntime-cuda ..."
    ),
    precision: str | None = typer.Option(None, "--precision", help="auto, fp32, fp16 or int8."),
    effect: str | None = typer.Option(
        None,
        "--effect",
        "-e",
        help="overlay[=O], blur[=S], replace=FILE, color=C, alpha, anonymize ...",
    ),
    output: list[str] = typer.Option(
        [],
        "--output",
        "-o",
        metavar="SINK",
        help="out.mp4, folder/, f_%06d.png, masks:folder/, csv:file.csv, coco:file.json ...",
    ),
    classes: str | None = typer.Option(
        None, "--classes", metavar="A,B", help="Classes to draw, keep or hide, such as car,person."
    ),
    report: str | None = typer.Option(None, "--report", help="Write the run's figures as JSON."),
    config: str | None = typer.Option(None, "--config", "-c", help="YAML file or shipped name."),
    assignments: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Any setting."),
    no_window: bool = typer.Option(False, "--no-window", help="Never open a window."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing outputs."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Print errors only."),
) -> None:
    """Segment a camera, video, folder or stream, live or into files."""
    tree = load_config(config) if config else {}
    options: dict[str, Any] = {
        "source.uri": source,
        "model.name": model,
        "model.backend": backend,
        "model.precision": precision,
        "effect.name": effect,
        "effect.classes": split_names(classes),
        "output.sinks": list(output) or None,
        "output.window": False if no_window else None,
        "output.overwrite": overwrite or None,
        "report": report,
    }
    for key, value in options.items():
        if value is not None:
            assign(tree, key.split("."), value, where=key)
    for text in assignments:
        path, value = parse_assignment(text)
        assign(tree, path, value, where=f"--set {text}")
    run_resolved(resolve(tree, where=config or "options"), quiet=quiet)


def split_names(text: str | None) -> list[str] | None:
    """Splits ``car, person`` into its names; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def load_config(name: str) -> dict[str, Any]:
    """Reads a YAML file, or a shipped configuration by its name."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return load_yaml(path)
    shipped = sorted(p.stem for p in configs_dir().glob("*.yaml"))
    if name not in shipped:
        hint = near_match(name, shipped) or f"; shipped: {', '.join(shipped)}"
        raise ConfigError(f"no configuration {name!r} (or give a .yaml file){hint}")
    return load_yaml(configs_dir() / f"{name}.yaml")


def run_resolved(config: RunConfig, *, quiet: bool) -> None:
    """Assembles and runs; prints the summary and writes the report however the run ended."""
    import cv2

    from edgeseg.assemble import assembled

    cv2.setNumThreads(1)  # frames run side by side; inside one, OpenCV's pool only adds CPU time
    screen = console(quiet=quiet)
    if config.report is not None:
        check_report_path(config.report, overwrite=config.output.overwrite)
    with assembled(config) as assembly, interruptible(assembly.pipeline.interrupt):
        introduce = once(lambda: tell(screen, assembly.opening_lines()))
        assembly.on_tick(introduce)  # the outputs are open by then: what is wrong stands alone
        ended = "internal error"
        try:
            run_with_progress(assembly, screen)
            ended = "done"
        except EdgesegError as error:
            ended = "interrupted" if isinstance(error, Interrupted) else str(error)
            raise
        finally:
            report = assembly.report(ended)
            if report["frames"]["captured"]:
                introduce()
                tell(screen, [*summary_lines(report), *assembly.written_lines()])
            if config.report is not None:
                _write_report(config.report, report)


def once(act: Callable[[], None]) -> Callable[[], None]:
    """Returns ``act`` for its first call, and nothing for all later ones."""
    waiting = [act]
    return lambda: waiting.pop()() if waiting else None


def run_with_progress(assembly: Assembly, screen: Console) -> None:
    """Runs to the end under a progress display."""
    pipeline = assembly.pipeline
    with RunProgress(screen, pipeline.source.info) as progress:
        assembly.on_tick(lambda: progress.update(pipeline.meter))
        with nullcontext() if pipeline.source.info.live else longer_turns():
            pipeline.run()


@contextmanager
def longer_turns() -> Iterator[None]:
    """Has Linux let threads work on when another one wakes up, for this thread and those it starts.

    Caches stay warm: 2 % fewer CPU-ms a frame measured on 2 busy cores. Not for live pictures,
    whose threads should be woken at once. Without effect where it is not possible or not the
    default policy that would be changed.
    """
    changed = False
    with suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            changed = True
    try:
        yield
    finally:
        if changed:
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _write_report(path: str, report: dict[str, Any]) -> None:
    """Writes the report. Raises SinkError, unless the run itself failed: that comes first."""
    try:
        write_json(path, report)
    except SinkError as error:
        if report["ended"] == "done":
            raise
        log.warning("%s", error)


@contextmanager
def interruptible(interrupt: Any) -> Iterator[None]:
    """Makes Ctrl-C, SIGTERM and a closed terminal end the run cleanly; a second one kills it.

    ``timeout`` and shells send one signal twice at once: that counts as one.
    """
    previous: dict[int, Any] = {}
    asked_at: list[float] = []

    def handle(number: int, stack: object) -> None:
        asked_at.append(time.monotonic())
        if asked_at[-1] - asked_at[0] > TWICE_S:
            restore()
            signal.raise_signal(number)
        interrupt()

    def restore() -> None:
        for known, handler in previous.items():
            signal.signal(known, handler)

    wanted = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # none on Windows
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # not under nohup
        wanted.append(hangup)
    for number in wanted:
        previous[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
