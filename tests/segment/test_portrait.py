from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_onnx import spec_for

from edgeseg.errors import ModelError
from edgeseg.protocols import Tensor
from edgeseg.segment.portrait import PortraitDecoder
from edgeseg.spec import OutputSpec
from edgeseg.types import F32, Geometry, Rect, Size

GEOMETRY = Geometry(Size(90, 70), Size(9, 7), Rect(0, 0, 9, 7))


def decode(tensor: Tensor, geometry: Geometry = GEOMETRY, **output: Any) -> F32:
    spec = spec_for(outputs=(OutputSpec(name="person", **output),))
    return PortraitDecoder(spec).decode({"person": tensor}, geometry).person


@pytest.fixture
def logits() -> F32:
    return np.random.default_rng(0).normal(0, 8, (1, 3, 7, 9)).astype(np.float32)


def test_softmax_of_two_is_the_textbook_softmax(logits: F32) -> None:
    two = logits[:, :2]
    textbook = np.exp(two.astype(np.float64)) / np.exp(two.astype(np.float64)).sum(axis=1)
    for channel in (0, 1):
        ours = decode(two, channel=channel, activation="softmax")
        np.testing.assert_allclose(ours, textbook[0, channel], atol=1e-6)


def test_softmax_of_three_is_the_textbook_softmax(logits: F32) -> None:
    textbook = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum(axis=1)
    ours = decode(logits, channel=2, activation="softmax")
    np.testing.assert_allclose(ours, textbook[0, 2], atol=1e-6)


def test_sigmoid_and_huge_scores_stay_in_range() -> None:
    scores = np.array([-1e9, -3, 0, 3, 1e9], np.float32).reshape(1, 1, 1, 5)
    geometry = Geometry(Size(5, 1), Size(5, 1), Rect(0, 0, 5, 1))
    expected = [[0, 1 / (1 + np.exp(3)), 0.5, 1 / (1 + np.exp(-3)), 1]]
    ours = decode(scores, geometry, activation="sigmoid")
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    both = np.concatenate([-scores, scores], axis=1)
    ours = decode(both, geometry, channel=1, activation="softmax")
    assert ours[0, 0] == 0
    assert ours[0, 4] == 1


@pytest.mark.parametrize(
    ("tensor", "output"),
    [
        (np.full((1, 7, 9), 0.25, np.float32), {}),
        (np.full((1, 1, 7, 9), 0.25, np.float32), {}),
        (np.full((1, 7, 9, 1), 0.25, np.float16), {"layout": "nhwc"}),
        (np.full((1, 7, 9, 2), 64, np.uint8), {"layout": "nhwc", "channel": 1}),
    ],
    ids=["3-axes", "nchw", "half-nhwc", "uint8"],
)
def test_layouts_and_types(tensor: Tensor, output: dict[str, Any]) -> None:
    person = decode(tensor, **output)
    assert person.dtype == np.float32
    assert person.flags.c_contiguous
    np.testing.assert_allclose(person, np.full((7, 9), 0.25), atol=0.002)


def test_a_nan_anywhere_makes_all_of_it_background(caplog: pytest.LogCaptureFixture) -> None:
    scores = np.full((1, 1, 7, 9), 0.9, np.float32)
    scores[0, 0, 3, 3] = np.nan
    assert not decode(scores).any()
    scores[0, 0, 3, 3] = np.inf
    assert not decode(scores).any()
    assert "output 'person' holds NaN or infinity" in caplog.text


def test_values_outside_the_range_are_limited() -> None:
    scores = np.linspace(-0.5, 1.5, 63, dtype=np.float32).reshape(1, 1, 7, 9)
    person = decode(scores)
    assert (person.min(), person.max()) == (0, 1)


def test_the_network_s_array_is_not_written_to(logits: F32) -> None:
    kept = logits.copy()
    for output in (
        {"channel": 0},
        {"channel": 1, "activation": "sigmoid"},
        {"channel": 2, "activation": "softmax"},
    ):
        decode(logits, **output)
    np.testing.assert_array_equal(logits, kept)


def test_a_ramp_keeps_its_place_under_a_fractional_crop() -> None:
    """Output at half the network's size, content from 3 to 15 of 18: cut at 1.5 to 7.5 of 9."""
    geometry = Geometry(Size(120, 140), Size(18, 14), Rect(3, 0, 15, 14))
    ramp = np.broadcast_to((np.arange(9) + 0.5) / 9, (7, 9)).astype(np.float32)[None, None]
    person = decode(ramp, geometry)
    assert person.shape == (7, 6)
    np.testing.assert_allclose(person, np.broadcast_to((np.arange(6) + 2) / 9, (7, 6)), atol=1e-3)


@pytest.mark.parametrize(
    ("tensor", "output", "message"),
    [
        (np.zeros((2, 1, 7, 9), np.float32), {}, "gave shape 2x1x7x9, expected one picture"),
        (np.zeros((7, 9), np.float32), {}, "gave shape 7x9, expected one picture of 4 axes"),
        (
            np.zeros((1, 2, 7, 9), np.float32),
            {"channel": 2},
            r"output 'person' gave 2 channel\(s\), the card wants channel 2",
        ),
    ],
)
def test_unusable_outputs_are_named(tensor: Tensor, output: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decode(tensor, **output)
