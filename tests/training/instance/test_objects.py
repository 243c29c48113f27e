"""Object pictures: read from COCO folders and streets, cut out, seen anew, pasted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.training.config import InstanceAugment, PhotoConfig
from edgeseg.training.instance.augment import (
    object_sample,
    object_view,
    seen_through,
    with_object,
    without_hidden,
)
from edgeseg.training.instance.coco import load_objects
from edgeseg.training.instance.objects import (
    ObjectPicture,
    cut_outs,
    load_streets,
    portrait_cut_outs,
)
from edgeseg.training.views import View
from edgeseg.types import Size

CLASSES = ("person", "car")
PLAIN = PhotoConfig(low_light=0, blur=0, noise=0, jpeg=0)


def rle(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def box_mask(shape: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def write_coco(folder: Path, **changes: Any) -> Path:
    """One picture 40x30: a crowd, a large car, a small person on top of it, a truck."""
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "a.png"), np.full((30, 40, 3), 90, np.uint8))
    shape = (30, 40)
    masks = [
        (1, box_mask(shape, 12, 12, 16, 20), 0),
        (3, box_mask(shape, 5, 5, 30, 25), 0),
        (8, box_mask(shape, 32, 0, 40, 10), 0),
        (1, box_mask(shape, 0, 0, 10, 8), 1),
    ]
    index = {
        "images": [
            {
                "id": 7,
                "file_name": "a.png",
                "width": 40,
                "height": 30,
                "source": "drawn",
                "labelled_categories": "all",
            }
        ],
        "categories": [
            {"id": 1, "name": "person"},
            {"id": 3, "name": "car"},
            {"id": 8, "name": "truck"},
        ],
        "annotations": [
            {
                "id": i,
                "image_id": 7,
                "category_id": category,
                "iscrowd": crowd,
                "area": int(mask.sum()),
                "segmentation": rle(mask),
            }
            for i, (category, mask, crowd) in enumerate(masks)
        ],
    }
    for path, value in changes.items():
        target: Any = index
        *keys, last = path.split("__")
        for key in keys:
            target = target[int(key) if key.isdigit() else key]
        if value is None:
            del target[last]
        else:
            target[last] = value
    (folder / "instances.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def test_a_coco_folder_becomes_an_object_map(tmp_path: Path) -> None:
    (picture,) = load_objects(write_coco(tmp_path / "t"), CLASSES, similar=("truck",))
    assert picture.classes == (1, 0)
    assert picture.labelled == (True, True)
    assert not picture.near_only
    assert picture.source == "drawn"
    assert picture.ids[22, 6] == 1
    assert picture.ids[15, 13] == 2, "the small object lies on top"
    assert picture.ids[2, 35] == 255, "similar objects are not judged"
    assert picture.ids[2, 2] == 255, "crowds are not judged"
    assert picture.ids[28, 38] == 0


@pytest.mark.parametrize(
    ("known", "labelled", "near"), [([1], (True, False), False), ([], (True, True), True)]
)
def test_what_was_labelled_is_known(
    tmp_path: Path, known: list[int], labelled: tuple[bool, ...], near: bool
) -> None:
    folder = write_coco(tmp_path / "t", images__0__labelled_categories=known)
    (picture,) = load_objects(folder, CLASSES, similar=("truck",))
    assert picture.labelled == labelled
    assert picture.near_only is near


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": None}, r"no 'images'; expected COCO's images"),
        ({"images": []}, "lists no images"),
        ({"annotations__1__image_id": 99}, "annotation 1 is of image 99, which the file does not"),
        ({"annotations__1__category_id": 99}, "annotation 1 is of category 99, which"),
        ({"images__0__width": 41}, r"a.png should be 41x30, the file is 40x30"),
        ({"annotations__0__segmentation": [[0, 0, 5, 5]]}, "annotation 0: expected an uncompr"),
        ({"annotations__0__segmentation__counts": [5]}, r"covers 5 pixels of \[30, 40\], the pict"),
        ({"annotations__0__segmentation__counts": [1200]}, "annotation 0: its mask is empty"),
    ],
)
def test_an_odd_coco_file_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = write_coco(tmp_path / "t", **change)
    with pytest.raises(ConfigError, match=message) as caught:
        load_objects(folder, CLASSES)
    assert str(folder / "instances.json") in str(caught.value)


def test_json_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "instances.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="not readable JSON"):
        load_objects(tmp_path, CLASSES)


def test_streets_give_single_cars_and_leave_the_rest_unjudged(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / "camvid" / "train" / kind).mkdir(parents=True)
    labels = np.full((60, 120), 3, np.uint8)
    labels[20:40, 10:40] = 8  # one car
    labels[45:55, 50:118] = 8  # a row of cars in one blob
    labels[5:30, 60:70] = 9  # a pedestrian
    labels[5:30, 80:100] = 10  # a cyclist
    cv2.imwrite(str(tmp_path / "camvid/train/labels/a.png"), labels)
    cv2.imwrite(str(tmp_path / "camvid/train/images/a.png"), np.zeros((60, 120, 3), np.uint8))
    (picture,) = load_streets(tmp_path, CLASSES)
    assert sorted(picture.classes) == [0, 1]
    assert picture.ids[50, 80] == 255
    assert picture.ids[10, 90] == 255
    assert picture.classes[picture.ids[30, 20] - 1] == 1
    assert picture.classes[picture.ids[10, 65] - 1] == 0


def drawn(*, near_only: bool = False) -> ObjectPicture:
    """A blue square person and a red car on green; the colour tells the class."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[..., 1] = 120
    ids = np.zeros((60, 80), np.uint8)
    for k, (x, y, side, color) in enumerate(
        [(10, 10, 24, (0, 0, 250)), (45, 25, 30, (250, 0, 0))], start=1
    ):
        image[y : y + side, x : x + side] = color
        ids[y : y + side, x : x + side] = k
    return ObjectPicture(image, ids, (0, 1), (True, True), near_only, "drawn")


