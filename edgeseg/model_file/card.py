"""Where a model's card and its ONNX graph disagree."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.model_file.outputs import listed, output_mismatches, shape_text
from edgeseg.protocols import TensorInfo
from edgeseg.spec import InputSpec, ModelSpec

CARD_NEEDS = (
    "input: {name, size, layout, order, dtype, mean, std}, "
    "outputs: [{name, layout, channel, activation}], for other than portraits task, head, classes"
)


def mismatches(
    spec: ModelSpec, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
) -> list[str]:
    """Returns one line per way in which the spec does not describe this graph; empty = it does."""
    return _input_mismatches(spec.input, inputs) + output_mismatches(spec, outputs)


def _input_mismatches(spec: InputSpec, inputs: Sequence[TensorInfo]) -> list[str]:
    names = [i.name for i in inputs]
    if spec.name not in names:
        return [f"input.name is {spec.name!r}, the file has {listed(names, spec.name)}"]
    found = []
    others = [name for name in names if name != spec.name]
    if others:
        found.append(f"the file also wants {listed(others)}; a model takes one picture only")
    info = inputs[names.index(spec.name)]
    if info.dtype != spec.dtype:
        found.append(f"input.dtype is {spec.dtype}, the file takes {info.dtype}")
    if not _fits(spec.shape, info.shape):
        found.append(
            f"input.size {spec.size} in layout {spec.layout} makes {shape_text(spec.shape)}, "
            f"the file takes {shape_text(info.shape)}"
        )
    return found


def _fits(wanted: tuple[int, ...], given: tuple[int | None, ...]) -> bool:
    return len(wanted) == len(given) and all(
        g is None or g == w for w, g in zip(wanted, given, strict=True)
    )
