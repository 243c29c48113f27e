"""Where a model's card and its ONNX graph disagree, and a first card for a graph without one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edgeseg.errors import near_match
from edgeseg.protocols import TensorInfo
from edgeseg.spec import SCHEMA, Activation, InputSpec, ModelSpec, OutputSpec

CARD_NEEDS = (
    "input: {name, size, layout, order, dtype, mean, std}, "
    "outputs: [{name, layout, channel, activation}]"
)
SCORE_DTYPES = ("float32", "float16", "uint8")


def mismatches(
    spec: ModelSpec, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
) -> list[str]:
    """Returns one line per way in which the spec does not describe this graph; empty = it does."""
    found = _input_mismatches(spec.input, inputs)
    for output in spec.outputs:
        found += _output_mismatches(output, outputs)
    return found


def _input_mismatches(spec: InputSpec, inputs: Sequence[TensorInfo]) -> list[str]:
    names = [i.name for i in inputs]
    if spec.name not in names:
        return [f"input.name is {spec.name!r}, the file has {_listed(names, spec.name)}"]
    found = []
    others = [name for name in names if name != spec.name]
    if others:
        found.append(f"the file also wants {_listed(others)}; a model takes one picture only")
    info = inputs[names.index(spec.name)]
    if info.dtype != spec.dtype:
        found.append(f"input.dtype is {spec.dtype}, the file takes {info.dtype}")
    if not _fits(spec.shape, info.shape):
        found.append(
            f"input.size {spec.size} in layout {spec.layout} makes {_shape(spec.shape)}, "
            f"the file takes {_shape(info.shape)}"
        )
    return found


def _output_mismatches(spec: OutputSpec, outputs: Sequence[TensorInfo]) -> list[str]:
    names = [o.name for o in outputs]
    if spec.name not in names:
        return [f"outputs.name is {spec.name!r}, the file has {_listed(names, spec.name)}"]
    info = outputs[names.index(spec.name)]
    found = []
    if info.dtype not in SCORE_DTYPES:
        found.append(
            f"output {spec.name!r} is {info.dtype}, expected scores as {' or '.join(SCORE_DTYPES)}"
        )
    if info.shape and len(info.shape) not in (3, 4):
        found.append(
            f"output {spec.name!r} has shape {_shape(info.shape)}, expected 4 axes in layout "
            f"{spec.layout}, or 3 without channels"
        )
        return found
    channels = channel_count(info.shape, spec.layout)
    if channels is None:
        return found
    if spec.activation == "softmax" and channels == 1:
        found.append(
            f"outputs.activation is softmax, which over the one channel of {spec.name!r} gives 1 "
            "everywhere: sigmoid or none"
        )
    if spec.channel is None and channels > 1:
        found.append(
            f"output {spec.name!r} has {channels} channels in layout {spec.layout} "
            f"({_shape(info.shape)}): channel must say which one is the person"
        )
    elif spec.channel is not None and spec.channel >= channels:
        found.append(
            f"outputs.channel is {spec.channel}, output {spec.name!r} has {channels} channel(s) "
            f"in layout {spec.layout} ({_shape(info.shape)})"
        )
    return found


def channel_count(shape: tuple[int | None, ...], layout: str) -> int | None:
    """Returns how many channels a score tensor has, 1 without a channel axis, None if free."""
    if len(shape) == 3:
        return 1
    return shape[1 if layout == "nchw" else 3] if len(shape) == 4 else None


def suggest_card(
    name: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    *,
    activation: Activation | None = None,
) -> str:
    """Returns a YAML card guessed from a graph's shapes, with what to check as comments.

    activation: what running the model showed; None leaves a guess.
    """
    lines = [f"schema: {SCHEMA}", f"name: {json.dumps(name)}", "task: portrait"]
    lines += _suggest_input(_picture_input(inputs))
    lines += _suggest_output(_score_output(outputs), activation)
    lines += ["licence: not stated    # whose weights, under which terms"]
    return "\n".join(lines) + "\n"


def _picture_input(inputs: Sequence[TensorInfo]) -> TensorInfo:
    pictures = [i for i in inputs if len(i.shape) == 4]
    return (pictures or list(inputs) or [TensorInfo("input", (), "float32")])[0]


def _score_output(outputs: Sequence[TensorInfo]) -> TensorInfo:
    scores = [o for o in outputs if len(o.shape) in (3, 4) and o.dtype in SCORE_DTYPES]
    return (scores or list(outputs))[0]


def _suggest_input(info: TensorInfo) -> list[str]:
    layout = "nhwc" if len(info.shape) == 4 and info.shape[3] == 3 else "nchw"
    sides = (info.shape[1:3] if layout == "nhwc" else info.shape[2:4]) or (None, None)
    free = "" if all(sides) else "    # free in the file: the size it was trained at"
    height, width = (side or 256 for side in sides)
    lines = [
        "input:",
        f"  name: {json.dumps(info.name)}",
        f"  size: {width}x{height}{free}",
        f"  layout: {layout}",
        "  order: rgb    # or bgr: as it was trained",
    ]
    if info.dtype == "uint8":
        return [*lines, "  dtype: uint8"]
    return [
        *lines,
        f"  dtype: {'float32' if info.dtype == 'float32' else info.dtype + '  # not supported'}",
        "  mean: [0, 0, 0]    # network sees (pixel - mean) / std, pixel in 0..255:",
        "  std: [255, 255, 255]    # this gives 0..1; mean = std = 127.5 gives -1..1",
    ]


def _suggest_output(info: TensorInfo, activation: Activation | None) -> list[str]:
    last = info.shape[3] if len(info.shape) == 4 else None
    layout = "nhwc" if last is not None and last <= 4 else "nchw"
    channels = channel_count(info.shape, layout) or 1
    guess = activation or ("softmax" if channels > 1 else "sigmoid")
    lines = ["outputs:", f"  - name: {json.dumps(info.name)}", f"    layout: {layout}"]
    if channels > 1:
        lines.append(f"    channel: 1    # which of the {channels} is the person")
    seen = "" if activation else "    # none where the graph ends in probabilities"
    return [*lines, f"    activation: {guess}{seen}"]


def _fits(wanted: tuple[int, ...], given: tuple[int | None, ...]) -> bool:
    return len(wanted) == len(given) and all(
        g is None or g == w for w, g in zip(wanted, given, strict=True)
    )


def _shape(shape: Sequence[int | None]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape) or "no shape"


def _listed(names: Sequence[str], wanted: str = "") -> str:
    hint = near_match(wanted, list(names)) if wanted and len(names) > 1 else ""
    return (", ".join(repr(name) for name in names) or "none") + hint
