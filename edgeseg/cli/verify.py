"""``edgeseg models verify``: do all backends and precisions give the same masks?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from edgeseg import __version__
from edgeseg.cli.build_tables import plain_table
from edgeseg.cli.progress import console, tell
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.report import SCHEMA, check_report_path, write_json

if TYPE_CHECKING:
    from edgeseg.verify import Combination, Verified


def verify(
    model: str = typer.Argument(..., metavar="MODEL", help="Shipped name or FILE.onnx."),
    data: Path = typer.Option(..., "--data", metavar="DIR|VIDEO", help="Pictures, without labels."),
    backends: str | None = typer.Option(None, "--backends", help="Names, with commas; all."),
    precisions: str | None = typer.Option(None, "--precisions", help="fp32,fp16,int8; all."),
    frames: int = typer.Option(16, "--frames", help="Pictures compared, evenly spread."),
    tolerance: float | None = typer.Option(
        None,
        "--tolerance",
        help="Points masks may differ by: 0.5 FP32, 2 FP16, 10 INT8; 4 more on GPUs.",
    ),
    gpu: int = typer.Option(0, "--gpu", min=0, max=63, help="Number of the GPU."),
    json_path: str | None = typer.Option(None, "--json", metavar="R.json", help="Write figures."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing outputs."),
) -> None:
    """Run the same frames through every backend and precision here, and compare with FP32."""
    from edgeseg.builder.options import one_of
    from edgeseg.model_file import load_model
    from edgeseg.verify import VerifyOptions, verify_model
    from edgeseg.verify.run import BACKENDS, PRECISIONS

    options = VerifyOptions(
        data=data,
        backends=[one_of("--backends", name, BACKENDS) for name in _split(backends)],
        precisions=[one_of("--precisions", name, PRECISIONS) for name in _split(precisions)],
        frames=frames,
        tolerance=tolerance,
        gpu=gpu,
    )
    if json_path is not None:
        check_report_path(json_path, overwrite=overwrite)
    screen = console()
    found = verify_model(load_model(model), options)
    for table in _tables(found):
        screen.print(table)
    tell(screen, [f"{_name(c)}: {c.problem}" for c in found.combinations if c.comparison is None])
    if json_path is not None:
        write_json(json_path, _report(found, data))
        tell(screen, [f"wrote {json_path}"])
    _refuse(found)


def _refuse(found: Verified) -> None:
    """Raises where something differs too much, or what was asked for could not run."""
    name = found.model.name
    if found.failed:
        lines = "; ".join(f"{_name(c)}: {c.problem}" for c in found.failed)
        raise ModelError(f"{name}: {lines}")
    if found.missing:
        lines = "; ".join(f"{_name(c)}: {c.problem}" for c in found.missing)
        raise BackendUnavailable(f"{name}: not run: {lines}")


def _split(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _name(one: Combination) -> str:
    return f"{one.backend} {one.precision}"


def _tables(found: Verified) -> list[Table]:
    """What is decided, a row per combination that ran; then by how much each output differs."""
    objects = found.model.spec.task == "instance"
    masks = plain_table(
        "", "pixels %", "IoU", *(["objects", "quality"] if objects else []), "within"
    )
    scores = plain_table("", "output", "max difference", "mean")
    masks.title = f"{found.model.name}: {found.frames} frames, beside FP32 on ONNX Runtime"
    masks.title_justify = "left"
    for one in found.combinations:
        if one.comparison is None:
            continue
        figures = one.figures()
        cells = [_figure(figures["agreement"], 100, 3), _figure(figures["iou"], 1, 4)]
        if objects:
            part = figures["objects"]
            all_of_them = part["same"] + part["only_reference"]
            cells += [f"{part['same']}/{all_of_them}", _figure(part["quality"], 1, 4)]
        masks.add_row(_name(one), *cells, "NO" if one.problem else "yes")
        for name, apart in one.comparison.outputs.items():
            scores.add_row(_name(one), name, f"{apart.largest:.2g}", f"{apart.mean:.2g}")
    return [masks, scores] if masks.row_count else []


def _figure(value: float | None, scale: float, digits: int) -> str:
    return "--" if value is None else f"{value * scale:.{digits}f}"


def _report(found: Verified, data: Path) -> dict[str, Any]:
    from edgeseg.device import describe_device

    return {
        "schema": SCHEMA,
        "edgeseg": __version__,
        "device": describe_device(),
        "model": {"name": found.model.name, "sha256": found.model.sha256},
        "task": found.model.spec.task,
        "data": str(data),
        "frames": found.frames,
        "reference": {"backend": "onnxruntime", "precision": "fp32"},
        "combinations": [one.figures() for one in found.combinations],
    }
