"""``edgeseg eval``: a model's accuracy on labelled pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import Progress

from edgeseg import __version__
from edgeseg.cli.data_options import PAIRS, SOURCES, SPLIT, VOID
from edgeseg.cli.eval_tables import tables, title_of
from edgeseg.cli.progress import console, tell
from edgeseg.config import ModelConfig, resolve
from edgeseg.errors import ConfigError
from edgeseg.report import SCHEMA, check_report_path, write_json
from edgeseg.spec import LEAST_SCORE

if TYPE_CHECKING:
    from edgeseg.assemble import Loaded
    from edgeseg.evaluate import Evaluation, Scoring
    from edgeseg.model_file import ModelFile

WORST = 24


def evaluate(
    data: Path = typer.Option(
        ..., "--data", metavar="DIR", help="images/ with masks/, labels/ or instances.json."
    ),
    model: str = typer.Option("portrait", "--model", "-m", help="Shipped name or FILE.onnx."),
    backend: str = typer.Option(
        "onnxruntime", "--backend", "-b", help="What runs it; auto as in run."
    ),
    precision: str | None = typer.Option(
        None, "--precision", help="auto, fp16 or int8: score that file instead of the model's own."
    ),
    split: str | None = SPLIT,
    source: list[str] = SOURCES,
    void: list[str] = VOID,
    pairs: list[str] = PAIRS,
    json_path: str | None = typer.Option(None, "--json", metavar="R.json", help="Write figures."),
    worst: Path | None = typer.Option(
        None, "--worst", metavar="FILE.png", help=f"Draw the {WORST} worst pictures."
    ),
    confusion: Path | None = typer.Option(
        None, "--confusion", metavar="FILE.png", help="Draw which class was taken for which."
    ),
    threshold: float | None = typer.Option(None, "--threshold", help="Instead of the model's own."),
    least: float | None = typer.Option(
        None, "--score", help=f"Objects count from here on: {LEAST_SCORE} for AP unless given."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing outputs."),
) -> None:
    """Score a model: mIoU, Dice and boundary F of classes, or AP of objects."""
    from edgeseg.evaluate import DataChoice, open_scoring
    from edgeseg.model_file import load_model
    from edgeseg.segment import check_thresholds

    for option, value in (("--threshold", threshold), ("--score", least)):
        if value is not None and not 0 < value < 1:
            raise ConfigError(f"{option} {value}: expected a value between 0 and 1")
    _check_outputs(json_path, {"--worst": worst, "--confusion": confusion}, overwrite=overwrite)
    file = load_model(model)
    objects = file.spec.task == "instance"
    if confusion is not None and objects:
        raise ConfigError(f"--confusion: {file.name} finds objects, it does not classify pixels")
    check_thresholds(file.spec, threshold=threshold, score=least, names=("--threshold", "--score"))
    given = {"backend": backend, "precision": precision or file.spec.precision}
    config = _config({"name": model, "threshold": threshold, **given})
    choice = DataChoice(data, split, tuple(source), tuple(void), tuple(pairs))
    scoring = open_scoring(_with_score(file, least).spec, choice)
    screen = console()
    least = least or min(LEAST_SCORE, file.spec.thresholds.score)
    loaded, scored = _scored(_with_score(file, least), config, scoring, screen)
    try:
        report = {
            **_head(loaded, config),
            "data": str(data),
            "split": split,
            "only_sources": source,
            "notes": list(scoring.notes),
            **scored.figures,
        }
        tell(screen, scoring.notes)
        for table in tables(report, file.spec.task):
            screen.print(table)
        _draw(scored, scoring, loaded, worst, confusion, title=title_of(report))
    finally:
        loaded.segmenter.close()
    if json_path is not None:
        write_json(json_path, report)
    written = [str(path) for path in (worst, confusion, json_path) if path is not None]
    tell(screen, [f"wrote {path}" for path in written])


def _config(given: Mapping[str, object]) -> ModelConfig:
    """Returns the settings of what is scored, a picture at a time. Raises ConfigError."""
    return resolve({"model": {"threads": 1, "workers": 1, **given}}, where="options").model


def _scored(
    file: ModelFile, config: ModelConfig, scoring: Scoring, screen: Console
) -> tuple[Loaded, Evaluation]:
    """Opens the model and runs it over every picture, with a bar."""
    from edgeseg.assemble import open_model
    from edgeseg.evaluate import evaluate as score

    loaded = open_model(config, live=True, file=file)
    try:
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
            task = progress.add_task(file.name, total=len(scoring.pictures))
            scored = score(loaded.segmenter, scoring, on_image=lambda _: progress.advance(task))
    except BaseException:
        loaded.segmenter.close()
        raise
    return loaded, scored


def _with_score(file: ModelFile, least: float | None) -> ModelFile:
    """Returns a model whose objects count from a score on; other models as they are."""
    if least is None or file.spec.task != "instance":
        return file
    thresholds = file.spec.thresholds.model_copy(update={"score": least})
    return replace(file, spec=file.spec.model_copy(update={"thresholds": thresholds}))


def _head(loaded: Loaded, config: ModelConfig) -> dict[str, Any]:
    """Returns what every report begins with."""
    from edgeseg.device import describe_device

    spec = loaded.file.spec
    return {
        "schema": SCHEMA,
        "edgeseg": __version__,
        "device": describe_device(),
        **loaded.describe(),
        "task": spec.task,
        "size": list(spec.input.size),
        "config": config.model_dump(mode="json"),
        **({"score_from": spec.thresholds.score} if spec.task == "instance" else {}),
    }


def _draw(
    scored: Evaluation,
    scoring: Scoring,
    loaded: Loaded,
    worst: Path | None,
    confusion: Path | None,
    *,
    title: str,
) -> None:
    """Writes the pictures that are asked for. Raises SinkError."""
    if worst is not None:
        from edgeseg.evaluate.contact_sheet import write_contact_sheet

        write_contact_sheet(
            worst, scored.worst[:WORST], scoring=scoring, segmenter=loaded.segmenter
        )
    counts = scoring.confusion() if confusion is not None else None
    if confusion is not None and counts is not None:
        from edgeseg.evaluate.confusion_picture import write_confusion

        write_confusion(confusion, counts, title=title)


def _check_outputs(
    json_path: str | None, pictures: Mapping[str, Path | None], *, overwrite: bool
) -> None:
    """Refuses outputs that cannot be written before the long part starts."""
    if json_path is not None:
        check_report_path(json_path, overwrite=overwrite)
    for option, path in pictures.items():
        if path is None:
            continue
        if path.suffix.lower() != ".png":
            raise ConfigError(f"{option} {path}: expected a .png file")
        if not path.parent.is_dir():
            raise ConfigError(f"{option} {path}: no folder {path.parent}; create it first")
        if path.exists() and not overwrite:
            raise ConfigError(f"{option} {path}: exists; pass --overwrite to replace it")
