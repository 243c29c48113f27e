r"""Write a trained network as ONNX with its recipe inside, and its figures into its card.

python tools/export.py RUN/best.pt engines/portrait.onnx --size 224x224 --data DATA

python tools/export.py RUN/best.pt engines/driving.onnx --size 480x360 --half-weights
edgeseg eval --model engines/driving.onnx --data DATA/camvid --split val --json R.json
python tools/time_models.py engines/driving.onnx engines/driving-icnet.onnx --json T.json
python tools/export.py RUN/best.pt engines/driving.onnx --half-weights --scores R.json \
    --speed T.json

The card beside the ONNX file (`engines/portrait.yaml`) holds the words; this adds the figures, to
the card and to the recipe in the file. Portraits are scored here, the rest by `edgeseg eval`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeseg.errors import EdgesegError
from edgeseg.model_file import load_model
from edgeseg.models.export import write_model
from edgeseg.spec import ModelSpec, parse_size
from edgeseg.training.release import (
    deployed,
    eval_figures,
    load_trained,
    portrait_figures,
    speed_figures,
    with_checkpoint,
)
from edgeseg.types import Size


def size_of(text: str) -> Size:
    """A side, or WIDTHxHEIGHT."""
    size: Size = parse_size(f"{text}x{text}" if text.isdigit() else text)
    return size


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--size", type=size_of, help="of the input, WIDTHxHEIGHT; else the card's")
    parser.add_argument("--half-weights", action="store_true", help="store weights as float16")
    parser.add_argument("--data", type=Path, help="folder with portrait/val: score a portrait here")
    parser.add_argument("--scores", type=Path, metavar="R.json", help="of edgeseg eval --json")
    parser.add_argument("--speed", type=Path, metavar="T.json", help="of tools/time_models.py")
    return parser.parse_args(words)


def export(arguments: argparse.Namespace) -> ModelSpec:
    """Write the file, and again with each kind of figures; the card last."""
    card = arguments.onnx.with_suffix(".yaml")
    network, config = load_trained(arguments.checkpoint)
    spec = with_checkpoint(ModelSpec.from_card(card), arguments.checkpoint, network)
    if arguments.size:
        update = {"input": spec.input.model_copy(update={"size": arguments.size})}
        spec = spec.model_copy(update=update)
    figures = {}
    if arguments.scores:
        figures |= eval_figures(arguments.scores, arguments.onnx, spec)
    if arguments.speed:
        figures |= {"speed": speed_figures(arguments.speed, arguments.onnx.stem)}
    shipped = deployed(network, config, spec, half_weights=arguments.half_weights)
    spec = write_model(shipped, with_figures(spec, figures), arguments.onnx)
    if arguments.data:
        figures = portrait_figures(arguments.onnx, spec, arguments.data)
        spec = write_model(shipped, with_figures(spec, figures), arguments.onnx)
    card.write_text(spec.to_card(), encoding="utf-8")
    load_model(arguments.onnx)  # raises where card and graph disagree
    return spec


def with_figures(spec: ModelSpec, figures: dict[str, object]) -> ModelSpec:
    """`spec` with `figures` among its metrics."""
    return spec.model_copy(update={"metrics": dict(spec.metrics) | figures})


def main(words: list[str] | None = None) -> int:
    """The exit code: 0, or 2 for a mistake of the user's."""
    arguments = parse_arguments(words)
    try:
        spec = export(arguments)
    except EdgesegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{arguments.onnx}: {spec.metrics}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
