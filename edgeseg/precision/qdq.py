"""Numbers as scaled integers: scales from ranges, and QuantizeLinear pairs in a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgeseg.precision.network import Array, Network
from edgeseg.types import F32

LEAST_SCALE = 1e-12
"""A tensor that was always zero still needs a scale above zero."""


@dataclass(frozen=True, slots=True)
class Grid:
    """real = scale * (number - zero), numbers of ``dtype``: uint8, or int8 from -127."""

    scale: float
    zero: int
    dtype: str = "uint8"

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest real value it can say."""
        least, greatest = (0, 255) if self.dtype == "uint8" else (-128, 127)
        return self.scale * (least - self.zero), self.scale * (greatest - self.zero)


def uint8_grid(least: float, greatest: float) -> Grid:
    """Returns 256 steps over a range, widened so that zero is one of them."""
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    scale = float(np.float32(max((greatest - least) / 255, LEAST_SCALE)))
    return Grid(scale, int(np.clip(round(-least / scale), 0, 255)))


def int8_grid(least: float, greatest: float, *, least_scale: float = LEAST_SCALE) -> Grid:
    """Returns 255 steps around zero that cover a range."""
    largest = max(abs(least), abs(greatest))
    return Grid(float(np.float32(max(largest / 127, least_scale))), 0, "int8")


class Pairs:
    """Makes the QuantizeLinear and DequantizeLinear nodes that go into a network."""

    def __init__(self, network: Network) -> None:
        """Constants go into ``network`` at once, nodes into ``nodes``."""
        self.nodes: list[onnx.NodeProto] = []
        self._network = network

    def around(self, tensor: str, grid: Grid, result: str) -> str:
        """Adds a pair that rounds a tensor to a grid; returns the name of what it gives."""
        return self.read(self.round(tensor, grid, result), grid, result)

    def round(self, tensor: str, grid: Grid, result: str) -> str:
        """Adds the rounding of a tensor to a grid's numbers; ``result`` is their name in float."""
        return self._add(
            "QuantizeLinear", [tensor, *self._constants(result, grid)], f"{result}/numbers"
        )

    def read(self, numbers: str, grid: Grid, result: str) -> str:
        """Adds the reading of a tensor that holds numbers already."""
        return self._add("DequantizeLinear", [numbers, *self._constants(result, grid)], result)

    def read_channels(self, name: str, numbers: Array, scales: F32, axis: int) -> str:
        """Adds constant numbers with a scale for each channel; returns their float reading."""
        result = f"{name}/float"
        if not self.has(result):
            given = self._network.add_constant(f"{name}/numbers", numbers)
            grid = self._channel_constants(name, scales, str(numbers.dtype))
            self._add("DequantizeLinear", [given, *grid], result, axis=axis)
        return result

    def round_channels(self, name: str, weight: str, scales: F32, axis: int) -> str:
        """Adds a pair that rounds float weights to int8 by channel, as TensorRT 8 wants them."""
        result = f"{name}/float"
        if not self.has(result):
            grid = self._channel_constants(name, scales, "int8")
            self._add("QuantizeLinear", [weight, *grid], f"{name}/numbers", axis=axis)
            self._add("DequantizeLinear", [f"{name}/numbers", *grid], result, axis=axis)
        return result

    def _constants(self, name: str, grid: Grid) -> list[str]:
        scale, zero = np.array(grid.scale, np.float32), np.array(grid.zero, grid.dtype)
        return [
            self._network.add_constant(f"{name}/scale", scale),
            self._network.add_constant(f"{name}/zero", zero),
        ]

    def _channel_constants(self, name: str, scales: F32, dtype: str) -> list[str]:
        return [
            self._network.add_constant(f"{name}/scale", scales),
            self._network.add_constant(f"{name}/zero", np.zeros(len(scales), dtype)),
        ]

    def has(self, tensor: str) -> bool:
        """Whether one of the nodes gives a tensor."""
        return any(tensor in node.output for node in self.nodes)

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        name = f"{output}:{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output
