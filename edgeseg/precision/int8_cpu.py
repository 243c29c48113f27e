"""INT8 files for CPUs: uint8 activations, int8 weights per channel, as QuantizeLinear pairs.

ONNX Runtime and OpenVINO replace an operator between a DequantizeLinear and a QuantizeLinear by
their INT8 kernel for it. Measured per kind of numbers (one thread, AVX512-VNNI): uint8 activations
with int8 weights are the fastest by far; int8 activations leave convolutions in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibration import Calibration
from edgeseg.precision.exact_input import exact_input
from edgeseg.precision.graph import fp32_graph
from edgeseg.precision.int8_plan import SAME_GRID, Plan
from edgeseg.precision.network import Network, check_layers, weight_of
from edgeseg.precision.qdq import Grid, Pairs, uint8_grid
from edgeseg.precision.recipe import variant_file
from edgeseg.precision.stem import find_stem, write_stem
from edgeseg.precision.weights import quantize_layer
from edgeseg.types import F32


def to_int8(
    model: ModelFile, calibration: Calibration, *, float_layers: Sequence[str] = ()
) -> bytes:
    """Returns a model's INT8 file for ONNX Runtime on CPUs and for OpenVINO, its recipe inside.

    float_layers: names of nodes, as ``rank_layers`` gives them, that stay in floating point.
    Raises ModelError: an unknown layer, or a calibration of another model.
    """
    calibration.check(model)
    network = Network(fp32_graph(model))
    check_layers(network, float_layers, str(model.path))
    nodes = _Writer(network, calibration, float_layers, model.spec.input.name).nodes()
    network.replace_nodes(nodes)
    return variant_file(network.model, model, "int8", calibration, float_layers)


class _Writer:
    """Writes the nodes of an INT8 network from those of an FP32 one."""

    def __init__(
        self, network: Network, calibration: Calibration, floating: Sequence[str], picture: str
    ) -> None:
        self._network, self._calibration = network, calibration
        self._exact = exact_input(network, picture)
        self._plan = Plan(network, floating, {self._exact.tensor} if self._exact else ())
        self._pairs = Pairs(network)
        self._grids: dict[str, Grid] = {}
        """Of tensors that quantised nodes read, by the name under which they read them."""
        self._rests: dict[str, NDArray[np.float64]] = {}
        """What a reading of the picture is short of, by tensor."""
        self._shared: dict[str, F32] = {}

    def nodes(self) -> list[onnx.NodeProto]:
        """Returns all nodes, in no order."""
        absorbed: set[str] = set()
        written = []
        for node in self._network.nodes:
            if node.name in absorbed:
                continue
            if node.name not in self._plan.quantized:
                written += self._left_in_float(node)
                continue
            activation = self._plan.absorbed_by(node)
            absorbed |= {activation.name} if activation is not None else set()
            if not self._written_as_stem(node):
                written.append(self._quantized(node))
        return [*written, *self._pairs.nodes]

    def _quantized(self, node: onnx.NodeProto) -> onnx.NodeProto:
        out = onnx.NodeProto()
        out.CopyFrom(node)
        for at, name in enumerate(node.input):
            if name and name not in self._network.constants:
                out.input[at] = self._read(name)
        source = out.input[0]
        result = self._plan.result(node)
        if self._plan.is_layer(node):
            self._put_weights(node, out)
        if node.op_type in SAME_GRID:
            grid = self._grids[source]
            if source in self._rests:
                self._rests[result] = self._rests[source]
        else:
            grid = uint8_grid(*self._calibration.range_of(result))
        self._grids[result] = grid
        out.output[0] = f"{result}/exact"
        self._pairs.around(out.output[0], grid, result)
        return out

    def _written_as_stem(self, node: onnx.NodeProto) -> bool:
        """Writes a convolution over the picture in its faster form; False where there is none."""
        exact = self._exact
        stem = find_stem(self._network, node, exact) if exact is not None else None
        if exact is None or stem is None or not self._plan.is_layer(node):
            return False
        before = self._network.producers.get(node.input[0])
        if stem.halved and (before is None or before.name not in self._plan.quantized):
            return False
        found = quantize_layer(
            self._network,
            node,
            self._calibration.means.get(node.input[0]),
            input_scale=exact.grid.scale * stem.tap_scale,
            moved=exact.rest,
        )
        result = self._plan.result(node)
        self._grids[result] = uint8_grid(*self._calibration.range_of(result))
        grids = (exact.grid, self._grids[result])
        write_stem(self._network, self._pairs, stem, found, grids, result)
        return True

    def _read(self, tensor: str) -> str:
        """Returns the name under which quantised nodes read a tensor."""
        if tensor in self._grids:
            return tensor
        reading = f"{tensor}/quantized"
        if reading in self._grids:
            return reading
        if self._exact is not None and tensor == self._exact.tensor:
            self._grids[reading] = self._exact.grid
            self._rests[reading] = self._exact.rest
            return self._pairs.read(self._exact.source, self._exact.grid, reading)
        self._grids[reading] = uint8_grid(*self._calibration.range_of(tensor))
        return self._pairs.around(tensor, self._grids[reading], reading)

    def _put_weights(self, node: onnx.NodeProto, out: onnx.NodeProto) -> None:
        source = out.input[0]
        grid, rest = self._grids[source], self._rests.get(source)
        means = self._calibration.means.get(node.input[0])
        found = quantize_layer(self._network, node, means, input_scale=grid.scale, moved=rest)
        name = f"{self._weight_name(node, found.scales)}/weight"
        out.input[1] = self._pairs.read_channels(name, found.numbers, found.scales, found.axis)
        if found.bias is None:
            return
        unit = found.scales * np.float32(grid.scale)
        numbers = np.rint(found.bias / unit.astype(np.float64)).astype(np.int32)
        bias = self._pairs.read_channels(f"{node.name}/bias", numbers, unit, 0)
        if len(out.input) > 2:
            out.input[2] = bias
        else:
            out.input.append(bias)

    def _weight_name(self, node: onnx.NodeProto, scales: F32) -> str:
        """Returns one name for layers that share their weights and need the same scales."""
        if len(self._network.readers(node.input[1])) < 2:
            return node.name
        first = self._shared.setdefault(node.input[1], scales)
        return node.input[1] if np.array_equal(first, scales) else node.name

    def _left_in_float(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Returns a node that stays as it is, kept from being quantised by ONNX Runtime itself.

        It does so, with one scale for all weights, to a layer between a DequantizeLinear and a
        QuantizeLinear, and half the accuracy is gone. A Clip that cuts nothing off prevents it.
        """
        if weight_of(self._network, node) is None or node.input[0] not in self._grids:
            return [node]
        least, greatest = (np.array(v, np.float32) for v in self._grids[node.input[0]].range)
        name = f"{node.name}/input"
        bounds = [
            self._network.add_constant(f"{name}/least", least),
            self._network.add_constant(f"{name}/greatest", greatest),
        ]
        out = onnx.NodeProto()
        out.CopyFrom(node)
        out.input[0] = name
        return [helper.make_node("Clip", [node.input[0], *bounds], [name], name=name), out]
