"""TensorRT takes bytes only where a Cast reads them: pictures are cast before they are transposed.

Seen in TensorRT-RTX 1.7: "/Transpose: first input has type UInt8 but must have type Float, ...".
Shipped files transpose first, which moves a quarter of the bytes on a CPU.
"""

from __future__ import annotations

import onnx


def cast_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the model with Transpose-then-Cast of an input as Cast-then-Transpose.

    Names of tensors and nodes stay, but for the tensor between the two, and results are the same.
    """
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    nodes = moved.graph.node
    inputs = {value.name for value in moved.graph.input}
    for first in [
        node for node in nodes if node.op_type == "Transpose" and node.input[0] in inputs
    ]:
        readers = [node for node in nodes if first.output[0] in node.input]
        if len(readers) != 1 or readers[0].op_type != "Cast":
            continue
        second = readers[0]
        between, last = first.output[0], second.output[0]
        picture, between_now = first.input[0], f"{between}_cast"
        second.input[0], second.output[0] = picture, between_now
        first.input[0], first.output[0] = between_now, last
        places = {id(node): index for index, node in enumerate(nodes)}
        _swap(nodes, places[id(first)], places[id(second)])
        _forget_shape(moved, between)
    return moved


def _swap(nodes: list[onnx.NodeProto], first: int, second: int) -> None:
    """Exchanges two nodes of a graph in place."""
    copy = onnx.NodeProto()
    copy.CopyFrom(nodes[first])
    nodes[first].CopyFrom(nodes[second])
    nodes[second].CopyFrom(copy)


def _forget_shape(model: onnx.ModelProto, name: str) -> None:
    """Drops what is known of a tensor that is no longer there."""
    kept = [value for value in model.graph.value_info if value.name != name]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
