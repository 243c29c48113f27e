"""Whether calibration pictures are of the kind a model is for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgeseg.errors import ConfigError
from edgeseg.protocols import Tensor
from edgeseg.spec import ModelSpec, OutputSpec

Outputs = Mapping[str, Tensor]


def refuse_plain(inputs: Sequence[Tensor], source: str) -> None:
    """Raises ConfigError when every picture is of one colour."""
    if all(_is_plain(tensor) for tensor in inputs):
        raise ConfigError(
            f"{source}: each of the {len(inputs)} pictures is of one colour: nothing to calibrate "
            "with; expected pictures like those the model is for"
        )


def finds_something(spec: ModelSpec, outputs: Outputs) -> bool:
    """Whether a network sees in one picture anything of what it looks for.

    A person, a second class, an object; True for heads that this cannot tell of.
    """
    look = _LOOKS.get(spec.outputs_as)
    return look is None or look(spec, outputs)


def _is_plain(tensor: Tensor) -> bool:
    colours = tensor.reshape(-1, 3) if tensor.shape[-1] == 3 else tensor.reshape(3, -1).T
    return bool(np.ptp(colours, axis=0).max() == 0)


def _person(spec: ModelSpec, outputs: Outputs) -> bool:
    output = spec.outputs[0]
    scores = _channels_first(outputs[output.name], output)
    if output.activation == "softmax":
        scores = np.exp(scores - scores.max(axis=0))
        scores = scores / scores.sum(axis=0)
    level = spec.thresholds.decision
    if output.activation == "sigmoid":
        level = math.log(level / (1 - level))
    return bool(scores[output.channel or 0].max() >= level)


def _semantic(spec: ModelSpec, outputs: Outputs) -> bool:
    output = spec.outputs[0]
    return len(np.unique(_channels_first(outputs[output.name], output).argmax(axis=0))) > 1


def _labels(spec: ModelSpec, outputs: Outputs) -> bool:
    return len(np.unique(outputs[spec.outputs[0].name])) > 1


def _yolact(spec: ModelSpec, outputs: Outputs) -> bool:
    output = next(o for o in spec.outputs if o.meaning == "scores")
    if output.activation != "none":
        return True
    objects = outputs[output.name][..., spec.first_class :]
    return bool(objects.size and objects.max() >= spec.thresholds.score)


def _channels_first(tensor: Tensor, output: OutputSpec) -> Tensor:
    """Views scores of one picture as [C, H, W]."""
    if tensor.ndim == 3:
        return tensor
    picture: Tensor = tensor[0] if output.layout == "nchw" else tensor[0].transpose(2, 0, 1)
    return picture


_LOOKS: dict[str, Callable[[ModelSpec, Outputs], bool]] = {
    "person": _person,
    "semantic": _semantic,
    "labels": _labels,
    "yolact": _yolact,
}
