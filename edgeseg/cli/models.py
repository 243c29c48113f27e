"""``edgeseg models``: list, show and check; `checkpoints.py` imports, `verify.py` compares."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from edgeseg.cli.checkpoints import import_model, pull_model
from edgeseg.cli.progress import data_console
from edgeseg.cli.verify import verify
from edgeseg.errors import ModelError

models_app = typer.Typer(no_args_is_help=True)
models_app.command("import")(import_model)
models_app.command("pull")(pull_model)
models_app.command("verify")(verify)


@models_app.command("list")
def list_models(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List the models that come with edgeseg, and those you pulled."""
    from edgeseg.model_file import load_model, pulled_models, shipped_models

    rows: list[dict[str, Any]] = []
    for name, path in {**shipped_models(), **pulled_models()}.items():
        try:
            rows.append({"model": name, **_summary(load_model(name))})
        except ModelError as error:
            rows.append({"model": name, "path": str(path), "error": str(error)})
    if as_json:
        _print_json(rows)
        return
    names = ("model", "task", "input", "params", "score", "ms")
    whole = [Column(name, no_wrap=True) for name in names]  # in 80 columns only the terms wrap
    table = Table(*whole, "terms", box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(row["model"], *_cells(row))
    table.caption = "score and ms: edgeseg models show MODEL says on which data and device"
    table.caption_justify = "left"
    data_console().print(table)


@models_app.command("show")
def show_model(
    model: str = typer.Argument(..., metavar="MODEL", help="Shipped name or FILE.onnx."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of YAML."),
) -> None:
    """Show a model's card: input, outputs, scores, licence and what it was trained on."""
    from edgeseg.model_file import load_model, variants_of

    loaded = load_model(model)
    others = {name: _variant(file) for name, file in variants_of(loaded).items()}
    if as_json:
        card = loaded.spec.model_dump(mode="json", by_alias=True)
        _print_json({**_summary(loaded), "card": card, "variants": others})
        return
    lines = [f"# {loaded.path}", f"# sha256 {loaded.sha256}"]
    lines += [f"# {name}: {row['path']}{_gate_words(row['gate'])}" for name, row in others.items()]
    typer.echo("\n".join(lines) + f"\n{loaded.spec.to_card()}", nl=False)


@models_app.command("check")
def check(
    model: str = typer.Argument(..., metavar="FILE.onnx", help="ONNX file or shipped name."),
) -> None:
    """Check an ONNX file against its card; without a fitting card, print one to start from.

    The card goes to stdout (`edgeseg models check net.onnx > net.yaml`), the findings to stderr.
    """
    from edgeseg.model_check import check_model

    found = check_model(model)
    for line in found.passed:
        typer.echo(f"  ok  {line}", err=True)
    if found.card is not None:
        typer.echo(found.card, nl=False)
    if found.problems:
        card = found.path.with_suffix(".yaml").name
        hint = f"; correct the printed card and save it as {card}" if found.card else ""
        raise ModelError(f"{found.path}: {'; '.join(found.problems)}{hint}")
    typer.echo(f"{found.path}: ready for edgeseg run --model {model}", err=True)


def _summary(loaded: Any) -> dict[str, Any]:
    spec = loaded.spec
    return {
        "name": spec.name,
        "title": spec.title,
        "task": spec.task,
        "path": str(loaded.path),
        "sha256": loaded.sha256,
        "bytes": len(loaded.data),
        "input": str(spec.input.size),
        "precision": spec.precision,
        "licence": spec.licence,
        "metrics": spec.metrics,
    }


def _variant(file: Any) -> dict[str, Any]:
    """Where a file made from the model lies, and what ``edgeseg build`` found it to cost."""
    return {"path": str(file.path), "sha256": file.sha256, "gate": file.spec.build.gate}


def _gate_words(gate: dict[str, Any]) -> str:
    drop, ratio = gate.get("drop"), _at(gate, "speed", "ratio")
    lost = f", lost {drop:.2f} points" if isinstance(drop, int | float) else ""
    return lost + (f", {ratio:.2f} times as fast" if isinstance(ratio, int | float) else "")


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return ["", "", "", "", "", row["error"]]
    metrics = row["metrics"]
    parameters, milliseconds = metrics.get("parameters"), _at(metrics, "speed", "median_ms")
    return [
        row["task"],
        row["input"],
        f"{parameters / 1e6:.2f} M" if isinstance(parameters, int) else "",
        _score(metrics),
        f"{milliseconds:.1f}" if isinstance(milliseconds, int | float) else "",
        row["licence"],
    ]


def _score(metrics: dict[str, Any]) -> str:
    """The figure a model of its kind is judged by."""
    known = (
        ("IoU", _at(metrics, "macro_person_iou")),
        ("mIoU", _at(metrics, "miou")),
        ("mask AP50", _at(metrics, "ap50", "mask")),
    )
    return next((f"{v:.3f} {name}" for name, v in known if isinstance(v, float)), "")


def _at(tree: Any, *keys: str) -> Any:
    """What lies at a path of nested mappings, None where it ends early."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2))
