"""The first convolution over a picture of bytes, four columns at a time.

ONNX Runtime has a fast INT8 convolution for channels in fours; with the three of a picture it first
copies each output's neighbourhood, three bytes at a time. So four pixels of a row are taken as one
of twelve channels, which is the same memory, and the weights are laid out to suit: a kernel of one
or two such columns whose output channels are those of neighbouring outputs, again the same memory.
Weights for what lies outside the old kernel are zero: numbers in, numbers out stay the same.
Halving a picture before its convolution is the mean of 2x2 pixels, which four equal taps compute.

Measured with ONNX Runtime 1.31, AVX512-VNNI, one thread: driving-icnet 11.5 -> 9.9 ms, instances
10.9 -> 10.4, driving 20.6 -> 19.8, portrait 2.89 -> 2.73; OpenVINO takes 2 to 5 % longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from edgeseg.precision.exact_input import ExactInput
from edgeseg.precision.network import Network, attribute, weight_of
from edgeseg.precision.qdq import Grid, Pairs
from edgeseg.precision.weights import I8, Quantized
from edgeseg.types import F32

COLUMNS = 4
"""Pixels of a row taken as one."""
_STRIDES = (2, 4)


@dataclass(frozen=True, slots=True)
class Stem:
    """A convolution over a picture [1, 3, height, width], as one with these steps and borders.

    halved: it read the picture at half its size. pads: top, left, bottom, right.
    """

    node: onnx.NodeProto
    picture: str
    height: int
    width: int
    halved: bool
    stride: int
    pads: tuple[int, int, int, int]

    @property
    def tap_scale(self) -> float:
        """What each weight is worth: a quarter where four take the place of one."""
        return 0.25 if self.halved else 1.0


def find_stem(network: Network, node: onnx.NodeProto, exact: ExactInput) -> Stem | None:
    """Returns how a convolution reads a picture, None for one that is not laid out for it."""
    source = network.producers.get(exact.source)
    weight = weight_of(network, node)
    if source is None or source.op_type != "Transpose" or weight is None or node.op_type != "Conv":
        return None
    shape = network.shape(source.input[0])
    if shape is None or len(shape) != 4 or shape[3] != 3 or weight.shape[1] != 3:
        return None
    halved = node.input[0] != exact.tensor
    if halved and not _is_half(network, node.input[0], exact.tensor):
        return None
    if attribute(node, "group", 1) != 1 or set(attribute(node, "dilations", [1])) != {1}:
        return None
    times = 2 if halved else 1
    strides = [times * side for side in attribute(node, "strides", [1, 1])]
    top, left, bottom, right = (times * side for side in attribute(node, "pads", [0, 0, 0, 0]))
    stem = Stem(
        node, source.input[0], shape[1], shape[2], halved, strides[0], (top, left, bottom, right)
    )
    return stem if strides[0] == strides[1] and _fits(network, stem) else None


def _fits(network: Network, stem: Stem) -> bool:
    shape = network.shape(stem.node.output[0])
    named = attribute(stem.node, "auto_pad", b"NOTSET") in (b"NOTSET", b"")
    whole = stem.width % COLUMNS == 0 and shape is not None
    return bool(
        stem.stride in _STRIDES
        and named
        and whole
        and shape
        and shape[3] * stem.stride == stem.width
    )


def _is_half(network: Network, tensor: str, picture: str) -> bool:
    """Whether a tensor is the picture at exactly half its size, by linear interpolation."""
    node = network.producers.get(tensor)
    if node is None or node.op_type != "Resize" or node.input[0] != picture:
        return False
    if attribute(node, "mode", b"nearest") != b"linear" or attribute(node, "antialias", 0):
        return False
    centred = (b"half_pixel", b"pytorch_half_pixel")
    if attribute(node, "coordinate_transformation_mode", b"half_pixel") not in centred:
        return False
    before, after = network.shape(picture), network.shape(tensor)
    return (
        before is not None
        and after is not None
        and len(before) == 4
        and [2 * side for side in after[2:]] == list(before[2:])
    )


def write_stem(
    network: Network,
    pairs: Pairs,
    stem: Stem,
    found: Quantized,
    grids: tuple[Grid, Grid],
    result: str,
) -> None:
    """Adds a convolution over packed columns that gives ``result``, read from its numbers.

    grids: of the picture and of the result.
    """
    name = stem.node.name
    packed, left, right = packed_columns(found.numbers, stem)
    groups = len(packed) // len(found.numbers)
    scales = np.tile(found.scales * np.float32(stem.tap_scale), groups)
    picture = _packed_picture(network, pairs, stem, grids[0])
    weight = pairs.read_channels(f"{name}/weight", packed, scales, 0)
    inputs = [picture, weight]
    if found.bias is not None:
        inputs.append(_bias(pairs, name, np.tile(found.bias, groups), scales, grids[0]))
    top, _, bottom, _ = stem.pads
    pairs.nodes.append(
        helper.make_node(
            "Conv",
            inputs,
            [f"{result}/exact"],
            name=name,
            kernel_shape=packed.shape[2:],
            strides=[stem.stride, 1],
            pads=[top, left, bottom, right],
        )
    )
    _unpack(network, pairs, stem, (groups, len(found.numbers)), grids[1], result)


def packed_columns(numbers: I8, stem: Stem) -> tuple[I8, int, int]:
    """Returns weights [O, 3, h, w] for packed columns, and how many of these to add left and right.

    Their shape is [groups * O, 12, h, columns], groups being neighbouring outputs of a row.
    """
    if stem.halved:
        numbers = numbers.repeat(2, axis=2).repeat(2, axis=3)
    outputs, channels, high, wide = numbers.shape
    groups = COLUMNS // stem.stride
    at = stem.stride * np.arange(groups)[:, None] - stem.pads[1] + np.arange(wide)
    columns, within = at // COLUMNS, at % COLUMNS
    first, last = int(columns.min()), int(columns.max())
    shape = (groups, outputs, COLUMNS, channels, high, last - first + 1)
    packed = np.zeros(shape, np.int8)
    for group in range(groups):
        for tap in range(wide):
            one = packed[group, :, within[group, tap]]  # [O, 3, h, columns]
            one[..., columns[group, tap] - first] = numbers[:, :, :, tap]
    flat = packed.reshape(groups * outputs, COLUMNS * channels, high, -1)
    return flat, -first, last


def _packed_picture(network: Network, pairs: Pairs, stem: Stem, grid: Grid) -> str:
    """Adds the picture's bytes [1, 12, height, width / 4], read as numbers of a grid."""
    name = f"{stem.picture}/packed"
    result = f"{name}/quantized"
    if pairs.has(result):
        return result
    shape = np.array([1, stem.height, stem.width // COLUMNS, 3 * COLUMNS], np.int64)
    rows = [stem.picture, network.add_constant(f"{name}/shape", shape)]
    pairs.nodes += [
        helper.make_node("Reshape", rows, [f"{name}/rows"], name=f"{name}/rows"),
        helper.make_node("Transpose", [f"{name}/rows"], [name], name=name, perm=[0, 3, 1, 2]),
    ]
    return pairs.read(name, grid, result)


def _bias(pairs: Pairs, name: str, bias: F32, scales: F32, grid: Grid) -> str:
    unit = scales * np.float32(grid.scale)
    numbers = np.rint(bias / unit.astype(np.float64)).astype(np.int32)
    return pairs.read_channels(f"{name}/bias", numbers, unit, 0)


def _unpack(
    network: Network, pairs: Pairs, stem: Stem, sizes: tuple[int, int], grid: Grid, result: str
) -> None:
    """Adds the rounding of [1, groups * O, h, w] and its reading as [1, O, h, groups * w]."""
    groups, outputs = sizes
    rounded = pairs.round(f"{result}/exact", grid, result)
    if groups > 1:
        shape = network.shape(stem.node.output[0])
        assert shape is not None
        rows = network.add_constant(
            f"{result}/shape", np.array([1, shape[2], shape[3], outputs], np.int64)
        )
        last, flat, laid = (f"{result}/{step}" for step in ("last", "rows", "laid"))
        pairs.nodes += [
            helper.make_node("Transpose", [rounded], [last], name=last, perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [last, rows], [flat], name=flat),
            helper.make_node("Transpose", [flat], [laid], name=laid, perm=[0, 3, 1, 2]),
        ]
        rounded = laid
    pairs.read(rounded, grid, result)
