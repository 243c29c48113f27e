"""Tiny ONNX networks of classes and objects whose answer is known from the picture's colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from tiny_onnx import embed, save

from edgeseg.spec import InputSpec, ModelSpec, OutputSpec, Thresholds
from edgeseg.types import Size

COLORS = ("red", "green", "blue")
"""Classes of `colors_model`: the strongest channel wins."""
GAIN = 0.1


def colors_model(
    path: Path, *, size: Size, classes: Sequence[str] = COLORS, stride: int = 1
) -> Path:
    """Writes a semantic network whose class scores are R, G and B, at 1/stride of the size."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planar"], ["scores"], kernel_shape=[stride] * 2, strides=[stride] * 2
        ),
    ]
    shape = [1, 3, size.height // stride, size.width // stride]
    spec = ModelSpec(
        name=path.stem,
        task="semantic",
        input=InputSpec(name="image", size=size),
        outputs=(OutputSpec(name="scores", meaning="scores"),),
        classes=tuple(classes),
    )
    return save(path, embed(_model(nodes, size, {"scores": shape}), spec))


def boxes_model(
    path: Path,
    *,
    size: Size,
    classes: Sequence[str],
    found: Sequence[tuple[int, float, tuple[float, float, float, float]]],
) -> Path:
    """Writes a YOLACT-like network that finds the bright part of fixed boxes in every picture.

    found: class number, score, and left, top, right, bottom in 0..1 of the picture, each.
    """
    scores = np.zeros((1, len(found), len(classes)), np.float32)
    for row, (number, score, _) in enumerate(found):
        scores[0, row, number] = score
    constants = {
        "boxes": np.array([[box for *_, box in found]], np.float32),
        "scores": scores,
        "coefficients": np.ones((1, len(found), 1), np.float32),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in constants.items()
    ]
    nodes += [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["grey"], axes=[3], keepdims=0),
        helper.make_node("Constant", [], ["middle"], value_float=127.5),
        helper.make_node("Sub", ["grey", "middle"], ["level"]),
        helper.make_node("Constant", [], ["gain"], value_float=GAIN),
        helper.make_node("Mul", ["level", "gain"], ["plane"]),
        helper.make_node("Constant", [], ["axis"], value_ints=[1]),
        helper.make_node("Unsqueeze", ["plane", "axis"], ["prototypes"]),
    ]
    shapes = {name: list(value.shape) for name, value in constants.items()}
    shapes["prototypes"] = [1, 1, size.height, size.width]
    spec = ModelSpec(
        name=path.stem,
        task="instance",
        input=InputSpec(name="image", size=size),
        outputs=(
            OutputSpec(name="boxes", meaning="boxes"),
            OutputSpec(name="scores", meaning="scores"),
            OutputSpec(name="coefficients", meaning="coefficients"),
            OutputSpec(name="prototypes", meaning="prototypes"),
        ),
        classes=tuple(classes),
        thresholds=Thresholds(score=0.3, overlap=0.5),
    )
    return save(path, embed(_model(nodes, size, shapes), spec))


def _model(
    nodes: list[onnx.NodeProto], size: Size, outputs: dict[str, list[int]]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(
                "image", TensorProto.UINT8, [1, size.height, size.width, 3]
            )
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
