"""The kernels' twins against the processor's path: same pictures, same decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import drawn, input_spec, noise, packed, recipe_for

from edgeseg.cuda.recipes import score_recipe
from edgeseg.cuda.twins import NO_CLASS, i420_to_input, person_to_bytes, scores_to_labels
from edgeseg.errors import ModelError
from edgeseg.ops.image import network_input
from edgeseg.ops.labels import best_class
from edgeseg.protocols import TensorInfo
from edgeseg.segment.activation import class_probability
from edgeseg.spec import OutputSpec
from edgeseg.types import ColorSpace, Frame, Size

COLORS = [ColorSpace(m, f) for m in ("bt601", "bt709") for f in (False, True)]
LARGEST, MEAN = 5, 0.3
"""Levels by which the GPU's input may differ from the processor's on drawn scenes."""


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(256, 256), (480, 360)])
@pytest.mark.parametrize(
    ("scene", "frame_size"),
    [
        ("portrait", Size(1280, 720)),
        ("road", Size(1920, 1080)),
        ("road", Size(854, 480)),
        ("portrait", Size(200, 150)),
        ("road", Size(3840, 2160)),
    ],
)
def test_the_networks_input_is_the_processors(
    scene: str, frame_size: Size, size: tuple[int, int], fit: str
) -> None:
    frame, spec = drawn(scene, frame_size), input_spec(size, fit=fit)
    theirs, _ = network_input(frame, spec)
    ours = i420_to_input(packed(frame.planes), recipe_for(frame.size, spec, frame.color))
    apart = np.abs(ours.astype(int) - theirs[0].astype(int))
    assert apart.max() <= LARGEST
    assert apart.mean() <= MEAN


@pytest.mark.parametrize("color", COLORS)
def test_colours_of_every_space(color: ColorSpace) -> None:
    rng = np.random.default_rng(1)
    planes = noise(Size(8, 8))
    for plane in (planes.y, planes.u, planes.v):
        plane[...] = rng.integers(30, 220)
    frame, spec = Frame(planes, 0, 0.0, color=color), input_spec((8, 8), order="bgr")
    theirs, _ = network_input(frame, spec)
    ours = i420_to_input(packed(planes), recipe_for(frame.size, spec, color))
    np.testing.assert_array_equal(ours, theirs[0])


def test_exact_halving_is_the_mean_of_each_box() -> None:
    planes = noise(Size(64, 48))
    planes.u[...] = planes.v[...] = 128
    full = ColorSpace(full_range=True)
    ours = i420_to_input(packed(planes), recipe_for(Size(64, 48), input_spec((16, 12)), full))
    means = np.rint(planes.y.reshape(12, 4, 16, 4).mean(axis=(1, 3)))
    for channel in range(3):
        np.testing.assert_array_equal(ours[:, :, channel], means)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_layout_and_normalisation(layout: str, dtype: str) -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    frame = drawn("shapes", Size(320, 240))
    spec = input_spec((64, 48), layout=layout, dtype="float32", mean=mean, std=std)
    theirs, _ = network_input(frame, spec)
    ours = i420_to_input(packed(frame.planes), recipe_for(frame.size, spec, frame.color, dtype))
    assert ours.dtype == np.dtype(dtype)
    assert ours.shape == theirs.shape[1:]
    levels = np.abs(ours.astype(np.float64) - theirs[0].astype(np.float64)) * 57
    assert levels.max() <= LARGEST + 0.2
    assert levels.mean() <= MEAN


def test_letterbox_bars_are_grey() -> None:
    frame = drawn("shapes", Size(320, 120))
    ours = i420_to_input(
        packed(frame.planes), recipe_for(frame.size, input_spec((64, 64), fit="letterbox"))
    )
    assert (ours[:20] == 114).all()
    assert (ours[44:] == 114).all()
    assert ours[20:44].std() > 1


@pytest.mark.parametrize("size", [Size(1, 1), Size(3, 1), Size(101, 67), Size(67, 101)])
def test_odd_sizes_are_not_shifted(size: Size) -> None:
    planes = noise(size)
    ramp = np.linspace(40, 200, size.width)
    planes.y[...] = np.rint(ramp)
    planes.u[...] = planes.v[...] = 128
    full = ColorSpace(full_range=True)
    ours = i420_to_input(packed(planes), recipe_for(size, input_spec((32, 24)), full))
    places = np.clip((np.arange(32) + 0.5) * size.width / 32 - 0.5, 0, size.width - 1)
    expected = np.interp(places, np.arange(size.width), ramp)
    apart = np.abs(ours[:, :, 0].astype(np.float64) - expected).max(axis=0)
    assert apart[:-1].max() <= 1
    assert apart[-1] <= 3  # the box at the edge may not be full


def described(
    scores: NDArray[Any], layout: str = "nchw", size: Size | None = None, **changes: Any
) -> tuple[OutputSpec, np.void]:
    meaning = changes.pop("meaning", "person")
    spec = OutputSpec(name="out", layout=layout, meaning=meaning, **changes)  # type: ignore[arg-type]
    return spec, score_recipe(spec, TensorInfo("out", scores.shape, str(scores.dtype)), size)


def random_scores(channels: int, layout: str, dtype: str, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    shape = (1, channels, 9, 13) if layout == "nchw" else (1, 9, 13, channels)
    values = rng.normal(size=shape) * 3
    return (
        (values * 20 + 128).clip(0, 255).astype(dtype) if dtype == "uint8" else values.astype(dtype)
    )


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("channels", [1, 2, 11])
def test_labels_are_numpys_argmax(layout: str, dtype: str, channels: int) -> None:
    scores = random_scores(channels, layout, dtype)
    labels, damaged = scores_to_labels(scores.ravel(), described(scores, layout)[1])
    axis = 1 if layout == "nchw" else 3
    np.testing.assert_array_equal(labels, scores.argmax(axis=axis).ravel())
    assert not damaged


@pytest.mark.parametrize(
    "size", [Size(26, 18), Size(52, 36), Size(40, 11), Size(13, 9), Size(5, 4)]
)
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_labels_are_those_of_enlarged_scores(layout: str, size: Size) -> None:
    scores = random_scores(5, layout, "float32")
    labels, _ = scores_to_labels(scores.ravel(), described(scores, layout, size)[1])
    planes = scores[0] if layout == "nchw" else scores[0].transpose(2, 0, 1)
    theirs = best_class(np.ascontiguousarray(planes), size=size)
    assert labels.size == size.width * size.height
    assert (labels.reshape(theirs.shape) == theirs).mean() >= 0.995


def test_the_lower_class_wins_a_tie() -> None:
    scores = np.array([1, 3, 3, 2], np.float32).reshape(1, 4, 1, 1)
    assert scores_to_labels(scores.ravel(), described(scores)[1])[0].tolist() == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_no_class(value: float) -> None:
    scores = random_scores(3, "nchw", "float32")
    scores[0, 1, 4, 5] = value
    labels, damaged = scores_to_labels(scores.ravel(), described(scores)[1])
    assert damaged
    assert np.flatnonzero(labels == NO_CLASS).tolist() == [4 * 13 + 5]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize(
    ("activation", "channels", "channel"),
    [("none", 1, None), ("none", 2, 1), ("sigmoid", 1, None), ("softmax", 2, 1), ("softmax", 4, 2)],
)
def test_a_person_is_the_decoders_within_half_a_level(
    layout: str, dtype: str, activation: Any, channels: int, channel: int | None
) -> None:
    scores = random_scores(channels, layout, dtype)
    spec, recipe = described(scores, layout, activation=activation, channel=channel)
    ours, damaged = person_to_bytes(scores.ravel(), recipe)
    theirs = class_probability(scores, spec).clip(0, 1)
    assert np.abs(ours.reshape(theirs.shape) / 255 - theirs).max() <= 0.5 / 255 + 1e-6
    assert not damaged


def test_a_person_without_channels() -> None:
    scores = np.random.default_rng(0).random((1, 5, 6), np.float32)
    ours, _ = person_to_bytes(scores.ravel(), described(scores)[1])
    np.testing.assert_array_equal(ours.reshape(5, 6), np.rint(scores[0] * 255))


def test_a_person_that_is_no_number_is_nobody() -> None:
    scores = np.array([0.25, np.nan, 1.5, -2.0], np.float32).reshape(1, 1, 2, 2)
    ours, damaged = person_to_bytes(scores.ravel(), described(scores)[1])
    assert ours.tolist() == [64, 0, 255, 0]
    assert damaged


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_large_logits_are_certain(activation: Any) -> None:
    scores = np.zeros((1, 2, 1, 2), np.float32)
    scores[0, 1] = [[-3e4, 3e4]]
    recipe = described(scores, activation=activation, channel=1)[1]
    ours, damaged = person_to_bytes(scores.ravel(), recipe)
    assert ours.tolist() == [0, 255]
    assert not damaged


def test_tensors_that_no_kernel_reads_are_refused() -> None:
    with pytest.raises(ModelError, match="'out' is int64; on a GPU it must be uint8, float16"):
        described(np.zeros((1, 1, 2, 2), np.int64))
    with pytest.raises(ModelError, match="'out' has shape 2x1x2x2, expected one picture"):
        described(np.zeros((2, 1, 2, 2), np.float32))
    with pytest.raises(ModelError, match="'image' is float64; on a GPU it must be"):
        recipe_for(Size(8, 8), input_spec((8, 8)), dtype="float64")
