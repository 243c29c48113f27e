from __future__ import annotations

import numpy as np
import pytest

from edgeseg.ops.boxes import (
    PER_CLASS,
    Suppression,
    clip,
    fast_nms,
    greedy_nms,
    iou_matrix,
    suppress,
    to_frame,
)
from edgeseg.types import F32, I32, Geometry, Rect, Size


def boxes(*rows: tuple[float, float, float, float]) -> F32:
    return np.array(rows, np.float32).reshape(-1, 4)


def crowd(count: int, classes: int, seed: int = 0) -> tuple[F32, F32, I32]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 300, (count, 2))
    found = np.concatenate([corners, corners + rng.uniform(20, 120, (count, 2))], axis=1)
    labels = rng.integers(0, classes, count).astype(np.int32)
    return found.astype(np.float32), rng.random(count).astype(np.float32), labels


def test_iou_by_hand() -> None:
    found = iou_matrix(boxes((0, 0, 4, 4), (2, 0, 6, 4), (4, 4, 8, 8), (1, 1, 1, 3)))
    assert np.diag(found).tolist() == [1, 1, 1, 0]
    assert found[0, 1] == pytest.approx(8 / 24)
    assert found[0, 2] == 0  # touching corners share nothing
    assert found[0, 3] == 0  # an empty box, too
    np.testing.assert_array_equal(found, found.T)


CHAIN = boxes((0, 0, 10, 10), (3, 0, 13, 10), (6, 0, 16, 10))
"""Each overlaps the next by 7/13, the first and the last by 4/16."""


def test_fast_lets_a_dropped_box_drop_others_and_greedy_does_not() -> None:
    assert fast_nms(CHAIN, 0.5).tolist() == [True, False, False]
    assert greedy_nms(CHAIN, 0.5).tolist() == [True, False, True]
    for method in (fast_nms, greedy_nms):
        assert method(CHAIN, 0.6).all()
        assert method(boxes(), 0.5).shape == (0,)
        assert method(boxes((0, 0, 1, 1)), 0.5).tolist() == [True]


@pytest.mark.parametrize("method", [fast_nms, greedy_nms])
def test_suppression_agrees_with_the_definition_box_by_box(method: Suppression) -> None:
    found, scores, labels = crowd(120, 3)
    kept = suppress(found, scores, labels, overlap=0.4, method=method)
    iou = iou_matrix(found)
    expected: list[int] = []
    seen: list[int] = []
    for row in np.argsort(-scores):
        rivals = expected if method is greedy_nms else seen
        if all(labels[r] != labels[row] or iou[r, row] <= 0.4 for r in rivals):
            expected.append(int(row))
        seen.append(int(row))
    assert kept.tolist() == expected
    assert 10 < len(kept) < 120


def test_classes_do_not_drop_one_another() -> None:
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    twins = CHAIN[[0, 0, 0]]
    assert suppress(twins, scores, np.array([0, 1, 1], np.int32), overlap=0.5).tolist() == [0, 1]


def test_one_thing_is_not_of_two_classes_where_that_is_asked_for() -> None:
    found = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [25, 0, 35, 10]], np.float32)
    scores, labels = np.array([0.5, 0.9, 0.3, 0.4], np.float32), np.array([0, 1, 0, 1], np.int32)
    assert suppress(found, scores, labels, overlap=0.5).tolist() == [1, 0, 3, 2]
    assert suppress(found, scores, labels, overlap=0.5, across=0.8).tolist() == [1, 3, 2]


def test_nothing_in_nothing_out() -> None:
    kept = suppress(boxes(), np.zeros(0, np.float32), np.zeros(0, np.int32), overlap=0.5)
    assert kept.tolist() == []


def test_of_a_class_the_best_are_looked_at() -> None:
    count = PER_CLASS + 50
    corners = np.arange(count, dtype=np.float32)[:, None] * 10
    apart = np.concatenate([corners, corners, corners + 5, corners + 5], axis=1)
    scores = np.linspace(0.1, 0.9, count, dtype=np.float32)
    kept = suppress(apart, scores, np.zeros(count, np.int32), overlap=0.5)
    assert kept.tolist() == list(range(count - 1, 49, -1))


def test_network_to_frame_undoes_letterbox_and_stretch() -> None:
    bars = Geometry(Size(1280, 720), Size(64, 64), Rect(0, 14, 64, 50))
    np.testing.assert_allclose(
        to_frame(boxes((0, 14, 64, 50), (32, 32, 33, 33), (0, 0, 64, 64)), bars),
        [(0, 0, 1280, 720), (640, 360, 660, 380), (0, -280, 1280, 1000)],
    )
    stretched = Geometry(Size(101, 67), Size(50, 50), Rect(0, 0, 50, 50))
    placed = to_frame(boxes((10, 10, 60, 60)), stretched)
    np.testing.assert_allclose(placed, [(20.2, 13.4, 121.2, 80.4)], rtol=1e-6)
    np.testing.assert_allclose(clip(placed, Size(101, 67)), [(20.2, 13.4, 101, 67)], rtol=1e-6)
