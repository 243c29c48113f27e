"""Where a card's outputs and a graph's disagree, head by head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeseg.errors import near_match
from edgeseg.protocols import TensorInfo
from edgeseg.spec import Head, Meaning, ModelSpec, OutputSpec

SCORE_DTYPES = ("float32", "float16", "uint8")
FLOATS = ("float32", "float16")
NUMBERS = (*FLOATS, "uint8", "int8", "int16", "int32", "int64")

Bound = tuple[OutputSpec, TensorInfo]


def output_mismatches(spec: ModelSpec, outputs: Sequence[TensorInfo]) -> list[str]:
    """Returns one line per way in which the outputs are not what the card's head needs."""
    by_name = {output.name: output for output in outputs}
    missing = [output.name for output in spec.outputs if output.name not in by_name]
    if missing:
        names = list(by_name)
        return [f"outputs.name is {name!r}, the file has {listed(names, name)}" for name in missing]
    bound = [(output, by_name[output.name]) for output in spec.outputs]
    found = [line for pair in bound for line in _dtype_mismatch(*pair)]
    return found + _CHECKS[spec.outputs_as](spec, bound)


def _dtype_mismatch(spec: OutputSpec, info: TensorInfo) -> list[str]:
    wanted: tuple[str, ...] = SCORE_DTYPES
    what = "scores"
    if spec.meaning == "labels":
        wanted, what = NUMBERS, "class numbers"
    elif spec.meaning not in ("person", "scores", "probability", "masks"):
        wanted, what = FLOATS, "numbers"
    if info.dtype in wanted:
        return []
    return [f"output {spec.name!r} is {info.dtype}, expected {what} as {' or '.join(wanted)}"]


