"""The course of a check: file, recipe, graph, a run; then a card where the recipe does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from edgeseg.backends import open_backend
from edgeseg.errors import EdgesegError, ModelError
from edgeseg.model_check.drawn import drawn_frames
from edgeseg.model_check.judge import Outputs, describe, guess_activation, judge_outputs
from edgeseg.model_file import find_model, load_model, mismatches, read_onnx, suggest_card
from edgeseg.model_file.find import ModelFile, read_model_bytes, read_spec
from edgeseg.model_file.graph import OnnxFile
from edgeseg.ops.image import fit, network_input
from edgeseg.protocols import Backend
from edgeseg.segment.decoders import decoder_for
from edgeseg.spec import Activation, ModelSpec
from edgeseg.types import Frame


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
    frames = drawn_frames()
    try:
        backend = open_backend(model)
        raw = _outputs(backend, model.spec, frames)
        backend.close()
        report.passed.append(f"runs on {backend.info.name} {backend.info.device}")
        problems = judge_outputs(model.spec, raw)
        report.problems.extend(problems)
        if not problems:
            decode = decoder_for(model.spec).decode
            placed = [fit(frame.size, model.spec.input) for frame in frames]
            results = [decode(*pair) for pair in zip(raw, placed, strict=True)]
            report.passed.append(describe(results))
    except EdgesegError as error:
        report.problems.append(str(error))


def _fitting_card(path: Path, graph: OnnxFile) -> str:
    """Returns a card corrected by running the graph, where that works."""
    draft = suggest_card(path.stem, graph.inputs, graph.outputs)
    try:
        spec = ModelSpec.model_validate(yaml.safe_load(draft))
        data = read_model_bytes(path)
        with closing(open_backend(ModelFile(path, spec, graph, "", None, data))) as backend:
            raw = _outputs(backend, spec, drawn_frames())
    except (EdgesegError, ValueError):  # pydantic's error is a ValueError
        return draft
    return suggest_card(
        path.stem,
        graph.inputs,
        graph.outputs,
        activation=_seen_activation(spec, raw),
        classes=_seen_classes(spec, raw),
    )


def _seen_activation(spec: ModelSpec, raw: Sequence[Outputs]) -> Activation | None:
    if spec.outputs_as not in ("person", "yolact"):
        return None
    output = spec.outputs[0] if spec.outputs_as == "person" else spec.output("scores")
    return guess_activation([outputs[output.name] for outputs in raw], output.layout)


def _seen_classes(spec: ModelSpec, raw: Sequence[Outputs]) -> int | None:
    """Returns how many classes the numbers seen in drawn pictures need at least."""
    if spec.outputs_as not in ("labels", "maskrcnn"):
        return None
    name = spec.output("labels").name
    highest = [int(outputs[name].max()) for outputs in raw if outputs[name].size]
    return max(highest, default=0) + 1


def _outputs(backend: Backend, spec: ModelSpec, frames: Sequence[Frame]) -> list[Outputs]:
    """Returns the raw outputs of each picture."""
    raw: list[Outputs] = []
    for frame in frames:
        tensor, _ = network_input(frame, spec.input)
        raw.append(backend.infer({spec.input.name: tensor}))
    return raw
