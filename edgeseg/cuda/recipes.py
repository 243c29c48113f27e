"""What the kernels are told, as structs in device memory: a graph's arguments are addresses only.

Every field is four bytes, so that numpy's packed layout is the C compiler's (``kernels.cu``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeseg.errors import ModelError
from edgeseg.ops.planes import yuv_to_rgb_matrix
from edgeseg.protocols import TensorInfo
from edgeseg.spec import Activation, InputSpec, OutputSpec
from edgeseg.types import ColorSpace, Geometry, Size

KINDS = {"uint8": 0, "float16": 1, "float32": 2}
"""Element types the kernels read and write, as they number them."""
ACTIVATIONS: dict[Activation, int] = {"none": 0, "sigmoid": 1, "softmax": 2}

AXIS = np.dtype([("size", "i4"), ("level", "i4"), ("box", "i4"), ("ratio", "f4")])
"""Length of a plane's axis, in boxes, pixels per box, and boxes per pixel made."""
PLANE = np.dtype([("offset", "i4"), ("stride", "i4"), ("x", AXIS), ("y", AXIS)])
"""Where a plane lies in the frame's buffer, in bytes, and how it is resized."""
INPUT_RECIPE = np.dtype(
    [
        ("planes", PLANE, 3),
        ("width", "i4"),
        ("height", "i4"),
        ("left", "i4"),
        ("top", "i4"),
        ("right", "i4"),
        ("bottom", "i4"),
        ("nchw", "i4"),
        ("kind", "i4"),
        ("matrix", "f4", (3, 4)),
        ("mean", "f4", 3),
        ("std", "f4", 3),
    ]
)
"""Frame to network input: planes, network size, content, layout, element type, colours."""
SCORE_RECIPE = np.dtype(
    [
        ("columns", "i4"),
        ("rows", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("ratio_x", "f4"),
        ("ratio_y", "f4"),
        ("channels", "i4"),
        ("pixel_stride", "i4"),
        ("channel_stride", "i4"),
        ("kind", "i4"),
        ("channel", "i4"),
        ("activation", "i4"),
    ]
)
"""Network scores to bytes: their size, the size made, scores per pixel made, layout, decision.

Strides count elements."""


def frame_bytes(size: Size) -> int:
    """Returns the length of an I420 picture whose planes lie packed one after another."""
    return size.width * size.height + 2 * size.chroma.width * size.chroma.height


def input_recipe(geometry: Geometry, color: ColorSpace, spec: InputSpec, dtype: str) -> np.void:
    """Returns an INPUT_RECIPE for packed planes of a frame; dtype: of the network's input.

    Raises ModelError for an element type the kernel cannot write.
    """
    recipe = np.zeros((), INPUT_RECIPE)
    box, luma, chroma = geometry.content, geometry.frame, geometry.frame.chroma
    content = Size(box.right - box.left, box.bottom - box.top)
    offset = 0
    for row, (size, ratio) in zip(
        recipe["planes"], ((luma, 2), (chroma, 3), (chroma, 3)), strict=True
    ):
        x = _axis(size.width, content.width, ratio)
        y = _axis(size.height, content.height, ratio)
        row["offset"], row["stride"], row["x"], row["y"] = offset, size.width, x, y
        offset += size.width * size.height
    recipe["width"], recipe["height"] = geometry.network
    for side, value in box._asdict().items():
        recipe[side] = value
    recipe["nchw"], recipe["kind"] = spec.layout == "nchw", _kind(spec.name, dtype)
    recipe["matrix"] = yuv_to_rgb_matrix(color, bgr=spec.order == "bgr")
    recipe["mean"], recipe["std"] = spec.mean, spec.std
    return _scalar(recipe)


def _axis(size: int, target: int, ratio: int) -> tuple[int, int, int, float]:
    """Returns an AXIS as ``ops.image.shrink`` does it: halved while ``ratio`` times too long."""
    level, box = size, 1
    while level >= ratio * target:
        level, box = level // 2, box * 2
    return size, level, box, size / (box * target)


def score_recipe(spec: OutputSpec, output: TensorInfo, size: Size | None = None) -> np.void:
    """Returns a SCORE_RECIPE for a network's output as it lies in memory.

    size: of the class numbers to make; None, and for a person: that of the scores.
    Raises ModelError for a shape or element type no kernel reads.
    """
    recipe = np.zeros((), SCORE_RECIPE)
    height, width, channels = picture_shape(spec, output)
    planar = spec.layout == "nchw" or len(output.shape) == 3
    made = size or Size(width, height)
    recipe["columns"], recipe["rows"], recipe["channels"] = width, height, channels
    recipe["width"], recipe["height"] = made
    recipe["ratio_x"], recipe["ratio_y"] = width / made.width, height / made.height
    recipe["pixel_stride"] = 1 if planar else channels
    recipe["channel_stride"] = height * width if planar else 1
    recipe["kind"], recipe["channel"] = _kind(spec.name, output.dtype), spec.channel or 0
    recipe["activation"] = ACTIVATIONS[spec.activation]
    return _scalar(recipe)


def picture_shape(spec: OutputSpec, output: TensorInfo) -> tuple[int, int, int]:
    """Returns height, width and channels of an output of one picture. Raises ModelError."""
    shape = [side for side in output.shape if side is not None]
    if len(shape) == len(output.shape) and shape[:1] == [1]:
        if len(shape) == 3:
            return shape[1], shape[2], 1
        if len(shape) == 4:
            first, second, third = shape[1:]
            return (second, third, first) if spec.layout == "nchw" else (first, second, third)
    sides = "x".join("?" if side is None else str(side) for side in output.shape)
    raise ModelError(
        f"output {spec.name!r} has shape {sides}, expected one picture of fixed size, of 4 axes, "
        "or of 3 without channels"
    )


def _kind(name: str, dtype: str) -> int:
    if dtype not in KINDS:
        raise ModelError(f"tensor {name!r} is {dtype}; on a GPU it must be {', '.join(KINDS)}")
    return KINDS[dtype]


def _scalar(recipe: Any) -> np.void:
    scalar: np.void = recipe[()]
    return scalar