def _each_channel(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    """Heads ``person`` and ``binary``: one channel of each output is a probability."""
    what = "the person" if spec.outputs_as == "person" else "its class"
    return [line for output, info in bound for line in _channel_mismatches(output, info, what)]


def _channel_mismatches(spec: OutputSpec, info: TensorInfo, what: str) -> list[str]:
    if info.shape and len(info.shape) not in (3, 4):
        return [
            f"output {spec.name!r} has shape {shape_text(info.shape)}, expected 4 axes in layout "
            f"{spec.layout}, or 3 without channels"
        ]
    channels = channel_count(info.shape, spec.layout)
    if channels is None:
        return []
    found = []
    if spec.activation == "softmax" and channels == 1:
        found.append(
            f"outputs.activation is softmax, which over the one channel of {spec.name!r} gives 1 "
            "everywhere: sigmoid or none"
        )
    if spec.channel is None and channels > 1:
        found.append(
            f"output {spec.name!r} has {channels} channels in layout {spec.layout} "
            f"({shape_text(info.shape)}): channel must say which one is {what}"
        )
    elif spec.channel is not None and spec.channel >= channels:
        found.append(
            f"outputs.channel is {spec.channel}, output {spec.name!r} has {channels} channel(s) "
            f"in layout {spec.layout} ({shape_text(info.shape)})"
        )
    return found


def _semantic(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    ((output, info),) = bound
    found = _axes(output, info, (4,), f"class scores in layout {output.layout}")
    channels = channel_count(info.shape, output.layout)
    if found or channels in (None, len(spec.classes)):
        return found
    other = "nhwc" if output.layout == "nchw" else "nchw"
    hint = "name as many"
    if channel_count(info.shape, other) == len(spec.classes):
        hint = f"layout should be {other}"
    elif channels == 1:
        hint = "one channel is head binary, or portrait"
    return [
        f"output {output.name!r} has {channels} channels in layout {output.layout} "
        f"({shape_text(info.shape)}), the card names {len(spec.classes)} classes: {hint}"
    ]


def _labels(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    ((output, info),) = bound
    found = _axes(output, info, (2, 3, 4), "class numbers 1xHxW or 1x1xHxW")
    shape = info.shape
    if found or len(shape) < 4 or None in (shape[1], shape[3]) or 1 in (shape[1], shape[3]):
        return found
    return [
        f"output {output.name!r} has shape {shape_text(shape)}, expected class numbers 1xHxW or "
        "1x1xHxW: several channels are class scores, head semantic"
    ]


def _yolact(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    by = {output.meaning: (output, info) for output, info in bound}
    rows: tuple[tuple[Meaning, str], ...] = (
        ("boxes", "1xNx4"),
        ("scores", "1xNxC"),
        ("coefficients", "1xNxK"),
    )
    found = [line for meaning, what in rows for line in _axes(*by[meaning], (3,), what)]
    found += _axes(*by["prototypes"], (4,), "prototypes 1xHxWxK or 1xKxHxW")
    if found:
        return found
    boxes, scores, coefficients = (by[meaning][1] for meaning, _ in rows)
    counts = {info.shape[1] for info in (boxes, scores, coefficients) if info.shape} - {None}
    if len(counts) > 1:
        said = ", ".join(f"{i.name!r} {shape_text(i.shape)}" for i in (boxes, scores, coefficients))
        found.append(f"boxes, scores and coefficients differ in number: {said}")
    if boxes.shape and boxes.shape[2] not in (4, None):
        found.append(f"output {boxes.name!r} has shape {shape_text(boxes.shape)}, expected 1xNx4")
    classes = len(spec.label_set)
    if scores.shape and scores.shape[2] not in (classes, classes + 1, None):
        found.append(
            f"output {scores.name!r} has {scores.shape[2]} classes ({shape_text(scores.shape)}), "
            f"the card names {classes}: expected {classes}, or {classes + 1} with a background "
            "first"
        )
    return found + _prototype_mismatch(*by["prototypes"], coefficients)


def _prototype_mismatch(spec: OutputSpec, info: TensorInfo, coefficients: TensorInfo) -> list[str]:
    channels = channel_count(info.shape, spec.layout)
    wanted = coefficients.shape[2] if coefficients.shape else None
    if None in (channels, wanted) or channels == wanted:
        return []
    other = "nhwc" if spec.layout == "nchw" else "nchw"
    fits = channel_count(info.shape, other) == wanted
    return [
        f"output {spec.name!r} has {channels} prototypes in layout {spec.layout} "
        f"({shape_text(info.shape)}), {coefficients.name!r} has {wanted} coefficients"
        + (f": layout should be {other}" if fits else "")
    ]


def _yolo(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    by = {output.meaning: (output, info) for output, info in bound}
    found = _axes(*by["detections"], (3,), "1x(4+C+K)xN")
    found += _axes(*by["prototypes"], (4,), "prototypes 1xKxHxW")
    if found:
        return found
    detections, prototypes = by["detections"][1], by["prototypes"][1]
    count = channel_count(prototypes.shape, by["prototypes"][0].layout)
    if not detections.shape or None in (*detections.shape[1:], count):
        return []
    wide = len(spec.label_set) + int(count or 0)
    first, last = detections.shape[1:]
    if first == 4 + wide or last in (4 + wide, 5 + wide):
        return []
    classes = min(int(first or 0), int(last or 0)) - 4 - int(count or 0)
    return [
        f"output {detections.name!r} has shape {shape_text(detections.shape)}, expected "
        f"1x{4 + wide}xN: 4 for the box, {len(spec.label_set)} classes on the card, {count} "
        f"prototypes; it seems to have {classes} classes"
    ]


def _mask_rcnn(spec: ModelSpec, bound: Sequence[Bound]) -> list[str]:
    axes: dict[Meaning, tuple[int, str]] = {
        "boxes": (2, "Nx4"),
        "labels": (1, "N"),
        "scores": (1, "N"),
        "masks": (4, "Nx1xHxW"),
    }
    return [
        line
        for output, info in bound
        for line in _axes(output, info, (axes[output.meaning][0],), axes[output.meaning][1])
    ]


_CHECKS: dict[Head, Callable[[ModelSpec, Sequence[Bound]], list[str]]] = {
    "person": _each_channel,
    "binary": _each_channel,
    "semantic": _semantic,
    "labels": _labels,
    "yolact": _yolact,
    "yolo-seg": _yolo,
    "maskrcnn": _mask_rcnn,
}


def _axes(spec: OutputSpec, info: TensorInfo, axes: tuple[int, ...], what: str) -> list[str]:
    """Says that a known shape has another number of axes."""
    if not info.shape or len(info.shape) in axes:
        return []
    return [
        f"output {spec.name!r} has shape {shape_text(info.shape)}, expected {what} ({spec.meaning})"
    ]


def channel_count(shape: tuple[int | None, ...], layout: str) -> int | None:
    """Returns how many channels a score tensor has, 1 without a channel axis, None if free."""
    if len(shape) == 3:
        return 1
    return shape[1 if layout == "nchw" else 3] if len(shape) == 4 else None


def shape_text(shape: Sequence[int | None]) -> str:
    """Returns a shape as 1x?x3, free sides as question marks."""
    return "x".join("?" if side is None else str(side) for side in shape) or "no shape"


def listed(names: Sequence[str], wanted: str = "") -> str:
    """Returns names in quotes, with the nearest to a wanted one."""
    hint = near_match(wanted, list(names)) if wanted and len(names) > 1 else ""
    return (", ".join(repr(name) for name in names) or "none") + hint
