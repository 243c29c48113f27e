"""A first card for a graph without one, guessed from the shapes of its inputs and outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from edgeseg.labels import CAMVID_NAMES, CITYSCAPES_NAMES
from edgeseg.model_file.outputs import FLOATS, SCORE_DTYPES, channel_count
from edgeseg.protocols import TensorInfo
from edgeseg.spec import SCHEMA, Activation, Head, Meaning, Task

_KNOWN = {11: ("CamVid", CAMVID_NAMES), 19: ("Cityscapes", CITYSCAPES_NAMES)}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8")


@dataclass(frozen=True, slots=True)
class Guess:
    """What a graph's outputs seem to be.

    bound: each meaning's output. layout: of the one with channels. classes: how many names a card
    needs, None where shapes do not tell. background: the first of them is one.
    """

    task: Task
    head: Head
    bound: dict[Meaning, TensorInfo]
    layout: str = "nchw"
    classes: int | None = None
    background: bool = False


def suggest_card(
    name: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    *,
    activation: Activation | None = None,
    classes: int | None = None,
) -> str:
    """Returns a YAML card guessed from a graph's shapes, with what to check as comments.

    activation, classes: what running the model showed; None leaves a guess.
    """
    guess = guess_head(outputs)
    lines = [f"schema: {SCHEMA}", f"name: {json.dumps(name)}", f"task: {guess.task}"]
    if guess.task != "portrait":
        lines.append(f"head: {guess.head}")
    lines += _suggest_input(_picture_input(inputs))
    lines += ["outputs:", *_suggest_outputs(guess, activation)]
    if guess.task != "portrait":
        lines += _suggest_classes(guess, classes)
    lines += ["licence: not stated    # whose weights, under which terms"]
    return "\n".join(lines) + "\n"


def guess_head(outputs: Sequence[TensorInfo]) -> Guess:
    """Returns what outputs of these shapes most likely are; a portrait's if nothing else fits."""
    for recognise in (_yolact, _yolo, _mask_rcnn, _semantic, _labels):
        guess = recognise(outputs)
        if guess is not None:
            return guess
    scores = [o for o in outputs if len(o.shape) in (3, 4) and o.dtype in SCORE_DTYPES]
    output = (scores or list(outputs))[0]
    last = output.shape[3] if len(output.shape) == 4 else None
    layout = "nhwc" if last is not None and last <= 4 else "nchw"
    return Guess("portrait", "person", {"person": output}, layout)


def _yolact(outputs: Sequence[TensorInfo]) -> Guess | None:
    tables = [o for o in outputs if len(o.shape) == 3]
    maps = _maps(outputs)
    if len(tables) != 3 or not maps or len({o.shape[1] for o in tables}) != 1:
        return None
    layout = _channel_layout(maps[0])
    count = channel_count(maps[0].shape, layout)
    boxes = [o for o in tables if o.shape[2] == 4]
    coefficients = [o for o in tables if o.shape[2] == count and o not in boxes[:1]]
    if not boxes or not coefficients:
        return None
    (scores,) = [o for o in tables if o not in (boxes[0], coefficients[0])]
    bound: dict[Meaning, TensorInfo] = {
        "boxes": boxes[0],
        "scores": scores,
        "coefficients": coefficients[0],
        "prototypes": maps[0],
    }
    return Guess("instance", "yolact", bound, layout, scores.shape[2], background=True)


def _yolo(outputs: Sequence[TensorInfo]) -> Guess | None:
    tables = [o for o in outputs if len(o.shape) == 3 and o.dtype in FLOATS]
    maps = _maps(outputs)
    if len(tables) != 1 or not maps:
        return None
    count = channel_count(maps[0].shape, "nchw")
    sides = [side for side in tables[0].shape[1:] if side is not None]
    if count is None or not sides or min(sides) <= 4 + count:
        return None
    if len(sides) == 2 and max(sides) <= 2 * min(sides):
        return None  # a picture; proposals are far more than numbers each
    v5 = tables[0].shape[2] == min(sides)  # proposals first: a fifth number precedes the classes
    classes = min(sides) - 4 - count - v5
    bound: dict[Meaning, TensorInfo] = {"detections": tables[0], "prototypes": maps[0]}
    return Guess("instance", "yolo-seg", bound, "nchw", classes) if classes > 0 else None


