"""``edgeseg eval``: a model's accuracy on a folder of pictures with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress
from rich.table import Table

from edgeseg import __version__
from edgeseg.cli.progress import console
from edgeseg.config import ModelConfig
from edgeseg.errors import ConfigError
from edgeseg.report import SCHEMA, check_report_path, write_json

WORST = 24


def evaluate(
    data: Path = typer.Option(..., "--data", metavar="DIR", help="Folder with images/ and masks/."),
    model: str = typer.Option("portrait", "--model", "-m", help="Shipped name or FILE.onnx."),
    split: str | None = typer.Option(None, "--split", help="Sub-folder or manifest split."),
    json_path: str | None = typer.Option(None, "--json", metavar="R.json", help="Write figures."),
    worst: Path | None = typer.Option(
        None, "--worst", metavar="FILE.png", help=f"Draw the {WORST} worst pictures."
    ),
    threshold: float | None = typer.Option(None, "--threshold", help="Instead of the model's own."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing outputs."),
) -> None:
    """Score a model against person masks: IoU, boundary F, precision and recall."""
    from edgeseg.assemble import open_model
    from edgeseg.device import describe_device
    from edgeseg.evaluate import evaluate as score
    from edgeseg.evaluate import open_folder

    if threshold is not None and not 0 < threshold < 1:
        raise ConfigError(f"--threshold {threshold}: expected a value between 0 and 1")
    _check_outputs(json_path, worst, overwrite=overwrite)
    folder = open_folder(data, split=split)
    config = ModelConfig(name=model, threads=1, workers=1, threshold=threshold)
    loaded = open_model(config, live=True)
    screen = console()
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(f"{loaded.file.name}", total=len(folder.samples))
        scored = score(loaded.segmenter, folder, on_image=lambda _: progress.advance(task))
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "edgeseg": __version__,
        "device": describe_device(),
        "model": {"name": loaded.file.name, "sha256": loaded.file.sha256},
        "backend": loaded.backend,
        "precision": loaded.file.spec.precision,
        "data": str(data),
        "split": split,
        "config": config.model_dump(mode="json"),
        "notes": list(folder.notes),
        **scored.figures(),
    }
    for note in folder.notes:
        screen.print(note, markup=False)
    screen.print(score_table(report))
    if worst is not None:
        from edgeseg.evaluate.contact_sheet import write_contact_sheet

        write_contact_sheet(worst, scored.worst[:WORST], folder=folder, segmenter=loaded.segmenter)
        screen.print(f"wrote {worst}", markup=False)
    if json_path is not None:
        write_json(json_path, report)
        screen.print(f"wrote {json_path}", markup=False)
    loaded.segmenter.close()


def _check_outputs(json_path: str | None, worst: Path | None, *, overwrite: bool) -> None:
    """Refuses outputs that cannot be written before the long part starts."""
    if json_path is not None:
        check_report_path(json_path, overwrite=overwrite)
    if worst is None:
        return
    if worst.suffix.lower() != ".png":
        raise ConfigError(f"--worst {worst}: expected a .png file")
    if not worst.parent.is_dir():
        raise ConfigError(f"--worst {worst}: no folder {worst.parent}; create it first")
    if worst.exists() and not overwrite:
        raise ConfigError(f"--worst {worst}: exists; pass --overwrite to replace it")


def score_table(report: dict[str, Any]) -> Table:
    """Returns the figures as a table: one row per source, their mean, and all pictures pooled."""
    ms = report["network_ms"]["p50"]
    table = Table(
        title=f"{report['model']['name']} on {report['data']}"
        + (f" ({report['split']})" if report["split"] else "")
        + f", network {ms:.1f} ms",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("", "pictures", "person IoU", "mIoU", "edge F", "right", "prec", "rec"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, row in report["sources"].items():
        table.add_row(name, *_cells(row))
    if report["iou_macro"] is not None:
        table.add_row("mean of sources", "", f"{report['iou_macro']:.3f}", end_section=True)
    table.add_row("all pixels pooled", *_cells(report))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    values = [
        row["iou"]["person"],
        row["miou"],
        row["boundary_f"],
        row["pixel_accuracy"],
        row["person"]["precision"],
        row["person"]["recall"],
    ]
    return [str(row["images"]), *("--" if v is None else f"{v:.3f}" for v in values)]
