"""Scores against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.ops.metrics import (
    BoundaryCounts,
    boundary_counts,
    boundary_counts_per_class,
    boundary_tolerance_px,
    confusion_counts,
    dice_per_class,
    iou_per_class,
    mask_boundary,
    mean_iou,
    pixel_accuracy,
    precision_per_class,
    recall_per_class,
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
    assert precision_per_class(counts)[1] == pytest.approx(1 / 2)
    assert recall_per_class(counts)[1] == pytest.approx(1 / 2)


def test_three_classes_by_hand() -> None:
    truth = np.array([[0, 0, 0, 1, 1], [1, 2, 2, 2, 255]], np.uint8)
    predicted = np.array([[0, 0, 1, 1, 1], [2, 2, 2, 0, 0]], np.uint8)
    counts = confusion_counts(predicted, truth, 3)
    assert counts.tolist() == [[2, 1, 0], [0, 2, 1], [1, 0, 2]]
    assert iou_per_class(counts) == pytest.approx([2 / 4, 2 / 4, 2 / 4])
    assert dice_per_class(counts) == pytest.approx([4 / 6, 4 / 6, 4 / 6])
    assert precision_per_class(counts) == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    assert recall_per_class(counts) == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    assert pixel_accuracy(counts) == pytest.approx(6 / 9)
    never_predicted = confusion_counts(np.zeros_like(truth), truth, 3)
    assert recall_per_class(never_predicted).tolist() == [1, 0, 0]
    assert np.isnan(precision_per_class(never_predicted)[1:]).all()


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


def test_boundary_f_of_one_row_by_hand() -> None:
    """Truth's column border lies between 4 | 5, ours between 6 | 7, in 3 rows of 12 pixels."""
    truth, ours = np.zeros((3, 12), np.uint8), np.zeros((3, 12), np.uint8)
    truth[:, :5], ours[:, :7] = 1, 1
    assert boundary_counts(ours, truth, tolerance_px=1) == BoundaryCounts(0, 3, 0, 3)
    assert boundary_counts(ours, truth, tolerance_px=2) == BoundaryCounts(3, 3, 3, 3)
    ours[2] = 0  # a part is missing: its lower side is boundary too, now 6 + 2 pixels
    counts = boundary_counts(ours, truth, tolerance_px=1)
    assert (counts.predicted, counts.truth) == (8, 3)
    near_column_4 = 3  # of our second row: columns 3, 4 and 5
    assert counts.precise == near_column_4
    assert counts.recalled == 3  # each of truth's pixels lies in or next to our second row
    assert counts.f == pytest.approx(2 * (3 / 8) * 1 / (3 / 8 + 1))


def test_boundaries_per_class_equal_those_of_one_class_at_a_time() -> None:
    rng = np.random.default_rng(3)
    blocks = np.kron(rng.integers(0, 4, (7, 9)), np.ones((9, 7))).astype(np.uint8)
    truth = np.roll(blocks, 2, axis=1)
    truth[:, 60:] = 255
    found = boundary_counts_per_class(blocks, truth, 6)
    assert found == [boundary_counts(blocks, truth, label=label) for label in range(6)]
    assert found[0].predicted > 0
    assert found[5] == BoundaryCounts()


def test_boundary_counts_pool_and_handle_absence() -> None:
    assert np.isnan(BoundaryCounts().f)
    assert BoundaryCounts(predicted=4).f == 0.0
    assert (BoundaryCounts(1, 2, 1, 2) + BoundaryCounts(1, 2, 1, 2)).f == pytest.approx(0.5)


def test_tolerance_grows_with_the_picture() -> None:
    assert boundary_tolerance_px(480, 854) == 8
    assert boundary_tolerance_px(1, 1) == 1