def _mask_rcnn(outputs: Sequence[TensorInfo]) -> Guess | None:
    boxes = [o for o in outputs if len(o.shape) == 2 and o.shape[1] in (4, None)]
    lists = [o for o in outputs if len(o.shape) == 1]
    labels = [o for o in lists if o.dtype in _INTEGERS]
    scores = [o for o in lists if o.dtype in FLOATS]
    masks = [o for o in outputs if len(o.shape) == 4]
    if not (boxes and labels and scores and masks):
        return None
    bound: dict[Meaning, TensorInfo] = {
        "boxes": boxes[0],
        "labels": labels[0],
        "scores": scores[0],
        "masks": masks[0],
    }
    return Guess("instance", "maskrcnn", bound, background=True)


def _semantic(outputs: Sequence[TensorInfo]) -> Guess | None:
    for output in _maps(outputs):
        layout = _channel_layout(output)
        count = channel_count(output.shape, layout)
        if count is not None and count > 2:
            return Guess("semantic", "semantic", {"scores": output}, layout, count)
    return None


def _labels(outputs: Sequence[TensorInfo]) -> Guess | None:
    if any(o.dtype in FLOATS and len(o.shape) in (3, 4) for o in outputs):
        return None
    numbers = [o for o in outputs if len(o.shape) in (3, 4) and o.dtype in _INTEGERS[:4]]
    return Guess("semantic", "labels", {"labels": numbers[0]}) if numbers else None


def _maps(outputs: Sequence[TensorInfo]) -> list[TensorInfo]:
    return [o for o in outputs if len(o.shape) == 4 and o.dtype in FLOATS]


def _channel_layout(info: TensorInfo) -> str:
    """Returns where the channels are: the known or the shorter one of the second and last axis."""
    first, last = info.shape[1], info.shape[3]
    if first is None or last is None:
        return "nhwc" if first is None and last is not None else "nchw"
    return "nhwc" if last < first else "nchw"


def _picture_input(inputs: Sequence[TensorInfo]) -> TensorInfo:
    pictures = [i for i in inputs if len(i.shape) == 4]
    return (pictures or list(inputs) or [TensorInfo("input", (), "float32")])[0]


def _suggest_input(info: TensorInfo) -> list[str]:
    layout = "nhwc" if len(info.shape) == 4 and info.shape[3] == 3 else "nchw"
    sides = (info.shape[1:3] if layout == "nhwc" else info.shape[2:4]) or (None, None)
    free = "" if all(sides) else "    # free in the file: the size it was trained at"
    height, width = (side or 256 for side in sides)
    lines = [
        "input:",
        f"  name: {json.dumps(info.name)}",
        f"  size: {width}x{height}{free}",
        f"  layout: {layout}",
        "  order: rgb    # or bgr: as it was trained",
    ]
    if info.dtype == "uint8":
        return [*lines, "  dtype: uint8"]
    return [
        *lines,
        f"  dtype: {'float32' if info.dtype == 'float32' else info.dtype + '  # not supported'}",
        "  mean: [0, 0, 0]    # network sees (pixel - mean) / std, pixel in 0..255:",
        "  std: [255, 255, 255]    # this gives 0..1; mean = std = 127.5 gives -1..1",
    ]


def _suggest_outputs(guess: Guess, activation: Activation | None) -> list[str]:
    if guess.head == "person":
        return _suggest_person(guess.bound["person"], guess.layout, activation)
    lines = []
    for meaning, info in guess.bound.items():
        lines += [f"  - name: {json.dumps(info.name)}", f"    meaning: {meaning}"]
        if meaning in ("scores", "prototypes") and len(info.shape) == 4:
            lines.append(f"    layout: {guess.layout}")
        if guess.head == "yolact" and meaning == "scores":
            seen = "" if activation else "    # softmax or sigmoid where the graph gives logits"
            lines.append(f"    activation: {activation or 'none'}{seen}")
    return lines


def _suggest_person(info: TensorInfo, layout: str, activation: Activation | None) -> list[str]:
    channels = channel_count(info.shape, layout) or 1
    guess = activation or ("softmax" if channels > 1 else "sigmoid")
    lines = [f"  - name: {json.dumps(info.name)}", f"    layout: {layout}"]
    if channels > 1:
        lines.append(f"    channel: 1    # which of the {channels} is the person")
    seen = "" if activation else "    # none where the graph ends in probabilities"
    return [*lines, f"    activation: {guess}{seen}"]


def _suggest_classes(guess: Guess, seen: int | None) -> list[str]:
    count = guess.classes or max(seen or 0, 2)
    note = "in the order of their numbers" if guess.classes else "all of them, the file tells not"
    names = [f"class{number}" for number in range(count)]
    if guess.background:
        names[0] = "background"
    elif count in _KNOWN and guess.classes:
        source, known = _KNOWN[count]
        names, note = list(known), f"those of {source}, guessed from their number"
    return [f"classes:    # {note}", *(f"  - {json.dumps(name)}" for name in names)]
