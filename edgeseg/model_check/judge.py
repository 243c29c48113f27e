"""What raw outputs and results of drawn pictures say about a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeseg.protocols import Tensor
from edgeseg.spec import Activation, ModelSpec, OutputSpec
from edgeseg.types import Instances, Matte, Result, SemanticMap

TOLERANCE = 0.01
"""How far outside 0..1 a probability may lie by rounding."""

Outputs = Mapping[str, Tensor]


def judge_outputs(spec: ModelSpec, raw: Sequence[Outputs]) -> list[str]:
    """Returns what is wrong with the raw outputs of several pictures; empty = nothing seen."""
    problems = []
    for output in spec.outputs:
        tensors = [outputs[output.name] for outputs in raw]
        problems += _judge(output, tensors, spec)
    return problems


def judge_scores(spec: ModelSpec, raw: Sequence[Tensor]) -> list[str]:
    """Returns what is wrong with the first output of several pictures, taken as probabilities."""
    return _judge_probabilities(spec.outputs[0], raw)


def _judge(output: OutputSpec, raw: Sequence[Tensor], spec: ModelSpec) -> list[str]:
    scores_of_objects = output.meaning == "scores" and spec.task == "instance"
    if output.meaning in ("person", "probability") or scores_of_objects:
        return _judge_probabilities(output, raw)
    values = _values(raw)
    if not np.isfinite(values).all():
        return [_holds_nan(output)]
    if output.meaning == "scores" and np.ptp(values) < 1e-6:
        return [_dead(output, float(values[0]))]
    return []


def _judge_probabilities(output: OutputSpec, raw: Sequence[Tensor]) -> list[str]:
    values = _values(raw)
    if not values.size:  # no object found
        return []
    if not np.isfinite(values).all():
        return [_holds_nan(output)]
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6 and output.meaning != "scores":
        return [_dead(output, low)]
    if raw[0].dtype == np.uint8:
        return []
    inside = low >= -TOLERANCE and high <= 1 + TOLERANCE
    if output.activation == "none" and not inside:
        return [
            f"output {output.name!r} ranges over {low:.3g}..{high:.3g}, which are no "
            f"probabilities: outputs.activation should be {guess_activation(raw, output.layout)}"
        ]
    if output.activation != "none" and inside:
        return [
            f"output {output.name!r} already lies in 0..1 ({low:.3g}..{high:.3g}): "
            f"outputs.activation should be none, not {output.activation}"
        ]
    return []


def guess_activation(raw: Sequence[Tensor], layout: str) -> Activation:
    """Returns what is still to be applied to scores with these values."""
    values = _values(raw)
    if not values.size or (values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE):
        return "none"
    tensor = raw[0]
    if tensor.ndim == 3 and tensor.shape[2] > 1 and tensor.shape[1] > tensor.shape[2]:
        return "softmax"  # a table of proposals
    channels = tensor.shape[1 if layout == "nchw" else -1] if tensor.ndim == 4 else 1
    return "softmax" if channels > 1 else "sigmoid"


def describe(results: Sequence[Result]) -> str:
    """Returns one line on what was found in the drawn pictures."""
    first = results[0]
    if isinstance(first, Matte):
        people = [r.person for r in results if isinstance(r, Matte)]
        low, high = min(float(p.min()) for p in people), max(float(p.max()) for p in people)
        return f"person probability {low:.3f} to {high:.3f} on drawn pictures"
    if isinstance(first, SemanticMap):
        seen = {int(n) for r in results if isinstance(r, SemanticMap) for n in np.unique(r.labels)}
        names = ", ".join(first.label_set.names[number] for number in sorted(seen))
        return f"{len(seen)} of {len(first.label_set)} classes on drawn pictures: {names}"
    counts = [str(len(r)) for r in results if isinstance(r, Instances)]
    return f"{', '.join(counts)} objects on drawn pictures"


def _values(raw: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([np.asarray(r, np.float32).ravel() for r in raw])


def _holds_nan(output: OutputSpec) -> str:
    return f"output {output.name!r} holds NaN or infinity: are mean and std right?"


def _dead(output: OutputSpec, value: float) -> str:
    return f"output {output.name!r} is {value:.4g} everywhere, whatever the picture shows"
