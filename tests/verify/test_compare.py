"""Decisions of two runs, which may have been made at two sizes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgeseg.labels import label_set
from edgeseg.types import F32, U8, Geometry, Matte, Rect, SemanticMap, Size
from edgeseg.verify.compare import Comparison, Scores, decisions
from edgeseg.verify.run import OWN_INPUT, TOLERANCE, VerifyOptions

LABELS = label_set(("road", "car"))
GEOMETRY = Geometry(Size(64, 32), Size(16, 8), Rect(0, 0, 16, 8))


def scene(scores: F32 | None, labels: U8) -> SemanticMap:
    return SemanticMap(labels, scores, GEOMETRY, LABELS)


def slope(width: int, height: int) -> F32:
    """Scores of two classes that cross at a third of the width, at any size."""
    across = (np.arange(width, dtype=np.float32) + 0.5) / width
    plane = np.broadcast_to(across, (height, width))
    return np.ascontiguousarray(np.stack([np.full_like(plane, 1 / 3), plane]), np.float32)


def test_scores_are_enlarged_to_where_the_other_decided() -> None:
    """A network decides at 8x4, a GPU at the input's 16x8: the edge lies at the same place."""
    coarse, fine = slope(8, 4), slope(16, 8)
    ours = scene(None, fine.argmax(axis=0).astype(np.uint8))
    theirs = scene(coarse, coarse.argmax(axis=0).astype(np.uint8))
    assert decisions(theirs).shape == (4, 8)
    found = decisions(theirs, Size(16, 8))
    assert found.tolist() == ours.labels.tolist()
    comparison = Comparison("semantic")
    comparison.add_result(ours, theirs)
    assert comparison.agreement == comparison.iou == 1.0


def test_a_portrait_is_decided_by_its_threshold() -> None:
    person = np.array([[0.4, 0.5, 0.6]], np.float32)
    assert decisions(Matte(person, GEOMETRY)).tolist() == [[0, 1, 1]]
    assert decisions(Matte(person, GEOMETRY, 0.55)).tolist() == [[0, 0, 1]]


def test_scores_differ_by_their_largest_and_mean() -> None:
    scores = Scores()
    assert math.isnan(scores.mean)
    scores.add(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    scores.add(np.array([200], np.uint8), np.array([100], np.uint8))
    assert scores.largest == 100
    assert scores.mean == pytest.approx((0 + 3 + 100) / 3)
    scores.add(np.zeros((1, 2)), np.zeros((2, 1)))
    assert scores.largest == float("inf")


def test_nothing_found_by_both_is_agreement_and_by_one_is_not() -> None:
    nobody, somebody = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    both, one = Comparison("portrait"), Comparison("portrait")
    both.add_result(Matte(nobody, GEOMETRY), Matte(nobody, GEOMETRY))
    one.add_result(Matte(somebody, GEOMETRY), Matte(nobody, GEOMETRY))
    assert (both.iou, one.iou) == (1.0, 0.0)


def test_a_gpu_may_see_the_frame_a_little_differently() -> None:
    options = VerifyOptions(Path("clip.mp4"))
    assert options.allowed("fp16", own_input=False) == TOLERANCE["fp16"]
    assert options.allowed("fp16", own_input=True) == TOLERANCE["fp16"] + OWN_INPUT
    assert VerifyOptions(Path("x"), tolerance=1.0).allowed("int8", own_input=True) == 1.0
