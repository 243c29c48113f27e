"""Write a trained network as ONNX with its recipe inside, and its scores into its card.

python tools/export.py RUN/best.pt engines/portrait.onnx --size 224 --data DATA
The card beside the ONNX file (`engines/portrait.yaml`) holds the words; this adds the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgeseg.models import zoo
from edgeseg.models.export import Deployed, onnx_predictor, write_model
from edgeseg.spec import ModelSpec
from edgeseg.training.datasets import load_portraits
from edgeseg.training.evaluation import evaluate, resized
from edgeseg.types import Size


def scored(path: Path, spec: ModelSpec, data: Path) -> dict[str, object]:
    """Scores of the ONNX file at `path` on the validation split."""
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


def main() -> None:
    """Read checkpoint and card, write ONNX, score it, write both again with the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--size", type=int, required=True, help="side of the square input, px")
    parser.add_argument("--data", type=Path, help="folder with portrait/val, for the scores")
    arguments = parser.parse_args()
    card = arguments.onnx.with_suffix(".yaml")
    spec = ModelSpec.from_card(card)
    state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    network = zoo.build(state["config"]["arch"])
    network.load_state_dict(state["averaged"])
    side = Size(arguments.size, arguments.size)
    update = {
        "input": spec.input.model_copy(update={"size": side}),
        "metrics": dict(spec.metrics) | {"parameters": zoo.parameter_count(network)},
        "source_sha256": hashlib.sha256(arguments.checkpoint.read_bytes()).hexdigest(),
    }
    deployed = Deployed(network)
    spec = write_model(deployed, spec.model_copy(update=update), arguments.onnx)
    if arguments.data:
        figures = dict(spec.metrics) | scored(arguments.onnx, spec, arguments.data)
        spec = write_model(deployed, spec.model_copy(update={"metrics": figures}), arguments.onnx)
    card.write_text(spec.to_card(), encoding="utf-8")
    print(f"{arguments.onnx}: {spec.metrics}", file=sys.stderr)


if __name__ == "__main__":
    main()
