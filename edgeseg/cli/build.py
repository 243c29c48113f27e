"""``edgeseg build``: the right file for the device at hand, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeseg.cli.build_tables import gate_table
from edgeseg.cli.data_options import PAIRS, SOURCES, SPLIT, VOID
from edgeseg.cli.progress import console, tell
from edgeseg.errors import ModelError
from edgeseg.report import check_report_path, write_json

if TYPE_CHECKING:
    from edgeseg.evaluate import DataChoice


def build(
    precision: str = typer.Option(..., "--precision", "-p", help="fp32, fp16 or int8."),
    model: str = typer.Option("portrait", "--model", "-m", help="Shipped name or FILE.onnx."),
    backend: str = typer.Option(
        "auto", "--backend", "-b", help="onnxruntime, openvino, tensorrt, ..."
    ),
    calibration: Path | None = typer.Option(
        None, "--calibration", metavar="DIR|VIDEO", help="Pictures INT8 learns its ranges from."
    ),
    method: str = typer.Option("percentile", "--method", help="percentile, entropy or minmax."),
    images: int = typer.Option(200, "--images", help="Calibration pictures, at most."),
    seed: int = typer.Option(0, "--seed", help="Chooses calibration pictures."),
    data: Path | None = typer.Option(
        None, "--data", metavar="DIR", help="Labelled pictures that decide, as of edgeseg eval."
    ),
    split: str | None = SPLIT,
    source: list[str] = SOURCES,
    void: list[str] = VOID,
    pairs: list[str] = PAIRS,
    clip: Path | None = typer.Option(None, "--clip", metavar="VIDEO", help="Measures flicker."),
    max_drop: float | None = typer.Option(
        None, "--max-drop", help="Points that may be lost: 1.0, or 3.0 without --data."
    ),
    keep_float: list[str] = typer.Option(
        [], "--keep-float", metavar="LAYER", help="A layer that is not quantised."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FILE.onnx", help="Instead of this machine's builds."
    ),
    gpu: int = typer.Option(0, "--gpu", min=0, max=63, help="Number of the GPU."),
    dla: int | None = typer.Option(None, "--dla", min=0, max=3, help="A Jetson's DLA core."),
    rebuild: bool = typer.Option(
        True, "--rebuild/--no-rebuild", help="Replace an engine that does not fit this device."
    ),
    json_path: str | None = typer.Option(None, "--json", metavar="R.json", help="Write figures."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing outputs."),
) -> None:
    """Make a model's FP16 or INT8 file, or its engine, and refuse it if it loses too much."""
    from edgeseg.builder import BuildOptions, build_model
    from edgeseg.builder.options import BACKENDS, METHODS, PRECISIONS, one_of
    from edgeseg.model_file import load_model

    options = BuildOptions(
        precision=one_of("--precision", precision, PRECISIONS),
        backend=one_of("--backend", backend, BACKENDS),
        calibration=calibration,
        method=one_of("--method", method, METHODS),
        images=images,
        seed=seed,
        data=_choice(data, split, source, void, pairs),
        clip=clip,
        max_drop=max_drop,
        keep_float=tuple(keep_float),
        output=output,
        overwrite=overwrite,
        gpu=gpu,
        dla=dla,
        rebuild=rebuild,
    )
    if json_path is not None:
        check_report_path(json_path, overwrite=overwrite)
    screen = console()
    file = load_model(model)
    _check_report_is_apart(json_path, output, file.path)
    outcome = build_model(file, options, tell=lambda line: tell(screen, [line]))
    if outcome.verdict is not None:
        screen.print(gate_table(file.name, outcome.verdict))
    tell(screen, outcome.notes)
    written = [str(path) for path in outcome.files.values()]
    if json_path is not None and outcome.report:
        write_json(json_path, outcome.report)
        written.append(json_path)
    tell(screen, [f"wrote {path}" for path in written])
    if outcome.problem:
        raise ModelError(outcome.problem)


def _check_report_is_apart(report: str | None, *others: Path | None) -> None:
    """Raises ConfigError for a report that would replace what is read or made."""
    from edgeseg.errors import ConfigError

    if report is None:
        return
    for other in others:
        if other is not None and Path(report).resolve() == other.resolve():
            raise ConfigError(f"--json {report}: is the model file {other}; name another file")


def _choice(
    data: Path | None, split: str | None, source: list[str], void: list[str], pairs: list[str]
) -> DataChoice | None:
    """Returns the labelled pictures. Raises ConfigError for their options without them."""
    from edgeseg.errors import ConfigError
    from edgeseg.evaluate import DataChoice

    if data is not None:
        return DataChoice(data, split, tuple(source), tuple(void), tuple(pairs))
    given = {"--split": split, "--source": source, "--void": void, "--map": pairs}
    for option, value in given.items():
        if value:
            raise ConfigError(f"{option}: needs labelled pictures; give --data DIR")
    return None
