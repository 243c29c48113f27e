"""``edgeseg models check``: does a model file do what its card says, and if it has none, what fits?

The network is run on drawn pictures, one with a person-like figure, one empty, one of noise. That
cannot tell whether it segments well (``edgeseg eval`` does), but it finds what goes wrong most:
probabilities that are not, an activation applied twice or not at all, a dead output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import yaml

from edgeseg.backends import open_backend
from edgeseg.errors import EdgesegError, ModelError
from edgeseg.model_file import find_model, load_model, mismatches, read_onnx, suggest_card
from edgeseg.model_file.find import ModelFile, read_model_bytes, read_spec
from edgeseg.model_file.graph import OnnxFile
from edgeseg.ops.image import network_input
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Backend, Tensor
from edgeseg.segment.portrait import PortraitDecoder
from edgeseg.spec import Activation, ModelSpec
from edgeseg.types import U8, Frame

TOLERANCE = 0.01
"""How far outside 0..1 a probability may lie by rounding."""


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """passed: what is right. problems: what is wrong, one line each. card: a card that fits.

    ``card`` is None when the model's own recipe fits.
    """

    path: Path
    passed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    card: str | None = None


def check_model(name_or_path: str) -> ModelCheck:
    """Checks a shipped model or any ONNX file. Raises ModelError when there is no such ONNX file.

    Everything that is wrong with the file and its card is in the result, not raised.
    """
    path = find_model(name_or_path)
    data = read_model_bytes(path)
    graph = read_onnx(data, where=str(path))
    report = ModelCheck(path)
    report.passed.append(f"ONNX, opset {graph.opset}, {graph.nodes} nodes, {len(data):,} bytes")
    try:
        spec = read_spec(path, graph)
    except ModelError as error:
        return _with_card(report, path, graph, [str(error)])
    if spec is None:
        missing = f"no recipe: neither in the file nor as {path.with_suffix('.yaml').name}"
        return _with_card(report, path, graph, [missing])
    found = mismatches(spec, graph.inputs, graph.outputs)
    if found:
        return _with_card(report, path, graph, found)
    report.passed.append("the recipe matches the graph: input, outputs, shapes, types")
    _run(load_model(path), report)
    return report


def _with_card(report: ModelCheck, path: Path, graph: OnnxFile, problems: list[str]) -> ModelCheck:
    card = _fitting_card(path, graph)
    return ModelCheck(report.path, report.passed, [*report.problems, *problems], card)


def _run(model: ModelFile, report: ModelCheck) -> None:
    """Runs the model on drawn pictures and judges what comes out."""
    try:
        backend = open_backend(model)
        raw = _outputs(backend, model.spec)
    except EdgesegError as error:
        report.problems.append(str(error))
        return
    report.passed.append(f"runs on {backend.info.name} {backend.info.device}")
    problems = judge_scores(model.spec, raw)
    report.problems.extend(problems)
    if not problems:
        low, high = _person_range(model.spec, raw)
        report.passed.append(f"person probability {low:.3f} to {high:.3f} on drawn pictures")
    backend.close()


def judge_scores(spec: ModelSpec, raw: list[Tensor]) -> list[str]:
    """Returns what is wrong with the raw outputs of several pictures; empty = nothing seen."""
    output = spec.outputs[0]
    values = np.concatenate([np.asarray(r, np.float32).ravel() for r in raw])
    if not np.isfinite(values).all():
        return [f"output {output.name!r} holds NaN or infinity: are mean and std right?"]
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6:
        return [f"output {output.name!r} is {low:.4g} everywhere, whatever the picture shows"]
    if raw[0].dtype == np.uint8:
        return []
    inside = low >= -TOLERANCE and high <= 1 + TOLERANCE
    if output.activation == "none" and not inside:
        return [
            f"output {output.name!r} ranges over {low:.3g}..{high:.3g}, which are no "
            f"probabilities: outputs.activation should be {_guess_activation(raw, output.layout)}"
        ]
    if output.activation != "none" and inside:
        return [
            f"output {output.name!r} already lies in 0..1 ({low:.3g}..{high:.3g}): "
            f"outputs.activation should be none, not {output.activation}"
        ]
    return []


def _guess_activation(raw: list[Tensor], layout: str) -> Activation:
    tensor = raw[0]
    values = np.concatenate([np.asarray(r, np.float32).ravel() for r in raw])
    if values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE:
        return "none"
    channels = tensor.shape[1 if layout == "nchw" else -1] if tensor.ndim == 4 else 1
    return "softmax" if channels > 1 else "sigmoid"


def _fitting_card(path: Path, graph: OnnxFile) -> str:
    """Returns a card whose activation was found by running the graph, where that works."""
    draft = suggest_card(path.stem, graph.inputs, graph.outputs)
    try:
        spec = ModelSpec.model_validate(yaml.safe_load(draft))
        data = read_model_bytes(path)
        raw = _outputs(open_backend(ModelFile(path, spec, graph, "", None, data)), spec)
    except (EdgesegError, ValueError):  # pydantic's error is a ValueError
        return draft
    activation = _guess_activation(raw, spec.outputs[0].layout)
    return suggest_card(path.stem, graph.inputs, graph.outputs, activation=activation)


def _outputs(backend: Backend, spec: ModelSpec) -> list[Tensor]:
    """Returns the raw output of each drawn picture."""
    raw = []
    for frame in drawn_frames():
        tensor, _ = network_input(frame, spec.input)
        raw.append(backend.infer({spec.input.name: tensor})[spec.outputs[0].name])
    return raw


def _person_range(spec: ModelSpec, raw: list[Tensor]) -> tuple[float, float]:
    decoder, name = PortraitDecoder(spec), spec.outputs[0].name
    geometry = network_input(drawn_frames()[0], spec.input)[1]
    people = [decoder.decode({name: tensor}, geometry).person for tensor in raw]
    return min(float(p.min()) for p in people), max(float(p.max()) for p in people)


def drawn_frames() -> list[Frame]:
    """Returns three 320x240 pictures: a head-and-shoulders figure, an empty wall, noise."""
    ramp = np.linspace(60, 200, 320, dtype=np.float32)[None, :, None]
    wall: U8 = np.broadcast_to(ramp, (240, 320, 3)).astype(np.uint8)
    figure = wall.copy()
    cv2.ellipse(
        img=figure,
        center=(160, 260),
        axes=(90, 110),
        angle=0,
        startAngle=0,
        endAngle=360,
        color=(120, 60, 40),
        thickness=-1,
    )
    cv2.ellipse(
        img=figure,
        center=(160, 105),
        axes=(42, 56),
        angle=0,
        startAngle=0,
        endAngle=360,
        color=(140, 170, 215),
        thickness=-1,
    )
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    pictures = (figure, wall, noise)
    return [Frame(from_bgr(bgr), index, 0.0) for index, bgr in enumerate(pictures)]
