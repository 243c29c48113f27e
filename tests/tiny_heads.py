"""What a perfect network would give for one drawn box, for every head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.ops.image import fit
from edgeseg.spec import Head, InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Geometry, Rect, Size

NETWORK = Size(96, 64)
STRIDE = 4
CLASSES = ("background", "car", "person")
LABEL = 2
"""Number of the class of the drawn box among CLASSES."""

Arrays = dict[str, NDArray[Any]]

_OUTPUTS: dict[Head, tuple[dict[str, Any], ...]] = {
    "person": ({"name": "p"},),
    "semantic": ({"name": "s", "meaning": "scores"},),
    "labels": ({"name": "l", "meaning": "labels"},),
    "binary": (
        {"name": "a", "meaning": "probability"},
        {"name": "b", "meaning": "probability", "activation": "sigmoid"},
    ),
    "yolact": (
        {"name": "box", "meaning": "boxes"},
        {"name": "conf", "meaning": "scores"},
        {"name": "coef", "meaning": "coefficients"},
        {"name": "proto", "meaning": "prototypes", "layout": "nhwc"},
    ),
    "yolo-seg": (
        {"name": "det", "meaning": "detections"},
        {"name": "proto", "meaning": "prototypes"},
    ),
    "maskrcnn": (
        {"name": "box", "meaning": "boxes"},
        {"name": "lab", "meaning": "labels"},
        {"name": "conf", "meaning": "scores"},
        {"name": "mask", "meaning": "masks"},
    ),
}
_TASKS = {"person": "portrait", "semantic": "semantic", "labels": "semantic", "binary": "semantic"}


def head_spec(head: Head, *, fit: str = "stretch", **changes: Any) -> ModelSpec:
    """The card of a network that ends in ``head``; classes are CLASSES, with a background."""
    values = {
        "name": head,
        "task": _TASKS.get(head, "instance"),
        "head": head,
        "input": InputSpec(name="image", size=NETWORK, fit=fit),  # type: ignore[arg-type]
        "outputs": [OutputSpec(**output) for output in _OUTPUTS[head]],
        "classes": CLASSES[:1] + CLASSES[2:] if head == "person" else CLASSES,
    }
    return ModelSpec(**{**values, **changes})


def network_box(geometry: Geometry, box: Rect) -> tuple[float, float, float, float]:
    """A box of the frame in pixels of the network's input."""
    content, frame = geometry.content, geometry.frame
    x = (content.right - content.left) / frame.width
    y = (content.bottom - content.top) / frame.height
    return (
        content.left + box.left * x,
        content.top + box.top * y,
        content.left + box.right * x,
        content.top + box.bottom * y,
    )


def share_inside(box: tuple[float, float, float, float], size: Size) -> NDArray[np.float32]:
    """How much of each pixel of a plane over the network's input lies in the box, 0..1."""

    def along(low: float, high: float, count: int) -> NDArray[np.float64]:
        starts = np.arange(count)
        return np.asarray(np.clip(np.minimum(high, starts + 1) - np.maximum(low, starts), 0, 1))

    x, y = size.width / NETWORK.width, size.height / NETWORK.height
    columns = along(box[0] * x, box[2] * x, size.width)
    rows = along(box[1] * y, box[3] * y, size.height)
    share: NDArray[np.float32] = np.outer(rows, columns).astype(np.float32)
    return share


def perfect_outputs(head: Head, geometry: Geometry, box: Rect | None) -> Arrays:
    """Outputs for a frame with one box of class LABEL, or with nothing, in the card's layout."""
    small = Size(NETWORK.width // STRIDE, NETWORK.height // STRIDE)
    placed = None if box is None else network_box(geometry, box)
    share = np.zeros((small.height, small.width), np.float32)
    if placed is not None:
        share = share_inside(placed, small)
    if head == "person":
        return {"p": share[None, None]}
    if head == "semantic":
        return {"s": np.stack([np.full_like(share, 0.5), share * 0.2, share])[None]}
    if head == "labels":
        return {"l": (LABEL * (share >= 0.5))[None].astype(np.int64)}
    if head == "binary":
        return {"a": share[None, None] * np.float32(0.4), "b": (share[None, None] - 0.5) * 8}
    if head == "maskrcnn":
        return _mask_rcnn(placed)
    return _proposals(head, placed, share)


def _mask_rcnn(box: tuple[float, float, float, float] | None) -> Arrays:
    count = 0 if box is None else 2  # the second one is too weak to count
    return {
        "box": np.array([box or (0, 0, 0, 0)] * 2, np.float32)[:count],
        "lab": np.array([LABEL, 1], np.int64)[:count],
        "conf": np.array([0.9, 0.1], np.float32)[:count],
        "mask": np.ones((2, 1, 28, 28), np.float32)[:count],
    }


def _proposals(
    head: Head, box: tuple[float, float, float, float] | None, share: NDArray[np.float32]
) -> Arrays:
    """Thirty proposals of nothing, of which numbers 7 and 11 are the box; 11 is a little weaker."""
    rng = np.random.default_rng(4)
    count, prototypes = 30, 5
    corners = rng.uniform(0, 0.6, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.4, (count, 2))], axis=1)
    boxes *= np.tile(NETWORK, 2)
    scores = rng.uniform(0, 0.2, (count, 2))
    coefficients = rng.normal(size=(count, prototypes))
    planes = rng.normal(size=(prototypes, *share.shape))
    if box is not None:
        boxes[7], boxes[11] = box, np.array(box) + 0.3
        scores[7], scores[11] = (0.05, 0.95), (0.05, 0.9)
        coefficients[[7, 11]] = [1, 0, 0, 0, 0]
        planes[0] = (share - 0.5) * 20
    if head == "yolact":
        arrays = {
            "box": boxes / np.tile(NETWORK, 2),
            "conf": scores,
            "coef": coefficients,
            "proto": planes.transpose(1, 2, 0),
        }
    else:
        middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        rows = np.concatenate([middle, sides, scores, coefficients], axis=1)
        arrays = {"det": rows.T, "proto": planes}
    return {name: value[None].astype(np.float32) for name, value in arrays.items()}


def geometry_for(spec: ModelSpec, frame: Size) -> Geometry:
    """Where a frame of this size lies in the network's input."""
    return fit(frame, spec.input)


def constant_network(spec: ModelSpec, arrays: Arrays) -> onnx.ModelProto:
    """A network that gives these arrays, whatever the picture; they depend on it formally."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["float"], ["level"], keepdims=0),
        helper.make_node("Mul", ["level", "zero"], ["none"]),
    ]
    weights = [numpy_helper.from_array(np.array(0, np.float32), "zero")]
    outputs = []
    for name, value in arrays.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        weights.append(numpy_helper.from_array(value, f"{name}_value"))
        nodes += [
            helper.make_node("Cast", ["none"], [f"{name}_none"], to=kind),
            helper.make_node("Add", [f"{name}_value", f"{name}_none"], [name]),
        ]
        outputs.append(helper.make_tensor_value_info(name, kind, value.shape))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, spec.input.shape)
    graph = helper.make_graph(nodes, "constant", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def constant_model(path: Path, spec: ModelSpec, arrays: Arrays, *, card: bool = True) -> Path:
    """Writes such a network and, unless told otherwise, its card."""
    path.write_bytes(constant_network(spec, arrays).SerializeToString())
    if card:
        path.with_suffix(".yaml").write_text(spec.to_card(), encoding="utf-8")
    return path
