"""Flicker against what is known by construction: nothing moves, all moves, or masks are noise."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edgeseg.ops.flicker import OUTSIDE, Flicker, changed, warped
from edgeseg.types import U8

H, W = 120, 160


def texture(seed: int = 3, size: tuple[int, int] = (H * 2, W * 2)) -> U8:
    """Smooth noise: a picture whose motion can be seen everywhere."""
    noise = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    blurred = cv2.GaussianBlur(src=noise, ksize=(0, 0), sigmaX=2.5).astype(np.float32)
    low, high = blurred.min(), blurred.max()
    return np.asarray((blurred - low) / (high - low) * 255, np.uint8)


def window(picture: U8, left: int, top: int) -> U8:
    return np.ascontiguousarray(picture[top : top + H, left : left + W])


def test_what_stands_still_does_not_flicker() -> None:
    flicker, picture = Flicker(), window(texture(), 0, 0)
    mask = np.zeros((H, W), np.uint8)
    mask[30:80, 40:100] = 1
    assert flicker.add(picture, mask) is None
    assert math.isnan(flicker.mean)
    assert [flicker.add(picture, mask) for _ in range(4)] == [0.0] * 4
    assert flicker.mean == 0.0
    assert flicker.pairs == 4


def test_motion_is_no_flicker_and_the_same_masks_without_it_are() -> None:
    """The camera pans by 4 px a frame, the mask with it; the picture at rest shows the jump."""
    picture, mask = texture(), np.zeros((H * 2, W * 2), np.uint8)
    mask[40:100, 60:140] = 1
    moving, resting = Flicker(), Flicker()
    for step in range(8):
        labels = window(mask, 4 * step, 2 * step)
        moving.add(window(picture, 4 * step, 2 * step), labels)
        resting.add(window(picture, 0, 0), labels)
    assert moving.mean < 0.03
    assert resting.mean > 0.1


def test_random_masks_flicker_most() -> None:
    """Two independent fair coins: intersection 1/4, union 3/4, so 1 - IoU is 2/3."""
    flicker, picture, chance = Flicker(), window(texture(), 0, 0), np.random.default_rng(1)
    for _ in range(6):
        flicker.add(picture, chance.integers(0, 2, (H, W), dtype=np.uint8))
    assert flicker.mean == pytest.approx(2 / 3, abs=0.02)


def test_a_mask_that_goes_and_comes_is_all_flicker() -> None:
    flicker, picture = Flicker(), window(texture(), 0, 0)
    on = np.ones((H, W), np.uint8)
    for labels in (on, 0 * on, on):
        flicker.add(picture, labels)
    assert flicker.mean == 1.0


@pytest.mark.parametrize(("background", "expected"), [(0, 1 / 2), (None, (1 / 2 + 0) / 2)])
def test_classes_count_alike(background: int | None, expected: float) -> None:
    """Class 1 keeps half of its place, what it leaves becomes class 2, or background."""
    picture = window(texture(), 0, 0)
    first, second = np.zeros((2, H, W), np.uint8)
    first[:, :80] = 1
    second[:, :40] = 1
    flicker = Flicker(background=background)
    flicker.add(picture, first)
    given = flicker.add(picture, second)
    assert given is not None
    if background is None:
        expected = (1 / 2 + (1 - 80 / 120)) / 2  # background grows from 80 to 120 columns
    assert given == pytest.approx(expected, abs=0.01)


def test_a_cut_and_another_size_are_not_compared() -> None:
    flicker, picture = Flicker(), window(texture(), 0, 0)
    on = np.ones((H, W), np.uint8)
    flicker.add(picture, on)
    assert flicker.add(picture, 0 * on, cut=True) is None
    assert flicker.add(picture[:100, :100], on[:100, :100]) is None
    assert flicker.add(picture[:100, :100], on[:100, :100]) == 0.0
    assert flicker.pairs == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (67, 101), (16, 15), (720, 1280)])
def test_any_size(size: tuple[int, int]) -> None:
    flicker, picture = Flicker(), np.full(size, 90, np.uint8)
    flicker.add(picture, np.ones(size, np.uint8))
    assert flicker.add(picture, np.ones(size, np.uint8)) == 0.0


def test_warping_takes_what_was_there_and_knows_nothing_beyond_the_edge() -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    flow = np.zeros((3, 4, 2), np.float32)
    flow[..., 0] = 1  # each pixel was one to the right
    moved = warped(labels, flow)
    assert moved[:, :3].tolist() == labels[:, 1:].tolist()
    assert moved[:, 3].tolist() == [OUTSIDE] * 3
    assert changed(moved, np.where(moved == OUTSIDE, 77, moved).astype(np.uint8)) == 0.0
    assert changed(np.full((2, 2), OUTSIDE, np.uint8), np.ones((2, 2), np.uint8)) == 0.0


def test_change_by_hand() -> None:
    before, now = np.array([[1, 1, 2, 0]], np.uint8), np.array([[1, 2, 2, 3]], np.uint8)
    # 0: 0/1, 1: 1/2, 2: 1/2, 3: 0/1
    assert changed(before, now) == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)
    assert changed(before, now, ignored=(0, 3)) == pytest.approx(0.5)
    assert changed(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), ignored=(0,)) == 0.0
