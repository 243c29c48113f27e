"""INT8 files for TensorRT: symmetric int8, zero point 0, on the inputs of convolutions.

TensorRT takes zero points of 0 only, scales by channel on weights only, and biases in floating
point; it fuses a convolution with the activation and the sum behind it if nothing is between them,
and moves pairs through concatenations, enlargements and poolings by itself. So pairs stand in front
of layers with weights, and on that branch of a sum that no convolution ends in. The rules were read
in TensorRT's ONNX parser; TensorRT-RTX 1.7 builds these files. On a CPU they are slow: their
numbers can be checked there, not their speed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import onnx

from edgeseg.model_file import ModelFile
from edgeseg.precision.calibration import Calibration
from edgeseg.precision.cast_first import cast_first
from edgeseg.precision.fp16 import OPSET
from edgeseg.precision.graph import fp32_graph, in_opset
from edgeseg.precision.half import halve
from edgeseg.precision.network import WEIGHTED, Network, attribute, check_layers, weight_of
from edgeseg.precision.qdq import LEAST_SCALE, Grid, Pairs, int8_grid
from edgeseg.precision.recipe import variant_file
from edgeseg.precision.weights import LEAST_HALF_SCALE, Quantized, quantize_layer
from edgeseg.spec import Variant

Typed = Literal["fp32", "fp16"]


def to_int8_trt(
    model: ModelFile,
    calibration: Calibration,
    *,
    typed: Typed = "fp16",
    float_layers: Sequence[str] = (),
) -> bytes:
    """Returns a model's INT8 file for TensorRT, its recipe inside (int8-trt or int8-trt16).

    typed: of what is not quantised; fp32 for TensorRT 8 and early 10, fp16 for later ones.
    float_layers: names of nodes, as ``rank_layers`` gives them, that stay in floating point.
    Raises ModelError: an unknown layer, or a calibration of another model.
    """
    calibration.check(model)
    where = str(model.path)
    network = Network(cast_first(fp32_graph(model)))
    check_layers(network, float_layers, where)
    half = typed == "fp16"
    network.replace_nodes(_Writer(network, calibration, float_layers, half=half).nodes())
    graph = halve(in_opset(network.model, OPSET, where), where) if half else network.model
    variant: Variant = "int8-trt16" if half else "int8-trt"
    return variant_file(graph, model, variant, calibration, float_layers)


class _Writer:
    """Writes the nodes of an INT8 network from those of an FP32 one."""

    def __init__(
        self,
        network: Network,
        calibration: Calibration,
        floating: Collection[str],
        *,
        half: bool,
    ) -> None:
        self._network, self._calibration, self._half = network, calibration, half
        self._pairs = Pairs(network)
        self._read: dict[str, str] = {}
        self._layers = {n.name for n in network.nodes if n.name not in floating and self._fits(n)}
        self._sums = {n.name: n for n in network.nodes if n.op_type == "Add"}
        for name in floating:
            self._sums.pop(name, None)

    def nodes(self) -> list[onnx.NodeProto]:
        """Returns all nodes, in no order."""
        written = []
        for node in self._network.nodes:
            out = onnx.NodeProto()
            out.CopyFrom(node)
            if node.name in self._layers:
                self._quantize(node, out)
            elif node.name in self._sums:
                skip = self._skip_branch(node)
                if skip is not None:
                    out.input[skip] = self._rounded(node.input[skip])
            written.append(out)
        return [*written, *self._pairs.nodes]

    def _fits(self, node: onnx.NodeProto) -> bool:
        weight = weight_of(self._network, node)
        if weight is None or not self._network.is_float(node.input[0]):
            return False
        if node.op_type == "ConvTranspose":
            return bool(attribute(node, "group", 1) == 1)
        return node.op_type == "Conv" or (node.op_type in WEIGHTED and weight.ndim == 2)

    def _quantize(self, node: onnx.NodeProto, out: onnx.NodeProto) -> None:
        out.input[0] = self._rounded(node.input[0])
        means = self._calibration.means.get(node.input[0])
        by_channel = node.op_type in ("Conv", "ConvTranspose")
        found = quantize_layer(self._network, node, means, half=self._half, by_channel=by_channel)
        out.input[1] = self._weights(node, found, by_channel=by_channel)
        if found.bias is None:
            return
        bias = self._network.add_constant(f"{node.name}/bias", found.bias)
        if len(out.input) > 2:
            out.input[2] = bias
        else:
            out.input.append(bias)

    def _weights(self, node: onnx.NodeProto, found: Quantized, *, by_channel: bool) -> str:
        """Adds float weights that are on their grid already, and the pair that says so."""
        name = f"{node.input[1]}/rounded"
        weight = self._network.add_constant(name, found.rounded)
        if by_channel:
            return self._pairs.round_channels(name, weight, found.scales, found.axis)
        grid = Grid(float(found.scales[0]), 0, "int8")
        return self._pairs.around(weight, grid, f"{node.name}/{name}/float")

    def _rounded(self, tensor: str) -> str:
        """Returns the name under which quantised nodes read a tensor."""
        if tensor not in self._read:
            least = LEAST_HALF_SCALE if self._half else LEAST_SCALE
            grid = int8_grid(*self._calibration.range_of(tensor), least_scale=least)
            if self._half:
                grid = Grid(float(np.float16(grid.scale)), 0, "int8")
            self._read[tensor] = self._pairs.around(tensor, grid, f"{tensor}/quantized")
        return self._read[tensor]

    def _skip_branch(self, node: onnx.NodeProto) -> int | None:
        """Returns which input of a sum goes past the convolution that is fused with it."""
        network = self._network
        if len(network.activations(node)) != 2 or node.input[0] == node.input[1]:
            return None
        if network.shape(node.input[0]) != network.shape(node.input[1]):
            return None
        for fused in (1, 0):
            before = network.producers.get(node.input[fused])
            alone = network.only_reader(node.input[fused])
            if before is not None and before.name in self._layers and alone is not None:
                return 1 - fused
        return None
