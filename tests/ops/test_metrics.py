"""Scores against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.ops.metrics import (
    BoundaryCounts,
    boundary_counts,
    boundary_tolerance_px,
    confusion_counts,
    dice_per_class,
    iou_per_class,
    mask_boundary,
    mean_iou,
    pixel_accuracy,
)


@pytest.fixture
def sixteen() -> tuple[np.ndarray, np.ndarray]:
    """4x4 pixels with 1 hit, 1 miss, 1 false alarm, 13 right background pixels."""
    truth = np.zeros((4, 4), np.uint8)
    predicted = np.zeros((4, 4), np.uint8)
    truth[0, 0] = truth[0, 1] = 1
    predicted[0, 0] = predicted[3, 3] = 1
    return predicted, truth


def test_sixteen_pixels_by_hand(sixteen: tuple[np.ndarray, np.ndarray]) -> None:
    counts = confusion_counts(*sixteen, 2)
    assert counts.tolist() == [[13, 1], [1, 1]]
    assert iou_per_class(counts) == pytest.approx([13 / 15, 1 / 3])
    assert dice_per_class(counts)[1] == pytest.approx(0.5)
    assert mean_iou(counts) == pytest.approx(0.6)
    assert pixel_accuracy(counts) == pytest.approx(0.875)


def test_ignored_pixels_do_not_count(sixteen: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = sixteen
    truth[0, 1] = truth[3, 3] = 255
    counts = confusion_counts(predicted, truth, 2)
    assert counts.tolist() == [[13, 0], [0, 1]]
    assert mean_iou(counts) == 1.0


def test_a_class_that_never_occurs_is_not_a_number_and_not_in_the_mean() -> None:
    empty = np.zeros((3, 5), np.uint8)
    counts = confusion_counts(empty, empty, 2)
    assert np.isnan(iou_per_class(counts)[1])
    assert mean_iou(counts) == 1.0


def test_all_ignored_scores_nothing() -> None:
    counts = confusion_counts(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8), 2)
    assert np.isnan(mean_iou(counts))
    assert np.isnan(pixel_accuracy(counts))


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"predicted is \(2, 2\), truth is \(2, 3\)"):
        confusion_counts(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)


def test_boundary_of_a_square_is_its_outline() -> None:
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    outline = mask.copy()
    outline[3:6, 3:6] = False
    assert np.array_equal(mask_boundary(mask), outline)


def test_the_border_of_the_picture_is_no_boundary() -> None:
    assert not mask_boundary(np.ones((5, 7), bool)).any()


def test_boundary_f_of_a_shifted_square() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    moved = np.roll(truth, 3, axis=1)
    assert boundary_counts(moved, truth, tolerance_px=3).f == 1.0
    counts = boundary_counts(moved, truth, tolerance_px=0)
    # Each outline has 76 pixels; the two long horizontal sides share 17 each.
    assert counts == BoundaryCounts(34, 76, 34, 76)
    assert counts.f == pytest.approx(34 / 76)


def test_boundary_counts_pool_and_handle_absence() -> None:
    assert np.isnan(BoundaryCounts().f)
    assert BoundaryCounts(predicted=4).f == 0.0
    assert (BoundaryCounts(1, 2, 1, 2) + BoundaryCounts(1, 2, 1, 2)).f == pytest.approx(0.5)


def test_tolerance_grows_with_the_picture() -> None:
    assert boundary_tolerance_px(480, 854) == 8
    assert boundary_tolerance_px(1, 1) == 1
