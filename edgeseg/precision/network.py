"""An ONNX graph with its wiring looked up by tensor name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.errors import ModelError, near_match

Array = NDArray[Any]

ACTIVATIONS = ("Relu", "Clip", "PRelu", "LeakyRelu", "HardSwish", "Sigmoid")
WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""Operators whose second input is weights, where it is constant."""


class Network:
    """A model that is looked at and changed; ``rewire`` after changing its nodes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Wires a model whose constants are initialisers; ``model`` itself is changed later."""
        self.model = model
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._infos = {i.name: i.type.tensor_type for i in _infos(model.graph)}
        self.rewire()

    def rewire(self) -> None:
        """Looks up again who makes and who reads each tensor."""
        self.producers: dict[str, onnx.NodeProto] = {}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.output:
                self.producers[name] = node
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(node)

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """Nodes in topological order."""
        return list(self.model.graph.node)

    @property
    def outputs(self) -> set[str]:
        """Names of the graph's outputs."""
        return {output.name for output in self.model.graph.output}

    def readers(self, tensor: str) -> list[onnx.NodeProto]:
        """Returns the nodes that read a tensor, each once."""
        return self._readers.get(tensor, [])

    def only_reader(self, tensor: str) -> onnx.NodeProto | None:
        """Returns the node that alone reads a tensor; None if several do or it is an output."""
        readers = self.readers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """Returns a node's inputs that are computed, not constant."""
        return [name for name in node.input if name and name not in self.constants]

    def is_float(self, tensor: str) -> bool:
        """Whether a tensor is known to be float32."""
        return self.dtype(tensor) == TensorProto.FLOAT

    def dtype(self, tensor: str) -> int:
        """Returns a tensor's ONNX element type, 0 where it is not known."""
        if tensor in self.constants:
            return int(helper.np_dtype_to_tensor_dtype(self.constants[tensor].dtype))
        info = self._infos.get(tensor)
        return info.elem_type if info is not None else 0

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Returns a computed tensor's shape, None where it is not known."""
        info = self._infos.get(tensor)
        if info is None or not info.HasField("shape"):
            return None
        return tuple(dim.dim_value for dim in info.shape.dim)

    def add_constant(self, name: str, value: Array) -> str:
        """Adds an initialiser under its name, or keeps the equal one of that name."""
        if name not in self.constants:
            self.constants[name] = value
            self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def replace_nodes(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Puts other nodes in place of all, sorted; what no output needs is dropped."""
        graph = self.model.graph
        ordered = in_order(nodes, known={i.name for i in graph.input} | set(self.constants))
        used = needed(ordered, self.outputs)
        del graph.node[:]
        graph.node.extend(used)
        del graph.value_info[:]
        self.rewire()
        kept = [t for t in graph.initializer if t.name in self._readers or t.name in self.outputs]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        self.constants = {t.name: self.constants[t.name] for t in kept}


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Returns a node's attribute as a Python value."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def weight_of(network: Network, node: onnx.NodeProto) -> Array | None:
    """Returns the weights of a layer, None for a node without constant ones."""
    if node.op_type not in WEIGHTED or len(node.input) < 2:
        return None
    return network.constants.get(node.input[1])


def output_axis(node: onnx.NodeProto, weight: Array) -> int:
    """Returns the axis of a layer's weights along which its output channels lie."""
    if node.op_type == "MatMul":
        return weight.ndim - 1
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 1 if node.op_type == "ConvTranspose" else 0


def in_order(nodes: Iterable[onnx.NodeProto], *, known: set[str]) -> list[onnx.NodeProto]:
    """Returns nodes so that each comes after those it reads; otherwise as they came."""
    waiting, done, ordered = list(nodes), set(known) | {""}, []
    while waiting:
        later = []
        for node in waiting:
            if done.issuperset(node.input):
                ordered.append(node)
                done.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            missing = next(name for name in later[0].input if name not in done)
            raise ModelError(f"node {later[0].name!r} reads {missing!r}, which nothing gives")
        waiting = later
    return ordered


def needed(ordered: Sequence[onnx.NodeProto], outputs: set[str]) -> list[onnx.NodeProto]:
    """Returns those of sorted nodes that outputs depend on."""
    wanted, kept = set(outputs), []
    for node in reversed(ordered):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def check_layers(network: Network, layers: Sequence[str], where: str) -> None:
    """Raises ModelError for a name that is no node's."""
    names = [node.name for node in network.nodes]
    for layer in layers:
        if layer not in names:
            raise ModelError(
                f"{where}: has no layer {layer!r}{near_match(layer, names)} to keep in floating "
                "point"
            )


def _infos(graph: onnx.GraphProto) -> Iterable[onnx.ValueInfoProto]:
    return [*graph.input, *graph.value_info, *graph.output]
