"""`edgeseg models import`: a published checkpoint becomes an ONNX file with its recipe and card."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgeseg.errors import ConfigError, ModelError
from edgeseg.labels import LabelSet
from edgeseg.models.export import INPUT, Deployed, write_model
from edgeseg.models.importing.architectures import (
    OUTPUT_STRIDES,
    Architecture,
    architecture,
)
from edgeseg.models.importing.checkpoint import State, read_state
from edgeseg.models.importing.class_names import asked_classes, label_set_for
from edgeseg.models.importing.fitting import fitted
from edgeseg.spec import InputSpec, ModelSpec, TrainedOn
from edgeseg.types import Size

TOLERANCE = 1e-3
"""Of ONNX Runtime against PyTorch, as a share of an output's largest value."""
LEAST_SIDE = 32


@dataclass(frozen=True)
class Wishes:
    """What the user asks of an import; None = what the checkpoint and its authors say.

    name: of the model and its files. classes: a number, or the path of a file of names.
    output_stride: 16 or 8, of DeepLabv3+ (the weights do not tell).
    """

    name: str | None = None
    size: Size | None = None
    classes: str | None = None
    output_stride: int = 16
    overwrite: bool = False


def import_checkpoint(
    checkpoint: Path, arch: str, folder: Path, wishes: Wishes | None = None
) -> tuple[Path, ModelSpec]:
    """Write `folder`/NAME.onnx and NAME.yaml; returns the ONNX file and its recipe.

    Both files appear whole or not at all.

    Raises:
        ConfigError: unknown architecture, a size it cannot take, an output that is there already
            or cannot be written.
        ModelError: not a checkpoint, or one of another network.
    """
    wishes = wishes or Wishes()
    known = architecture(arch)
    if wishes.output_stride not in OUTPUT_STRIDES:
        raise ConfigError(f"--output-stride is {wishes.output_stride}, expected 8 or 16")
    target = check_target(folder, wishes.name or known.name, overwrite=wishes.overwrite)
    asked = asked_classes(wishes.classes)
    if wishes.size is not None:
        _check_size(known, wishes.size)
    state = read_state(checkpoint)
    count = known.classes(state) or 2
    size = wishes.size or known.default_size(count)
    settings = known.settings(state, size, wishes.output_stride)
    network = fitted(state, known, settings, path=checkpoint)
    where = f"{checkpoint.name}: {known.head_key}"
    labels = label_set_for(known.task, count, asked, where=where)
    spec = _spec(known, wishes.name or known.name, size, labels, checkpoint)
    spec = spec.model_copy(update={"metrics": {"parameters": _parameters(known, state)}})
    with _appearing(target) as draft:
        spec = write_model(deployed(known, network), spec, draft, tolerance=TOLERANCE, pictures=1)
        _card(draft).write_text(spec.to_card(), encoding="utf-8")
    return target, spec


def deployed(known: Architecture, network: nn.Module) -> Deployed:
    """`network` from uint8 RGB pixels, normalised as its authors do, to the outputs of its head.

    Raises: ModelError when that does not equal the network on a picture normalised outside it.
    """
    red, green, blue = (1.0 / value for value in known.std)
    wrapped = Deployed(
        network,
        head=known.head,
        mean=known.mean,
        scale=(red, green, blue),
        reverse_channels=known.bgr,
    )
    side = max(4 * LEAST_SIDE, known.step)
    pixels = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8)
    picture = (pixels.flip(3) if known.bgr else pixels).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values)[:, None, None] for values in (known.mean, known.std))
    with torch.inference_mode():
        ours, plain = wrapped(pixels), wrapped.finish(network((picture - mean) / std))
    for one, other in zip(ours, plain, strict=True):
        if not float((one - other).abs().max()) <= TOLERANCE * max(1.0, float(other.abs().max())):
            raise ModelError(
                f"{known.name}: the normalisation inside the graph gives other numbers than "
                "outside it; these weights cannot be imported"
            )
    return wrapped


def _spec(
    known: Architecture, name: str, size: Size, labels: LabelSet, checkpoint: Path
) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=known.title,
        task=known.task,
        head=known.head,
        input=InputSpec(name=INPUT, size=size),
        outputs=known.outputs,
        classes=labels.names,
        palette=labels.colors,
        licence=known.licence,
        trained_on=(TrainedOn(data=known.data, terms="as its publishers say"),),
        citation=known.citation,
        commands=(
            f"edgeseg models import {checkpoint.name} --arch {known.name} --size {size} -o DIR",
        ),
        notes=f"Weights as published for github.com/{known.repository}. {known.notes}",
        source_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    )


def _parameters(known: Architecture, state: State) -> int:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    needed = known.needed(state).items()
    return sum(value.numel() for key, value in needed if not key.endswith(statistics))


def _check_size(known: Architecture, size: Size) -> None:
    wrong = None
    if min(size) < LEAST_SIDE:
        wrong = f"at least {LEAST_SIDE}x{LEAST_SIDE}"
    elif known.square and size.width != size.height:
        wrong = "a square, as its anchors are"
    elif size.width % known.step or size.height % known.step:
        wrong = f"multiples of {known.step}"
    if wrong:
        raise ConfigError(f"--size {size}: {known.name} takes {wrong}")


def check_target(folder: Path, name: str, *, overwrite: bool) -> Path:
    """The ONNX file to write, in a folder that exists then and can be written.

    Raises: ConfigError when the folder cannot, or the file or its card is there already.
    """
    if Path(name).name != name or name.startswith("."):
        raise ConfigError(f"--name {name!r}: expected a file name without folders and leading dots")
    target = folder / f"{name}.onnx"
    for path in (target, _card(target)):
        if path.exists() and not overwrite:
            raise ConfigError(f"{path}: exists already; give --overwrite or another --name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot make this folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: this folder cannot be written to; choose another with -o")
    return target


def _card(model: Path) -> Path:
    return model.with_suffix(".yaml")


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A path beside `target` to write it and its card to; both move into place at the end.

    At no moment does a card lie beside a file it does not describe: without one, the recipe inside
    the file counts.
    """
    card = _card(target)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{target.stem}-", dir=target.parent))
    except OSError as error:
        raise ConfigError(f"{target.parent}: cannot write here: {error.strerror}") from error
    try:
        yield draft / target.name
        card.unlink(missing_ok=True)
        (draft / target.name).replace(target)
        (draft / card.name).replace(card)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
