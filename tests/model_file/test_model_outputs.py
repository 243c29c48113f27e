"""Cards of scenes and instances against graphs: what does not fit, and what a graph seems to be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_heads import CLASSES, NETWORK, constant_network, geometry_for, head_spec, perfect_outputs

from edgeseg.model_file import mismatches, read_onnx, suggest_card
from edgeseg.model_file.suggest import guess_head
from edgeseg.protocols import TensorInfo
from edgeseg.segment.decoders import DECODERS
from edgeseg.spec import Head, ModelSpec, OutputSpec
from edgeseg.types import Rect, Size

IMAGE = TensorInfo("image", (1, NETWORK.height, NETWORK.width, 3), "uint8")


def info(name: str, *shape: int | None, dtype: str = "float32") -> TensorInfo:
    return TensorInfo(name, shape, dtype)


YOLACT = (
    info("box", 1, 30, 4),
    info("conf", 1, 30, 2),
    info("coef", 1, 30, 5),
    info("proto", 1, 16, 24, 5),
)
MASK_RCNN = (
    info("box", None, 4),
    info("lab", None, dtype="int64"),
    info("conf", None),
    info("mask", None, 1, 28, 28),
)


@pytest.mark.parametrize("head", list(DECODERS))
def test_a_fitting_card_has_no_mismatch(head: Head) -> None:
    spec = head_spec(head)
    outputs = perfect_outputs(head, geometry_for(spec, Size(60, 40)), Rect(1, 1, 40, 30))
    graph = read_onnx(constant_network(spec, outputs).SerializeToString(), where="net")
    assert mismatches(spec, graph.inputs, graph.outputs) == []
    free = [TensorInfo(o.name, tuple(None for _ in o.shape), o.dtype) for o in graph.outputs]
    assert mismatches(spec, graph.inputs, free) == []
    unknown = [TensorInfo(o.name, (), o.dtype) for o in graph.outputs]
    assert mismatches(spec, graph.inputs, unknown) == []


def semantic(**output: Any) -> ModelSpec:
    return head_spec("semantic", outputs=(OutputSpec(name="s", meaning="scores", **output),))


@pytest.mark.parametrize(
    ("spec", "outputs", "message"),
    [
        (
            semantic(),
            [info("s", 1, 19, 16, 24)],
            "output 's' has 19 channels in layout nchw (1x19x16x24), the card names 3 classes: "
            "name as many",
        ),
        (
            semantic(),
            [info("s", 1, 16, 24, 3)],
            "output 's' has 16 channels in layout nchw (1x16x24x3), the card names 3 classes: "
            "layout should be nhwc",
        ),
        (
            semantic(),
            [info("s", 1, 1, 16, 24)],
            "output 's' has 1 channels in layout nchw (1x1x16x24), the card names 3 classes: "
            "one channel is head binary, or portrait",
        ),
        (
            semantic(),
            [info("s", 1, 16, 24)],
            "output 's' has shape 1x16x24, expected class scores in layout nchw (scores)",
        ),
        (
            semantic(),
            [info("scores", 1, 3, 16, 24), info("aux", 1, 3, 16, 24)],
            "outputs.name is 's', the file has 'scores', 'aux'",
        ),
        (
            semantic(),
            [info("s", 1, 3, 16, 24, dtype="int64")],
            "output 's' is int64, expected scores as float32 or float16 or uint8",
        ),
        (
            head_spec("labels"),
            [info("l", 1, 3, 16, 24)],
            "output 'l' has shape 1x3x16x24, expected class numbers 1xHxW or 1x1xHxW: several "
            "channels are class scores, head semantic",
        ),
        (
            head_spec("labels"),
            [info("l", 1, 16, 24, dtype="bool")],
            "output 'l' is bool, expected class numbers as float32 or float16 or uint8 or int8 or "
            "int16 or int32 or int64",
        ),
        (
            head_spec("binary"),
            [info("a", 1, 2, 16, 24), info("b", 1, 1, 16, 24)],
            "output 'a' has 2 channels in layout nchw (1x2x16x24): channel must say which one is "
            "its class",
        ),
        (
            head_spec("yolact"),
            [*YOLACT[:1], info("conf", 1, 30, 81), *YOLACT[2:]],
            "output 'conf' has 81 classes (1x30x81), the card names 2: expected 2, or 3 with a "
            "background first",
        ),
        (
            head_spec("yolact"),
            [*YOLACT[:2], info("coef", 1, 29, 5), YOLACT[3]],
            "boxes, scores and coefficients differ in number: 'box' 1x30x4, 'conf' 1x30x2, "
            "'coef' 1x29x5",
        ),
        (
            head_spec("yolact"),
            [*YOLACT[:3], info("proto", 1, 5, 16, 24)],
            "output 'proto' has 24 prototypes in layout nhwc (1x5x16x24), 'coef' has 5 "
            "coefficients: layout should be nchw",
        ),
        (
            head_spec("yolact"),
            [info("box", 1, 30, 5), *YOLACT[1:]],
            "output 'box' has shape 1x30x5, expected 1xNx4",
        ),
        (
            head_spec("yolact"),
            [info("box", 30, 4), *YOLACT[1:]],
            "output 'box' has shape 30x4, expected 1xNx4 (boxes)",
        ),
        (
            head_spec("yolo-seg"),
            [info("det", 1, 89, 400), info("proto", 1, 5, 16, 24)],
            "output 'det' has shape 1x89x400, expected 1x11xN: 4 for the box, 2 classes on the "
            "card, 5 prototypes; it seems to have 80 classes",
        ),
        (
            head_spec("maskrcnn"),
            [*MASK_RCNN[:3], info("mask", None, 28, 28)],
            "output 'mask' has shape ?x28x28, expected Nx1xHxW (masks)",
        ),
    ],
)
def test_output_mismatches_are_named(
    spec: ModelSpec, outputs: list[TensorInfo], message: str
) -> None:
    assert mismatches(spec, [IMAGE], outputs) == [message]


def test_every_missing_output_is_named_with_the_nearest() -> None:
    outputs = [info("boxes", 1, 30, 4), *YOLACT[1:3], info("prototype", 1, 16, 24, 5)]
    found = mismatches(head_spec("yolact"), [IMAGE], outputs)
    assert len(found) == 2
    assert found[0].endswith("; did you mean 'boxes'?")
    assert found[1].endswith("; did you mean 'prototype'?")


FOREIGN: list[tuple[str, list[TensorInfo], Head, int]] = [
    ("cityscapes", [info("out", 1, 19, 128, 256), info("aux", 1, 19, 128, 256)], "semantic", 19),
    ("tensorflow", [info("out", 1, 65, 65, 21)], "semantic", 21),
    ("free sides", [info("out", None, 21, None, None)], "semantic", 21),
    ("free batch, last", [info("out", None, None, None, 7)], "semantic", 7),
    ("labels", [info("out", 1, 512, 1024, dtype="int64")], "labels", 2),
    ("labels with a channel", [info("out", 1, 1, 512, 1024, dtype="int32")], "labels", 2),
    ("yolo11", [info("output0", 1, 116, 8400), info("output1", 1, 32, 160, 160)], "yolo-seg", 80),
    ("yolov5", [info("output0", 1, 25200, 117), info("o1", 1, 32, 160, 160)], "yolo-seg", 80),
    (
        "yolact",
        [
            info("loc", 1, 19248, 4),
            info("conf", 1, 19248, 81),
            info("mask", 1, 19248, 32),
            info("proto", 1, 138, 138, 32),
        ],
        "yolact",
        81,
    ),
    (
        "yolact, prototypes first",
        [
            info("proto", 1, 32, 138, 138),
            info("mask", 1, 19248, 32),
            info("conf", 1, 19248, 81),
            info("loc", 1, 19248, 4),
        ],
        "yolact",
        81,
    ),
    (
        "torchvision",
        [
            info("boxes", None, 4),
            info("labels", None, dtype="int64"),
            info("scores", None),
            info("masks", None, 1, None, None),
        ],
        "maskrcnn",
        2,
    ),
]


@pytest.mark.parametrize(
    ("outputs", "head", "classes"), [f[1:] for f in FOREIGN], ids=[f[0] for f in FOREIGN]
)
def test_a_graph_is_recognised_and_its_suggested_card_fits(
    outputs: list[TensorInfo], head: Head, classes: int
) -> None:
    image = info("images", 1, 3, 640, 640)
    text = suggest_card("foreign", [image], outputs)
    spec = ModelSpec.model_validate(yaml.safe_load(text))
    assert spec.outputs_as == head
    assert len(spec.classes) == classes
    assert mismatches(spec, [image], outputs) == []
    if classes == 19:
        assert spec.classes[0] == "road"
        assert "those of Cityscapes, guessed from their number" in text


@pytest.mark.parametrize(
    "outputs",
    [
        [info("p", 1, 1, 64, 64)],
        [info("p", 1, 2, 64, 64)],
        [info("p", 1, 64, 64, 2)],
        [info("p", 1, 64, 64)],
        [info("p", 1, 1, 64, 64), info("labels", 1, 64, 64, dtype="int64")],
        [info("d0", 1, 1, 64, 64), info("d1", 1, 1, 32, 32)],
        [info("p", 1, 144, 256), info("aux", 1, 2, 36, 64)],
    ],
)
def test_one_or_two_channels_stay_a_portrait(outputs: list[TensorInfo]) -> None:
    assert guess_head(outputs).head == "person"


def test_a_card_needs_only_its_classes_filled_in() -> None:
    card = suggest_card("net", [info("x", 1, 3, 8, 8)], FOREIGN[1][1])
    assert 'classes:    # in the order of their numbers\n  - "class0"\n' in card
    filled = card.replace('"class0"', "background")
    assert ModelSpec.model_validate(yaml.safe_load(filled)).classes[0] == "background"
    assert len(CLASSES) == 3


def test_the_card_of_the_readme_is_a_card() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```\n(task: instance.*?)```", readme, re.DOTALL)
    spec = ModelSpec.model_validate({"name": "net", **yaml.safe_load(text)})
    outputs = [info("output0", 1, 39, 8400), info("output1", 1, 32, 160, 160)]
    assert mismatches(spec, [info("images", 1, 3, 640, 640)], outputs) == []
