from __future__ import annotations

import pytest
import yaml
from tiny_onnx import spec_for

from edgeseg.model_file import mismatches, suggest_card
from edgeseg.protocols import TensorInfo
from edgeseg.spec import ModelSpec, OutputSpec

IMAGE = TensorInfo("image", (1, 24, 32, 3), "uint8")
PERSON = TensorInfo("person", (1, 1, 24, 32), "float32")


def test_a_fitting_recipe_has_no_mismatch() -> None:
    assert mismatches(spec_for(), [IMAGE], [PERSON]) == []
    free = TensorInfo("image", (None, None, None, 3), "uint8")
    assert mismatches(spec_for(), [free], [TensorInfo("person", (), "float32")]) == []
    flat = TensorInfo("person", (1, 24, 32), "float16")
    assert mismatches(spec_for(), [IMAGE], [flat]) == []


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            [TensorInfo("data", IMAGE.shape, "uint8"), TensorInfo("imagen", (), "uint8")],
            "input.name is 'image', the file has 'data', 'imagen'; did you mean 'imagen'?",
        ),
        ([], "input.name is 'image', the file has none"),
        (
            [TensorInfo("image", IMAGE.shape, "float32")],
            "input.dtype is uint8, the file takes float32",
        ),
        (
            [TensorInfo("image", (1, 3, 24, 32), "uint8")],
            "input.size 32x24 in layout nhwc makes 1x24x32x3, the file takes 1x3x24x32",
        ),
        (
            [TensorInfo("image", (4, None, 32, 3), "uint8")],
            "input.size 32x24 in layout nhwc makes 1x24x32x3, the file takes 4x?x32x3",
        ),
        (
            [IMAGE, TensorInfo("state", (1,), "float32")],
            "the file also wants 'state'; a model takes one picture only",
        ),
    ],
)
def test_input_mismatches_are_named(image: list[TensorInfo], message: str) -> None:
    assert mismatches(spec_for(), image, [PERSON]) == [message]


@pytest.mark.parametrize(
    ("spec", "output", "message"),
    [
        (
            OutputSpec(name="persn"),
            [PERSON, TensorInfo("aux", (), "float32")],
            "outputs.name is 'persn', the file has 'person', 'aux'; did you mean 'person'?",
        ),
        (
            OutputSpec(name="person", channel=2),
            [TensorInfo("person", (1, 2, 24, 32), "float32")],
            "outputs.channel is 2, output 'person' has 2 channel(s) in layout nchw (1x2x24x32)",
        ),
        (
            OutputSpec(name="person"),
            [TensorInfo("person", (1, 2, 24, 32), "float32")],
            "output 'person' has 2 channels in layout nchw (1x2x24x32): "
            "channel must say which one is the person",
        ),
        (
            OutputSpec(name="person", activation="softmax"),
            [PERSON],
            "outputs.activation is softmax, which over the one channel of 'person' gives 1 "
            "everywhere: sigmoid or none",
        ),
        (
            OutputSpec(name="person", layout="nhwc"),
            [PERSON],
            "output 'person' has 32 channels in layout nhwc (1x1x24x32): "
            "channel must say which one is the person",
        ),
        (
            OutputSpec(name="person"),
            [TensorInfo("person", (1, 1, 24, 32), "int64")],
            "output 'person' is int64, expected scores as float32 or float16 or uint8",
        ),
        (
            OutputSpec(name="person"),
            [TensorInfo("person", (24, 32), "float32")],
            "output 'person' has shape 24x32, expected 4 axes in layout nchw, or 3 without "
            "channels",
        ),
    ],
)
def test_output_mismatches_are_named(
    spec: OutputSpec, output: list[TensorInfo], message: str
) -> None:
    assert mismatches(spec_for(outputs=(spec,)), [IMAGE], output) == [message]


def test_every_mismatch_is_listed_at_once() -> None:
    wrong_image = TensorInfo("image", (1, 3, 8, 8), "float32")
    wrong_output = TensorInfo("person", (1, 1, 8, 8), "int64")
    assert len(mismatches(spec_for(), [wrong_image], [wrong_output])) == 3


@pytest.mark.parametrize(
    ("image", "output", "layout", "size", "channel", "activation"),
    [
        ((1, 3, 24, 32), (1, 2, 24, 32), "nchw", (32, 24), 1, "softmax"),
        ((1, 24, 32, 3), (1, 24, 32, 1), "nhwc", (32, 24), None, "sigmoid"),
        ((None, 3, None, None), (None, 1, None, None), "nchw", (256, 256), None, "sigmoid"),
    ],
)
def test_a_suggested_card_loads_and_fits(
    image: tuple[int | None, ...],
    output: tuple[int | None, ...],
    layout: str,
    size: tuple[int, int],
    channel: int | None,
    activation: str,
) -> None:
    inputs = [TensorInfo("net:0", image, "float32")]
    outputs = [TensorInfo('odd "name": x', output, "float32")]
    spec = ModelSpec.model_validate(yaml.safe_load(suggest_card("my net", inputs, outputs)))
    assert (spec.input.layout, tuple(spec.input.size)) == (layout, size)
    assert (spec.outputs[0].channel, spec.outputs[0].activation) == (channel, activation)
    assert mismatches(spec, inputs, outputs) == []


def test_a_suggested_card_prefers_pictures_and_scores() -> None:
    inputs = [TensorInfo("state", (1, 8), "float32"), TensorInfo("rgb", (1, 8, 8, 3), "uint8")]
    outputs = [TensorInfo("labels", (1, 8, 8), "int64"), TensorInfo("p", (1, 1, 8, 8), "float32")]
    card = yaml.safe_load(suggest_card("n", inputs, outputs, activation="none"))
    assert card["input"] == {
        "name": "rgb",
        "size": "8x8",
        "layout": "nhwc",
        "order": "rgb",
        "dtype": "uint8",
    }
    assert card["outputs"] == [{"name": "p", "layout": "nchw", "activation": "none"}]
