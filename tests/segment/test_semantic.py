from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_heads import CLASSES, NETWORK, head_spec

from edgeseg.errors import ModelError
from edgeseg.protocols import Tensor
from edgeseg.segment.decoders import decoder_for
from edgeseg.segment.semantic import over_background
from edgeseg.spec import ModelSpec, OutputSpec
from edgeseg.types import Geometry, Rect, SemanticMap, Size

WHOLE = Geometry(Size(90, 70), NETWORK, Rect(0, 0, *NETWORK))
BARS = Geometry(Size(90, 70), NETWORK, Rect(12, 0, 84, 64))


def decode(spec: ModelSpec, outputs: dict[str, Tensor], geometry: Geometry = WHOLE) -> SemanticMap:
    result = decoder_for(spec).decode(outputs, geometry)
    assert isinstance(result, SemanticMap)
    return result


def scores_spec(**output: Any) -> ModelSpec:
    return head_spec("semantic", outputs=(OutputSpec(name="s", meaning="scores", **output),))


@pytest.fixture
def scores() -> Tensor:
    return np.random.default_rng(0).normal(0, 8, (1, 3, 16, 24)).astype(np.float32)


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
def test_the_highest_class_wins_whatever_the_activation(scores: Tensor, activation: str) -> None:
    result = decode(scores_spec(activation=activation), {"s": scores})
    np.testing.assert_array_equal(result.labels, np.asarray(scores)[0].argmax(axis=0))
    np.testing.assert_array_equal(result.scores, scores[0])
    assert result.label_set.names == CLASSES


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_channels_last_is_the_same(scores: Tensor, dtype: str) -> None:
    typed = np.clip(np.asarray(scores) * 4 + 100, 0, 255).astype(dtype)
    planar = decode(scores_spec(), {"s": typed})
    turned = np.ascontiguousarray(typed.transpose(0, 2, 3, 1))
    last = decode(scores_spec(layout="nhwc"), {"s": turned})
    np.testing.assert_array_equal(last.labels, planar.labels)
    np.testing.assert_array_equal(last.scores, planar.scores)
    np.testing.assert_array_equal(planar.labels, typed[0].argmax(axis=0))


def test_equal_scores_go_to_the_first_class() -> None:
    assert not decode(scores_spec(), {"s": np.full((1, 3, 4, 6), 0.3, np.float32)}).labels.any()


def test_letterbox_bars_are_cut_off_scores_and_labels(scores: Tensor) -> None:
    result = decode(scores_spec(), {"s": scores}, BARS)
    inside = np.asarray(scores)[0, :, :, 3:21]
    np.testing.assert_array_equal(result.scores, inside)
    np.testing.assert_array_equal(result.labels, inside.argmax(axis=0))