def test_cut_outs_are_whole_objects_away_from_the_border() -> None:
    picture = drawn()
    at_border = np.roll(picture.ids, -10, axis=1)
    assert [c.number for c in cut_outs([picture], least_px=100)] == [0, 1]
    assert [c.number for c in cut_outs([replace(picture, ids=at_border)], least_px=100)] == [1]
    thing = cut_outs([picture], least_px=100)[0]
    assert thing.image.shape == (24, 24, 3)
    assert thing.mask.min() == 255
    assert cut_outs([picture], least_px=5000) == []


def test_portraits_are_cut_out_by_source(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "portrait" / "train" / kind).mkdir(parents=True)
    mask = box_mask((20, 20), 5, 5, 10, 15).astype(np.uint8)
    for name in ("ccp_1", "celeb_1"):
        cv2.imwrite(str(tmp_path / f"portrait/train/masks/{name}.png"), mask)
        cv2.imwrite(str(tmp_path / f"portrait/train/images/{name}.png"), np.zeros((20, 20, 3)))
    (thing,) = portrait_cut_outs(tmp_path, 0, sources=("ccp",))
    assert thing.mask.shape == (10, 5)


def test_a_view_moves_picture_and_map_alike() -> None:
    picture = drawn()
    seen = seen_through(picture, View(40.0, 32.0, 100.0, 60.0, mirrored=True), Size(96, 64))
    blue = (seen.image[..., 2] > 200) & (seen.image[..., 1] < 20)
    inside = cv2.erode(src=(seen.ids == 1).astype(np.uint8), kernel=np.ones((5, 5))).astype(bool)
    assert blue[inside].all()
    assert not blue[seen.ids == 0].any()
    assert seen.ids[32, 0] == 0, "outside the picture there is nothing, and that is known"


def test_views_keep_the_picture_in_sight() -> None:
    picture, rng = drawn(), np.random.default_rng(0)
    for _ in range(50):
        view = object_view(picture, Size(96, 64), rng, InstanceAugment(photo=PLAIN))
        assert -0.01 <= view.center_x <= 80.01
        assert -0.01 <= view.center_y <= 60.01


def test_a_pasted_object_gets_the_next_number_and_hides_what_is_behind() -> None:
    picture, rng = drawn(), np.random.default_rng(3)
    thing = cut_outs([picture], least_px=100)[1]
    for _ in range(20):
        after = with_object(picture, thing, rng)
        assert after.classes == (0, 1, 1)
        assert set(np.unique(after.ids)) <= {0, 1, 2, 3}
        assert (after.ids == 3).sum() > 0
        untouched = after.ids == picture.ids
        far = cv2.erode(src=untouched.astype(np.uint8), kernel=np.ones((5, 5))).astype(bool)
        assert np.array_equal(after.image[far], picture.image[far])
    assert np.array_equal(picture.ids, drawn().ids), "the picture pasted into stays as it was"


def test_slivers_are_not_judged_and_numbers_close_up() -> None:
    picture = drawn()
    ids = picture.ids.copy()
    ids[picture.ids == 1] = 0
    ids[10:40, 10:12] = 1
    cleaned = without_hidden(replace(picture, ids=ids))
    assert cleaned.classes == (1,)
    assert (cleaned.ids[10:40, 10:12] == 255).all()
    assert cleaned.ids[30, 50] == 1
    gone = without_hidden(replace(picture, ids=np.where(ids == 1, 0, ids).astype(np.uint8)))
    assert gone.classes == (1,)
    assert 255 not in gone.ids


def test_samples_are_the_same_for_the_same_seed() -> None:
    picture = drawn()
    things = cut_outs([picture], least_px=100)
    config = InstanceAugment(paste=1.0)
    first, again = (
        object_sample(picture, things, Size(96, 64), np.random.default_rng(5), config)
        for _ in range(2)
    )
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.ids, again.ids)
    assert first.image.shape == (64, 96, 3)
    assert len(first.classes) == len(set(np.unique(first.ids)) - {0, 255})
