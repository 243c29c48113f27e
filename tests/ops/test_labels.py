from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.labels import CAMVID, label_set
from edgeseg.ops.labels import best_class, label_map, mask_in_frame
from edgeseg.types import F32, U8, Geometry, Instances, Matte, Rect, SemanticMap, Size

SIZES = [Size(1, 1), Size(101, 67), Size(64, 48), Size(37, 211)]


def geometry(size: Size) -> Geometry:
    return Geometry(size, Size(64, 48), Rect(0, 0, 64, 48))


def objects(size: Size, *found: tuple[tuple[float, float, float, float], int, U8]) -> Instances:
    """Objects with falling scores: area, label, mask."""
    areas = np.array([area for area, _, _ in found], np.float32).reshape(-1, 4)
    return Instances(
        boxes_xyxy=areas,
        scores=np.linspace(0.9, 0.5, len(found), dtype=np.float32),
        labels=np.array([label for _, label, _ in found], np.int32),
        masks=tuple(mask for _, _, mask in found),
        areas_xyxy=areas,
        geometry=geometry(size),
        label_set=label_set(("car", "person")),
    )


def full(height: int, width: int, level: int = 255) -> U8:
    return np.full((height, width), level, np.uint8)


@pytest.mark.parametrize("shape", [(2, 1, 1), (11, 30, 40), (19, 7, 5), (256, 3, 4)])
def test_best_class_is_the_argmax(shape: tuple[int, int, int]) -> None:
    scores = np.random.default_rng(0).integers(0, 9, shape).astype(np.float32)  # many are equal
    np.testing.assert_array_equal(best_class(scores), scores.argmax(axis=0))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_scores_are_enlarged_before_they_are_compared(size: Size) -> None:
    scores: F32 = np.random.default_rng(1).normal(size=(11, 12, 16)).astype(np.float32)
    result = SemanticMap(best_class(scores), scores, geometry(size), CAMVID)
    big = [cv2.resize(src=s, dsize=size, interpolation=cv2.INTER_LINEAR) for s in scores]
    np.testing.assert_array_equal(label_map(result), np.argmax(big, axis=0))


def test_a_class_that_wins_between_pixels_only_is_found() -> None:
    scores = np.array([[[10, 0]], [[0, 10]], [[9, 9]]], np.float32)
    result = SemanticMap(best_class(scores), scores, geometry(Size(8, 4)), CAMVID)
    assert result.labels.tolist() == [[0, 1]]
    assert label_map(result)[0].tolist() == [0, 0, 2, 2, 2, 2, 1, 1]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_labels_alone_are_enlarged_to_the_nearest(size: Size) -> None:
    labels = np.random.default_rng(2).integers(0, 11, (12, 16)).astype(np.uint8)
    ours = label_map(SemanticMap(labels, None, geometry(size), CAMVID))
    assert ours.shape == (size.height, size.width)
    assert set(np.unique(ours)) <= set(np.unique(labels))
    if size == (64, 48):
        np.testing.assert_array_equal(ours, labels.repeat(4, axis=0).repeat(4, axis=1))


def test_a_portrait_is_0_and_1_and_nobody_is_0() -> None:
    person = np.zeros((4, 4), np.float32)
    person[:, 2:] = 1
    matte = Matte(person, geometry(Size(8, 4)))
    assert label_map(matte)[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert not label_map(Matte(person, geometry(Size(8, 4)), present=False)).any()


def test_objects_are_their_label_plus_one_with_the_best_on_top() -> None:
    result = objects(
        Size(12, 6),
        ((2, 1, 6, 5), 1, full(4, 4)),
        ((4, 0, 10, 6), 0, full(3, 3)),
    )
    labels = label_map(result)
    expected = np.zeros((6, 12), np.uint8)
    expected[0:6, 4:10] = 1
    expected[1:5, 2:6] = 2
    np.testing.assert_array_equal(labels, expected)
    assert not label_map(objects(Size(5, 3))).any()


def test_a_mask_counts_from_the_threshold() -> None:
    ramp = np.array([[0, 64, 127, 128, 255]], np.uint8)
    result = objects(Size(5, 1), ((0, 0, 5, 1), 0, ramp))
    assert label_map(result)[0].tolist() == [0, 0, 0, 1, 1]


def test_an_area_between_pixels_keeps_its_place() -> None:
    """A ramp over 3.25 to 23.25: each pixel's centre reads the ramp there."""
    ramp = np.arange(0, 250, 25, dtype=np.uint8)[None].repeat(4, axis=0)
    result = objects(Size(40, 20), ((3.25, 2.5, 23.25, 10.5), 0, ramp))
    box, probability = mask_in_frame(result, 0)
    assert box == Rect(3, 2, 23, 10)
    centres = (np.arange(3, 23) + 0.5 - 3.25) / 2 - 0.5
    expected = np.clip(centres, 0, 9) * 25
    np.testing.assert_allclose(probability, np.broadcast_to(expected, (8, 20)), atol=1.5)


@pytest.mark.parametrize(
    ("area", "box"),
    [
        ((-4, -2, 3, 3), Rect(0, 0, 3, 3)),
        ((8, 4, 30, 40), Rect(8, 4, 10, 6)),
        ((20, 4, 30, 40), Rect(10, 4, 10, 4)),
        ((2.6, 1, 3.4, 2), Rect(3, 1, 3, 1)),
    ],
    ids=["left", "right", "outside", "no-centre"],
)
def test_areas_at_and_beyond_the_border(area: tuple[float, float, float, float], box: Rect) -> None:
    found, probability = mask_in_frame(objects(Size(10, 6), (area, 0, full(3, 3))), 0)
    assert found == box
    assert probability.shape in ((box.bottom - box.top, box.right - box.left), (0, 0))
    assert (probability == 255).all()
    label_map(objects(Size(10, 6), (area, 0, full(3, 3))))
