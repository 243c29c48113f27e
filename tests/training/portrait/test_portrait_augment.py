"""Augmentation moves picture and mask together: people here are pure red, the rest is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.training.config import PortraitAugment
from edgeseg.training.portrait.augment import placed, training_sample, with_bystanders
from edgeseg.training.portrait.datasets import NO_PERSON, Sample, SampleBank
from edgeseg.training.portrait.views import keep_inside, person_box, warp_mask
from edgeseg.training.views import View, warp_image
from edgeseg.types import Size

RED = np.array([255, 0, 0], np.uint8)
GREEN = np.array([0, 160, 0], np.uint8)
STILL = {"low_light": 0.0, "blur": 0.0, "noise": 0.0, "jpeg": 0.0}


def red_person(height: int, width: int, source: str) -> Sample:
    """A red ellipse standing at the bottom of a green picture."""
    ys, xs = np.mgrid[0:height, 0:width]
    inside = ((xs - width / 2) / (0.3 * width)) ** 2 + ((ys - height) / (0.8 * height)) ** 2 < 1
    image = np.where(inside[..., None], RED, GREEN).astype(np.uint8)
    return Sample(image, inside.astype(np.uint8), source)


@pytest.fixture
def bank() -> SampleBank:
    samples = [red_person(101, 67, "ccp"), red_person(64, 64, "celeb"), red_person(90, 160, "vik")]
    backgrounds = [np.broadcast_to(GREEN, (80, 120, 3)).copy()]
    return SampleBank(samples, backgrounds)


def redness(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    pixels = image.astype(int)
    return np.asarray(pixels[..., 0] > pixels[..., 1])


@pytest.mark.parametrize("source", ["ccp", "celeb", "vik"])
def test_every_change_keeps_picture_and_mask_together(bank: SampleBank, source: str) -> None:
    config = PortraitAugment(second_person=0.5, occluder=0.5, bystanders=0.0, **STILL)
    worst = 0.0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, mask = training_sample(source, bank, 96, rng, config)
        assert image.shape == (96, 96, 3)
        assert image.dtype == mask.dtype == np.uint8
        if np.ptp(image) < 60:  # a view with nothing but person, or grey
            continue
        grey = np.ptp(image.astype(int), axis=2).max() < 8
        if not grey:
            worst = max(worst, float((redness(image) != (mask == 1)).mean()))
    assert worst < 0.06  # feathered and eroded edges, nothing more


def test_bystanders_are_drawn_behind_the_person_and_stay_background(bank: SampleBank) -> None:
    sample = bank.by_source["celeb"][0]
    image = with_bystanders(sample.image, sample.mask, bank, np.random.default_rng(1))
    person = sample.mask == 1
    inner = cv2.erode(src=person.astype(np.uint8), kernel=np.ones((9, 9), np.uint8)).astype(bool)
    assert np.array_equal(image[inner], sample.image[inner])
    assert redness(image)[~person].any()


def test_no_bystanders_behind_a_small_person(bank: SampleBank) -> None:
    sample = red_person(64, 64, "celeb")
    small = np.zeros_like(sample.mask)
    small[40:60, 20:30] = 1
    assert np.array_equal(
        with_bystanders(sample.image, small, bank, np.random.default_rng(1)), sample.image
    )


@pytest.mark.parametrize(("left", "top"), [(-2, -1), (3, 3), (0, 0), (9, 9), (-9, 0)])
def test_patches_are_cut_at_the_border(left: int, top: int) -> None:
    patch = np.full((2, 3), 7, np.uint8)
    expected = np.zeros((20, 20), np.uint8)
    expected[8 + top : 10 + top, 8 + left : 11 + left] = 7
    if -3 < left < 4 and -2 < top < 4:
        assert np.array_equal(placed(patch, left, top, 4), expected[8:12, 8:12])
    else:
        assert not placed(patch, left, top, 4).any()


def test_frames_without_a_person_are_empty(bank: SampleBank) -> None:
    rng = np.random.default_rng(0)
    image, mask = training_sample(NO_PERSON, bank, 64, rng, PortraitAugment(**STILL))
    assert not mask.any()
    assert not redness(image).any()


def test_the_same_seed_gives_the_same_sample(bank: SampleBank) -> None:
    config = PortraitAugment()
    first = training_sample("vik", bank, 64, np.random.default_rng(7), config)
    again = training_sample("vik", bank, 64, np.random.default_rng(7), config)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_identity_view_returns_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    view = View(24.0, 24.0, 48.0, 48.0)
    assert np.array_equal(warp_image(image, view, Size(48, 48)), image)
    mirrored = warp_image(image, View(24.0, 24.0, 48.0, 48.0, mirrored=True), Size(48, 48))
    assert np.array_equal(mirrored, image[:, ::-1])


def test_masks_keep_their_three_values() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 10:30] = 1
    mask[10:30, 30:50] = 255
    warped = warp_mask(mask, View(30.0, 20.0, 50.0, 33.0, degrees=12.0), 64)
    assert set(np.unique(warped)) == {0, 1, 255}


def test_views_stay_inside_the_picture() -> None:
    mask = np.zeros((100, 50), np.uint8)
    view = keep_inside(View(0.0, 120.0, 80.0, 60.0), mask, slack=0.0)
    assert (view.width, view.height) == (50.0, 60.0)
    assert (view.center_x, view.center_y) == (25.0, 70.0)


def test_person_box_by_hand() -> None:
    mask = np.zeros((10, 20), np.uint8)
    assert person_box(mask) == (0, 0, 20, 10)
    mask[2:5, 7:9] = 1
    assert person_box(mask) == (7, 2, 9, 5)