def test_a_fractional_bar_is_cut_between_pixels() -> None:
    """Stride 4, content 6 to 90: output pixels 1.5 to 22.5, where a ramp keeps its place."""
    geometry = Geometry(Size(84, 64), NETWORK, Rect(6, 0, 90, 64))
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32), (16, 24))
    result = decode(scores_spec(), {"s": np.stack([ramp, -ramp, ramp + 1])[None]}, geometry)
    assert result.scores is not None
    np.testing.assert_allclose(result.scores[0], np.broadcast_to(np.arange(21) + 1.5, (16, 21)))
    numbers = np.broadcast_to(np.arange(24) // 8, (1, 16, 24))
    labels = decode(head_spec("labels"), {"l": numbers}, geometry).labels
    assert labels.shape == (16, 21)
    assert set(np.unique(labels)) == {0, 1, 2}
    np.testing.assert_allclose(np.flatnonzero(np.diff(labels[0].astype(int))), [6, 14], atol=1)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            np.zeros((1, 4, 16, 24), np.float32),
            r"output 's' gave 4 classes in layout nchw \(1x4x16x24\), the card names 3",
        ),
        (np.zeros((1, 16, 24), np.float32), "'s' gave shape 1x16x24, expected one picture of 4"),
        (np.zeros((2, 3, 16, 24), np.float32), "gave shape 2x3x16x24, expected one picture"),
        (np.full((1, 3, 4, 4), np.nan, np.float32), "output 's' holds NaN or infinity: is the"),
        (np.full((1, 3, 4, 4), np.inf, np.float32), "output 's' holds NaN or infinity: is the"),
    ],
)
def test_unusable_scores_are_named(tensor: Tensor, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decode(scores_spec(), {"s": tensor})


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32"])
@pytest.mark.parametrize("axes", [(1, 16, 24), (1, 1, 16, 24), (1, 16, 24, 1), (16, 24)])
def test_labels_of_any_type_and_shape(axes: tuple[int, ...], dtype: str) -> None:
    numbers = np.random.default_rng(1).integers(0, 3, (16, 24))
    result = decode(head_spec("labels"), {"l": numbers.reshape(axes).astype(dtype)})
    np.testing.assert_array_equal(result.labels, numbers)
    assert result.scores is None
    assert result.labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            np.full((1, 4, 6), 7),
            "output 'l' gave class numbers 7 to 7, the card names 3 classes, 0 to 2: add the",
        ),
        (np.full((1, 4, 6), -1), "gave class numbers -1 to -1"),
        (np.full((1, 4, 6), np.nan, np.float32), "gave class numbers nan to nan"),
        (np.zeros((1, 2, 4, 6), np.int64), "gave shape 1x2x4x6, expected class numbers"),
        (np.zeros((5,), np.int64), "gave shape 5, expected class numbers"),
        (np.zeros((1, 0, 6), np.int64), "gave shape 1x0x6, expected class numbers"),
    ],
)
def test_numbers_that_are_no_class_are_named(tensor: Tensor, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decode(head_spec("labels"), {"l": tensor})


def binary_outputs(first: float, second: float) -> dict[str, Tensor]:
    """Probabilities of classes 1 and 2; the second is given as a logit."""
    logit = np.log(second / (1 - second))
    return {
        "a": np.full((1, 1, 4, 6), first, np.float32),
        "b": np.full((1, 4, 6), logit, np.float32),
    }


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [(0.2, 0.3, 0), (0.9, 0.3, 1), (0.2, 0.6, 2), (0.99, 0.51, 2), (0.5, 0.1, 1), (0.99, 0.49, 1)],
)
def test_of_binary_outputs_the_last_at_the_threshold_wins(
    first: float, second: float, label: int
) -> None:
    result = decode(head_spec("binary"), binary_outputs(first, second))
    assert (result.labels == label).all()
    assert result.scores is not None
    np.testing.assert_array_equal(result.scores.argmax(axis=0), result.labels)


def test_bent_scores_are_continuous_where_a_later_class_begins() -> None:
    later = np.linspace(0, 1, 101, dtype=np.float32)[None]
    earlier = np.full_like(later, 0.8)
    scores = over_background([earlier, later], 0.5)
    assert np.abs(np.diff(scores, axis=2)).max() < 0.011
    np.testing.assert_array_equal(scores.argmax(axis=0)[0], np.where(later[0] > 0.5, 2, 1))


def test_two_channel_outputs_of_a_binary_head() -> None:
    """TwinLiteNet's: two outputs of two channels, a softmax to be applied."""
    outputs = [
        OutputSpec(name=name, meaning="probability", channel=1, activation="softmax")
        for name in ("drivable", "lane")
    ]
    spec = head_spec("binary", outputs=outputs, classes=("background", "drivable", "lane"))
    drivable, lane = np.zeros((2, 1, 2, 4, 6), np.float32)
    drivable[0, 0], lane[0, 0] = 1, 1
    drivable[0, 1, :, 2:], lane[0, 1, :, 4:] = 3, 3
    result = decode(spec, {"drivable": drivable, "lane": lane})
    np.testing.assert_array_equal(result.labels, np.broadcast_to([0, 0, 1, 1, 2, 2], (4, 6)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"b": np.zeros((1, 1, 8, 12), np.float32)},
            "output 'b' gave 12x8 pixels, 'a' 6x4: all outputs of a binary head must have one size",
        ),
        ({"a": np.full((1, 1, 4, 6), np.nan, np.float32)}, "output 'a' holds NaN or infinity"),
        ({"a": np.zeros((4, 6), np.float32)}, "gave shape 4x6, expected one picture"),
    ],
)
def test_unusable_binary_outputs_are_named(change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decode(head_spec("binary"), binary_outputs(0.2, 0.2) | change)
