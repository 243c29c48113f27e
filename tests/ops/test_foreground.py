"""Results as mattes of chosen classes, and masks of objects put where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeseg.labels import CAMVID, LabelSet, label_set
from edgeseg.ops.foreground import foreground, wanted
from edgeseg.ops.instances import cutoff, object_mask, object_rect
from edgeseg.types import F32, U8, Geometry, Instances, Matte, Rect, SemanticMap, Size

FRAME = Size(200, 100)
THINGS = label_set(("Person", "car", "rider"))


def geometry(frame: Size = FRAME) -> Geometry:
    return Geometry(frame, Size(64, 64), Rect(0, 0, 64, 64))


def objects(
    areas: list[tuple[float, float, float, float]],
    labels: list[int],
    *,
    mask: U8 | None = None,
    frame: Size = FRAME,
) -> Instances:
    boxes = np.array(areas, np.float32).reshape(-1, 4)
    shape = np.full((8, 8), 255, np.uint8) if mask is None else mask
    return Instances(
        boxes,
        np.full(len(areas), 0.8, np.float32),
        np.array(labels, np.int32),
        (shape,) * len(areas),
        boxes,
        geometry(frame),
        THINGS,
    )


def street(labels: U8, label_set: LabelSet = CAMVID) -> SemanticMap:
    return SemanticMap(labels, None, geometry(), label_set)


def enlarged(matte: Matte, x: float, y: float) -> float:
    """The matte's value at a place of the frame."""
    height, width = matte.person.shape
    return float(matte.person[int(y * height / FRAME.height), int(x * width / FRAME.width)])


def test_classes_by_name_and_people_without() -> None:
    assert wanted(CAMVID, ()) == (9, 10)
    assert wanted(CAMVID, ("CAR", "Road", "unknown")) == (3, 8)
    assert wanted(THINGS, ()) == (0, 2)
    assert wanted(label_set(("cat",)), ()) == ()


def test_a_matte_is_itself_and_nobody_is_none() -> None:
    person: F32 = np.ones((4, 4), np.float32)
    some = Matte(person, geometry())
    assert foreground(some, ("anything",)) is some
    assert foreground(Matte(person, geometry(), present=False)) is None
    assert foreground(None) is None


def test_a_region_of_a_scene() -> None:
    labels = np.full((20, 40), 3, np.uint8)
    labels[5:15, 10:20] = 9
    labels[5:15, 30:36] = 8
    people = foreground(street(labels))
    assert people is not None
    assert people.threshold == 0.5
    assert people.geometry == geometry()
    assert people.person[7:13, 12:18].min() == 1
    assert people.person[:, 22:].max() == 0
    assert set(np.unique(people.person >= 0.5)) == {False, True}
    np.testing.assert_array_equal((people.person > 0.34)[8], (labels == 9)[8])
    both = foreground(street(labels), ("car", "pedestrian"))
    assert both is not None
    assert both.person[7:13, 32:34].min() == 1
    assert foreground(street(labels), ("sky",)) is None


def test_the_union_of_objects() -> None:
    result = objects([(20, 10, 60, 90), (100, 10, 140, 90), (160, 40, 200, 60)], [0, 1, 2])
    people = foreground(result)
    assert people is not None
    assert [round(enlarged(people, x, 50)) for x in (10, 40, 80, 120, 180)] == [0, 1, 0, 0, 1]
    assert enlarged(people, 180, 20) == 0
    cars = foreground(result, ("car",))
    assert cars is not None
    assert [round(enlarged(cars, x, 50)) for x in (40, 120, 180)] == [0, 1, 0]
    assert foreground(objects([], [])) is None
    assert foreground(objects([(0, 0, 9, 9)], [1])) is None
    assert foreground(objects([(300, 0, 309, 9)], [0])) is None
    assert foreground(objects([(10, 0, 60, 90)], [0], mask=np.zeros((4, 4), np.uint8))) is None


def test_the_threshold_of_objects_is_kept() -> None:
    result = replace(objects([(20, 10, 60, 90)], [0]), threshold=0.3)
    found = foreground(result)
    assert found is not None
    assert found.threshold == 0.3


@pytest.mark.parametrize("frame", [Size(1, 1), Size(101, 67), Size(3840, 2160), Size(3, 2000)])
def test_the_grid_covers_frames_of_any_size(frame: Size) -> None:
    found = foreground(objects([(0, 0, frame.width, frame.height)], [0], frame=frame))
    assert found is not None
    assert found.person.min() == 1
    assert max(found.person.shape) <= 320


@pytest.mark.parametrize(
    ("area", "step", "want"),
    [
        ((20, 10, 60, 90), 1, (20, 10, 60, 90)),
        ((20, 10, 60, 90), 2, (10, 5, 30, 45)),
        ((20.4, 10.6, 60.4, 90.6), 1, (20, 11, 60, 91)),
        ((-5, -5, 500, 500), 1, (0, 0, 200, 100)),
        ((30.6, 30.6, 30.9, 30.9), 1, (31, 31, 32, 32)),
        ((199.7, 99.7, 199.9, 99.9), 1, (199, 99, 200, 100)),
        ((199.2, 0, 230, 10), 1, (199, 0, 200, 10)),
    ],
)
def test_pixels_of_an_area(
    area: tuple[float, float, float, float], step: int, want: tuple[int, int, int, int]
) -> None:
    grid = Size(FRAME.width // step, FRAME.height // step)
    assert object_rect(objects([area], [0]), 0, grid, step=step) == want


@pytest.mark.parametrize(
    "area", [(10, 10, 10, 20), (10, 20, 20, 10), (200, 0, 220, 9), (-9, 0, 0, 9), (0, -9, 9, 0)]
)
def test_areas_without_pixels(area: tuple[float, float, float, float]) -> None:
    assert object_rect(objects([area], [0]), 0, FRAME) is None


@pytest.mark.parametrize("step", [1.0, 2.0, 2.5])
def test_masks_lie_where_their_area_says(step: float) -> None:
    """A mask whose right half is set: its edge is at the middle of the area, to the pixel."""
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    result = objects([(33.0, 21.0, 97.0, 85.0)], [0], mask=mask)
    grid = Size(int(FRAME.width / step), int(FRAME.height / step))
    rect = object_rect(result, 0, grid, step=step)
    assert rect is not None
    found = object_mask(result, 0, rect, step=step)
    assert found.shape == (rect.bottom - rect.top, rect.right - rect.left)
    edge = rect.left + int((found[0] > 127).argmax())
    assert abs(edge * step - 65) <= step
    assert found[:, 0].max() == 0
    assert found[:, -1].min() == 255


def test_a_part_of_an_area_can_be_asked_for() -> None:
    rng = np.random.default_rng(0)
    result = objects([(20, 10, 60, 90)], [0], mask=rng.integers(0, 256, (9, 7), np.uint8))
    rect = object_rect(result, 0, FRAME)
    assert rect is not None
    full = object_mask(result, 0, rect)
    part = object_mask(result, 0, Rect(30, 40, 50, 60))
    assert np.abs(full[30:50, 10:30].astype(int) - part).max() <= 1


@pytest.mark.parametrize(("threshold", "level"), [(0.5, 127), (0.001, 0), (0.999, 254), (0.2, 50)])
def test_cutoff(threshold: float, level: int) -> None:
    assert cutoff(threshold) == level
    assert (level + 1) / 255 >= threshold
