"""``edgeseg models import`` and ``pull``: published checkpoints become models of one's own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from edgeseg.cli.progress import console, data_console, tell
from edgeseg.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from edgeseg.spec import ModelSpec
    from edgeseg.types import Size

ARCHITECTURES = (
    "sinet, sinet-cityscapes, yolact-resnet50, yolact-resnet101, yolact-darknet53, "
    "deeplabv3plus-mobilenetv2, icnet-resnet50"
)
"""For the help text, which must not load PyTorch; a test compares it with the table."""


def import_model(
    checkpoint: Path = typer.Argument(..., metavar="CHECKPOINT", help="State dict, .pth or .pt."),
    arch: str = typer.Option(..., "--arch", help=ARCHITECTURES),
    folder: Path = typer.Option(..., "-o", "--output", metavar="DIR", help="Where to write."),
    name: str | None = typer.Option(None, "--name", help="Of the model; default: --arch."),
    size: str | None = typer.Option(
        None, "--size", metavar="WxH", help="Of the picture; default: what its authors used."
    ),
    classes: str | None = typer.Option(
        None, "--classes", metavar="FILE|N", help="Names, one a line, or how many there must be."
    ),
    output_stride: int = typer.Option(16, "--output-stride", help="Of DeepLabv3+: 16 or 8."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing files."),
) -> None:
    """Turn an official checkpoint into an ONNX file with its recipe, and a card beside it."""
    _need_tower()
    from edgeseg.models.importing import Wishes, import_checkpoint

    wishes = Wishes(
        name=name,
        size=_size(size),
        classes=classes,
        output_stride=output_stride,
        overwrite=overwrite,
    )
    with console().status("importing"):
        path, spec = import_checkpoint(checkpoint, arch, folder, wishes)
    _tell_imported(path, spec, str(path))


def pull_model(
    name: str | None = typer.Argument(None, metavar="NAME", help="sinet or sinet-cityscapes."),
    folder: Path | None = typer.Option(
        None, "-o", "--output", metavar="DIR", help="Default: your own models folder."
    ),
    size: str | None = typer.Option(
        None, "--size", metavar="WxH", help="Of the picture; default: what its authors used."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace existing files."),
    list_only: bool = typer.Option(False, "--list", help="Show what can be pulled."),
) -> None:
    """Download an official checkpoint, check its sha256 and import it.

    Afterwards `--model NAME` works everywhere. An interrupted download continues next time.
    """
    from edgeseg.pull import published

    if list_only:
        _list_published()
        return
    if name is None:
        raise ConfigError("say what to pull; `edgeseg models pull --list` shows what there is")
    wanted = published(name)
    _need_tower()  # before the download, which would be for nothing without it
    from edgeseg.models.importing import Wishes, check_target, import_checkpoint

    wishes = Wishes(name=name, size=_size(size), overwrite=overwrite)
    target = folder or _user_folder()
    model = target / f"{name}.onnx"
    if not overwrite and _source_of(model) == wanted.sha256:
        tell(console(), [f"{model} is there already; --overwrite makes it again"])
        return
    check_target(target, name, overwrite=overwrite)
    checkpoint = target / f".{name}.pth"
    _download(name, checkpoint)
    with console().status("importing"):
        path, spec = import_checkpoint(checkpoint, wanted.arch, target, wishes)
    checkpoint.unlink()
    _tell_imported(path, spec, name if folder is None else str(path))


def _need_tower() -> None:
    missing = [name for name in ("torch", "onnx") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"importing a checkpoint needs {' and '.join(missing)}, not installed here; install "
            "edgeseg with its [train] extra: pip install 'edgeseg[train]'"
        )


def _size(text: str | None) -> Size | None:
    from edgeseg.spec import parse_size

    if text is None:
        return None
    try:
        size: Size = parse_size(text)
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from error
    return size


def _user_folder() -> Path:
    from edgeseg.assets import user_models_dir

    folder = user_models_dir()
    if folder is None:
        raise ConfigError("this user has no home folder; say where to put the model with -o DIR")
    return folder


def _source_of(model: Path) -> str | None:
    """The checkpoint an imported model came from; None where there is no readable model."""
    from edgeseg.model_file import load_model

    try:
        return load_model(model).spec.source_sha256
    except ModelError:
        return None


def _download(name: str, checkpoint: Path) -> None:
    from edgeseg.pull import fetch, published

    screen = console()
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"),
        *columns,
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as bar:
        task = bar.add_task(name, total=published(name).size)
        fetch(
            published(name),
            checkpoint,
            progress=lambda there, _: bar.update(task, completed=there),
        )


def _list_published() -> None:
    from edgeseg.model_file import pulled_models
    from edgeseg.pull import PUBLISHED

    pulled = pulled_models()
    whole = [Column(title, no_wrap=True) for title in ("name", "download", "pulled")]
    table = Table(*whole, "what", box=SIMPLE_HEAD, pad_edge=False)
    for name, entry in PUBLISHED.items():
        there = "yes" if name in pulled else ""
        table.add_row(name, f"{entry.size / 1e6:.1f} MB", there, entry.about)
    data_console().print(table)


def _tell_imported(path: Path, spec: ModelSpec, called: str) -> None:
    worst = spec.metrics["onnx_max_abs_difference"]
    largest = max(worst.values()) if isinstance(worst, dict) else worst
    lines = [
        f"{path}: {spec.title}, {spec.input.size}, {len(spec.classes)} classes, "
        f"{path.stat().st_size / 1e6:.1f} MB",
        f"ONNX Runtime and PyTorch differ by at most {largest:.1g}",
        f"terms: {spec.licence}",
        f"try it: edgeseg run 0 --model {called}",
    ]
    tell(console(), lines)
