"""What the ONNX parser of a fake TensorRT refuses, with the node it is about.

From NVIDIA's parser: types seen in TensorRT-RTX 1.7, operators from onnx-tensorrt's operators.md
and Changelog.md.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, numpy_helper

ELEMENTS = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(uint8)": "UINT8"}
NEVER = {"MaxUnpool", "QLinearConv", "ConvInteger", "Unique", "Det", "MaxRoiPool"}
SINCE = {
    "GroupNormalization": (8, 6),
    "Hardmax": (9, 2),
    "LayerNormalization": (8, 6),
    "DeformConv": (10, 1),
}
PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


class Refused(Exception):
    """A parser's error: the node's number (-1 = the whole model), name and operator."""

    def __init__(self, node: int, text: str, name: str = "", op: str = "") -> None:
        super().__init__(text)
        self.node, self.name, self.op = node, name, op


def element_type(ort_type: str) -> str:
    """Returns ``DataType``'s member for ONNX Runtime's name of a tensor's type."""
    return ELEMENTS[ort_type]


def check_graph(model: onnx.ModelProto, world: Any, *, typed: bool) -> None:
    """Raises Refused for the first node this version does not take."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    kinds = _element_types(model, strict=typed)
    weights = {value.name: value for value in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        problem = (
            _operator(node, world)
            or _uint8(node, kinds)
            or _quantised(node, kinds, weights, opset, half_scales=world.has("DataType.BF16"))
        )
        if problem:
            raise Refused(index, problem, node.name, node.op_type)


def _element_types(model: onnx.ModelProto, *, strict: bool) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=strict, strict_mode=strict)
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return kinds | {value.name: value.data_type for value in model.graph.initializer}


def _operator(node: onnx.NodeProto, world: Any) -> str:
    version = tuple(int(part) for part in world.version.split(".")[:2])
    since = (1, 0) if world.rtx else SINCE.get(node.op_type, (1, 0))
    if node.op_type in NEVER or node.domain not in ("", "ai.onnx") or version < since:
        return PLUGIN if version < (10, 0) or node.domain else "false"
    return ""


def _uint8(node: onnx.NodeProto, kinds: dict[str, int]) -> str:
    if node.op_type in (*QUANTISERS, "Cast"):
        return ""
    if any(kinds.get(name) == TensorProto.UINT8 for name in node.input):
        return f"ITensor::getDimensions: Error Code 4: API Usage Error ({node.name}: first input has type UInt8 but must have type Float, Half)"  # noqa: E501
    return ""


def _quantised(
    node: onnx.NodeProto,
    kinds: dict[str, int],
    weights: dict[str, onnx.TensorProto],
    opset: int,
    *,
    half_scales: bool,
) -> str:
    if node.op_type not in QUANTISERS:
        return ""
    if node.op_type == "DequantizeLinear" and kinds.get(node.input[0]) == TensorProto.INT32:
        return "input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8"
    zero = weights.get(node.input[2]) if len(node.input) > 2 else None
    if zero is not None and zero.data_type == TensorProto.UINT8:
        return "Assertion failed: zero point of type UInt8: only symmetric Int8 is supported"
    if zero is not None and numpy_helper.to_array(zero).any():
        return "Assertion failed: shiftIsAllZeros(zeroPoint): only symmetric quantization"
    half = kinds.get(node.input[1]) == TensorProto.FLOAT16
    if half and (opset < 19 or not half_scales):
        return "Assertion failed: scale of type float16: must be Float before opset 19"
    return ""
