"""Sizes written as numbers: a graph for one picture size needs no arithmetic about shapes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

_SIZE_INPUT = {"Resize": 3, "Expand": 1, "Reshape": 1}
"""Which input of a node is the shape of its output."""


def write_sizes(model: onnx.ModelProto) -> None:
    """Replace, in place, computed output shapes by constants, and drop what computed them."""
    shapes = _known_shapes(model)
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer}
    constant |= {n.output[0] for n in graph.node if n.op_type == "Constant"}
    for node in graph.node:
        index = _SIZE_INPUT.get(node.op_type)
        if index is None or len(node.input) <= index or node.input[index] in constant | {""}:
            continue
        if shape := shapes.get(node.output[0]):
            name = f"{node.output[0]}.shape"
            graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
            node.input[index] = name
    _drop_unused(graph)


def _known_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of all intermediate results that are fixed."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for value in [*inferred.value_info, *inferred.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    return shapes


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and initialisers that no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):  # an exported graph is sorted: users come after makers
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    used = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(used)
