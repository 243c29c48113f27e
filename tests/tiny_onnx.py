"""Tiny ONNX networks whose answer is known: a bright pixel is a person, a dark one is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg.spec import METADATA_KEY, Activation, InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Size

SIZE = Size(32, 24)
GAIN = 0.1
"""Logit of a pixel: GAIN * (mean of its channels - 127.5)."""

HEADS: dict[str, tuple[Activation, int | None]] = {
    "probability": ("none", None),
    "logit": ("sigmoid", None),
    "pair": ("softmax", 1),
    "three": ("softmax", 2),
}
"""What a network ends in -> activation and channel of its card."""


def spec_for(head: str = "probability", **changes: Any) -> ModelSpec:
    """The recipe of `network` with the same arguments."""
    layout, dtype = changes.pop("layout", "nhwc"), changes.pop("dtype", "uint8")
    out_layout = changes.pop("out_layout", "nchw")
    activation, channel = HEADS[head]
    values: dict[str, Any] = {
        "name": "tiny",
        "input": InputSpec(
            name="image",
            size=changes.pop("size", SIZE),
            layout=layout,
            dtype=dtype,
            fit=changes.pop("fit", "stretch"),
        ),
        "outputs": (
            OutputSpec(name="person", layout=out_layout, channel=channel, activation=activation),
        ),
    }
    return ModelSpec(**{**values, **changes})


def network(
    head: str = "probability",
    *,
    layout: str = "nhwc",
    dtype: str = "uint8",
    out_layout: str = "nchw",
    size: Size = SIZE,
    stride: int = 1,
    weights_as_inputs: bool = False,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """Brightness to person: at 1/stride of the input's size, ending in ``head``."""
    width, height = size
    shape = [1, height, width, 3] if layout == "nhwc" else [1, 3, height, width]
    element = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    weights = {
        "grey": np.full((1, 3, 1, 1), GAIN / 3, np.float32),
        "offset": np.full((1, 1, 1, 1), -GAIN * 127.5, np.float32),
        "zero": np.zeros((1,), np.float32),
    }
    nodes = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)]
    planar = "float"
    if layout == "nhwc":
        nodes.append(helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]))
        planar = "planar"
    if stride > 1:
        side = [stride, stride]
        pool = helper.make_node("AveragePool", [planar], ["small"], kernel_shape=side, strides=side)
        nodes.append(pool)
        planar = "small"
    nodes += [
        helper.make_node("Conv", [planar, "grey"], ["level"]),
        helper.make_node("Add", ["level", "offset"], ["logit"]),
    ]
    channels = {"probability": 1, "logit": 1, "pair": 2, "three": 3}[head]
    if channels > 1:
        nodes.append(helper.make_node("Mul", ["logit", "zero"], ["nobody"]))
        parts = ["nobody"] * (channels - 1) + ["logit"]
        nodes.append(helper.make_node("Concat", parts, ["scores"], axis=1))
    elif head == "probability":
        nodes.append(helper.make_node("Sigmoid", ["logit"], ["scores"]))
    else:
        nodes.append(helper.make_node("Identity", ["logit"], ["scores"]))
    perm = [0, 1, 2, 3] if out_layout == "nchw" else [0, 2, 3, 1]
    nodes.append(helper.make_node("Transpose", ["scores"], ["person"], perm=perm))
    out = [1, channels, height // stride, width // stride]
    inputs = [helper.make_tensor_value_info("image", element, shape)]
    if weights_as_inputs:
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in weights.items()
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info("person", TensorProto.FLOAT, [out[axis] for axis in perm])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = ir_version
    onnx.checker.check_model(model)
    return model


def embed(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Puts a recipe into the model's metadata."""
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, spec.to_json()
    return model


def save(path: Path, model: onnx.ModelProto, spec: ModelSpec | None = None) -> Path:
    """Writes the model, and its recipe as a card beside it."""
    path.write_bytes(model.SerializeToString())
    if spec is not None:
        path.with_suffix(".yaml").write_text(spec.to_card(), encoding="utf-8")
    return path


def tiny_model(path: Path, head: str = "probability", **changes: Any) -> Path:
    """Writes a network with its recipe inside; ``fit`` and thresholds concern the recipe only."""
    graph_only = {"stride", "weights_as_inputs", "ir_version"}
    spec_only = {"fit", "thresholds", "name", "metrics", "precision", "build"}
    spec = spec_for(head, **{k: v for k, v in changes.items() if k not in graph_only})
    model = network(head, **{k: v for k, v in changes.items() if k not in spec_only})
    return save(path, embed(model, spec))
