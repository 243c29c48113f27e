"""Which parts of a network a CPU computes in INT8.

Layers with weights are quantised. What lies between them (sums, concatenations, enlargements)
follows where all it reads is quantised already and a quantised layer reads it in turn, so that
numbers stay bytes from layer to layer. What follows the last layer stays in floating point:
measured, it costs no time there and accuracy in INT8.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx

from edgeseg.precision.network import Network, attribute, weight_of

LAYERS = ("Conv", "MatMul", "Gemm")
"""Quantised wherever they have constant weights. ConvTranspose has no INT8 kernel on CPUs."""
LEAST_MATRIX = 4096
"""Weights of a matrix from which bytes are worth it: small products only cost time and rounding."""
SAME_GRID = ("Resize", "MaxPool", "Transpose", "Reshape", "Flatten", "Slice")
"""What they give lies within what they read: numbers keep their scale."""
CARRIERS = (*SAME_GRID, "Add", "Concat", "AveragePool", "GlobalAveragePool", "Relu", "Clip")
ABSORBED = ("Relu", "Clip")
"""An activation that a grid from zero up computes by itself."""


class Plan:
    """quantized: names of the nodes to quantise, absorbed activations not among them."""

    def __init__(
        self, network: Network, floating: Collection[str], exact: Collection[str] = ()
    ) -> None:
        """floating: nodes to leave. exact: tensors that are numbers on a grid already."""
        self._network = network
        self._floating = set(floating)
        self._exact = set(exact)
        self._chosen = {n.name for n in network.nodes if self._is_layer(n) or self._may_carry(n)}
        while gone := {n.name for n in network.nodes if self._does_not_fit(n)}:
            self._chosen -= gone

    @property
    def quantized(self) -> set[str]:
        """Names of the nodes to quantise."""
        return set(self._chosen)

    def absorbed_by(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Returns the activation that a quantised node computes too, None without one."""
        reader = self._network.only_reader(node.output[0])
        if reader is None or reader.op_type not in ABSORBED or node.op_type in ABSORBED:
            return None
        if reader.name in self._floating or reader.input[0] != node.output[0]:
            return None
        sums = node.op_type in (*LAYERS, "Add")
        return reader if sums and _keeps_zero(self._network, reader) else None

    def result(self, node: onnx.NodeProto) -> str:
        """Returns the tensor a quantised node gives, after an activation it absorbs."""
        activation = self.absorbed_by(node)
        output: str = (activation or node).output[0]
        return output

    def is_layer(self, node: onnx.NodeProto) -> bool:
        """Whether a node is quantised for its weights."""
        return node.name in self._chosen and self._is_layer(node)

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in LAYERS or node.name in self._floating:
            return False
        weight = weight_of(self._network, node)
        if weight is None or not self._network.is_float(node.input[0]):
            return False
        return node.op_type == "Conv" or (weight.ndim == 2 and weight.size >= LEAST_MATRIX)

    def _may_carry(self, node: onnx.NodeProto) -> bool:
        network = self._network
        if node.op_type not in CARRIERS or node.name in self._floating:
            return False
        if not network.is_float(node.output[0]) or node.output[0] in network.outputs:
            return False
        if node.op_type == "Resize":
            return bool(attribute(node, "mode", b"nearest") != b"cubic")
        constant = [name for name in node.input if name in network.constants]
        return node.op_type not in ("Add", "Concat") or not constant

    def _does_not_fit(self, node: onnx.NodeProto) -> bool:
        """Whether a chosen node is neither a layer nor in between quantised ones."""
        if node.name not in self._chosen or self._is_layer(node):
            return False
        if not all(self._is_quantized(tensor) for tensor in self._network.activations(node)):
            return True
        readers = self._network.readers(self.result(node))
        return not any(reader.name in self._chosen for reader in readers)

    def _is_quantized(self, tensor: str) -> bool:
        if tensor in self._exact:
            return True
        producer = self._network.producers.get(tensor)
        if producer is None:
            return False
        if producer.name in self._chosen:
            return self.result(producer) == tensor
        if producer.op_type not in ABSORBED:
            return False
        before = self._network.producers.get(producer.input[0])
        return before is not None and before.name in self._chosen and self.result(before) == tensor


def _keeps_zero(network: Network, activation: onnx.NodeProto) -> bool:
    """Whether an activation only cuts values off, and leaves zero as it is."""
    if activation.op_type == "Relu":
        return True
    bounds = [network.constants.get(name) for name in activation.input[1:]]
    known = [float(bound) for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        return False
    least, greatest = (*known, float("inf"))[:2] if known else (0.0, 0.0)
    return least <= 0 <= greatest
