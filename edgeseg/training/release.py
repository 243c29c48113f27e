"""A trained network as a file to ship: its recipe checked against it, its figures in its card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeseg.errors import ConfigError, SpecMismatch
from edgeseg.models import zoo
from edgeseg.models.export import Deployed, onnx_predictor
from edgeseg.models.yolact import YolactOutputs
from edgeseg.spec import ModelSpec
from edgeseg.training.config import TrainConfig, parse_config
from edgeseg.training.loop import read_checkpoint
from edgeseg.training.portrait.datasets import load_portraits
from edgeseg.training.portrait.evaluation import evaluate, resized
from edgeseg.training.start import build_network

_CARD_TASKS = {"portrait": "portrait", "scene": "semantic", "instance": "instance"}
_SCORES = (
    "images", "objects", "miou", "iou", "mean_dice", "pixel_accuracy", "boundary_f",
    "ap", "ap50", "ap75", "classes",
)  # fmt: skip
"""Figures of `edgeseg eval` that go into a card."""


def load_trained(checkpoint: Path) -> tuple[nn.Module, TrainConfig]:
    """The averaged network of a training run's checkpoint, and the settings it was trained with.

    Raises: ConfigError naming `checkpoint` when it is none.
    """
    state = read_checkpoint(checkpoint)
    config = parse_config(state["config"], where=str(checkpoint))
    network = build_network(config)
    network.load_state_dict(state["averaged"])
    return network.eval(), config


def deployed(
    network: nn.Module, config: TrainConfig, spec: ModelSpec, *, half_weights: bool = False
) -> Deployed:
    """`network` as `spec` describes it.

    Raises: SpecMismatch when the card is for another task or has other classes.
    """
    task = _CARD_TASKS[config.task]
    if spec.task != task:
        raise SpecMismatch(f"card {spec.name}: task {spec.task}, the network is for {task}")
    classes = getattr(config, "classes", None)
    count = classes if isinstance(classes, int) else len(classes or spec.classes)
    if len(spec.classes) != count:
        raise SpecMismatch(
            f"card {spec.name}: {len(spec.classes)} classes, the network tells {count} apart"
        )
    head = spec.outputs_as
    finished = YolactOutputs(network, spec.input.size) if head == "yolact" else network
    return Deployed(finished, head=head, half_weights=half_weights)


def with_checkpoint(spec: ModelSpec, checkpoint: Path, network: nn.Module) -> ModelSpec:
    """`spec` of the file that `checkpoint` becomes; scores of other weights are dropped."""
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    metrics: dict[str, Any] = dict(spec.metrics)
    if spec.source_sha256 != sha256:
        metrics = {key: metrics[key] for key in ("speed",) if key in metrics}
    metrics = {"parameters": zoo.parameter_count(network)} | metrics
    return spec.model_copy(update={"metrics": metrics, "source_sha256": sha256})


def portrait_figures(path: Path, spec: ModelSpec, data: Path) -> dict[str, Any]:
    """Scores of the ONNX file at `path` on the validation split of `data`."""
    size = spec.input.size.width
    run = onnx_predictor(str(path))

    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return run(resized(image, size))

    samples = load_portraits(data, "val")
    scores = evaluate(predict, samples, boundary=True)
    return {
        "split": "portrait/val",
        "images": len(samples),
        "person_iou": {name: round(value, 4) for name, value in scores.iou.items()},
        "macro_person_iou": round(scores.macro_iou, 4),
        "boundary_f": round(scores.boundary_f, 4),
        "pixel_accuracy": round(scores.pixel_accuracy, 4),
    }


def eval_figures(report: Path, model: Path, spec: ModelSpec) -> dict[str, Any]:
    """The scores that `edgeseg eval --json` wrote to `report`, for the card of the file `model`.

    Raises: ConfigError when `report` is no such report, or scored another file.
    """
    found = _read_json(report)
    scored = found.get("model", {}).get("sha256", "")
    if scored != hashlib.sha256(model.read_bytes()).hexdigest():
        raise ConfigError(
            f"{report}: scored another file than {model} as it is now; run edgeseg eval again"
        )
    split = "/".join(part for part in (Path(found["data"]).name, found.get("split")) if part)
    width, height = spec.input.size
    figures: dict[str, Any] = {"split": split, "size": f"{width}x{height}"}
    figures |= {key: rounded(found[key]) for key in _SCORES if found.get(key) is not None}
    if spec.task == "instance" and found.get("sources"):
        figures["sources"] = {
            name: {key: rounded(of[key]) for key in _SCORES if of.get(key) is not None}
            for name, of in found["sources"].items()
        }
    return figures


def speed_figures(report: Path, name: str) -> dict[str, Any]:
    """What `tools/time_models.py --json` measured of `name`, and of the others in the same run.

    Raises: ConfigError when `report` is no such report or lacks `name`.
    """
    found = _read_json(report)
    models = found.get("models", {})
    if name not in models:
        raise ConfigError(f"{report}: times {', '.join(models) or 'nothing'}, not {name}")
    threads = found["threads"]
    device = f"{found['device']}, {threads} thread{'s' if threads > 1 else ''}"
    others = {other: row["median_ms"] for other, row in models.items() if other != name}
    speed = {
        "median_ms": models[name]["median_ms"],
        "device": f"{device}, ONNX Runtime {found['onnxruntime']}",
        "date": found["date"],
    }
    return speed | ({"references_same_run_ms": others} if others else {})


def rounded(value: Any) -> Any:
    """`value` with every number in it to four digits."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable JSON report") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: not a report of figures")
    return found
