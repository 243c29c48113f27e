"""COCO files: what is read, and what gets one line instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as reference

from edgeseg.errors import ConfigError
from edgeseg.evaluate.coco_data import CocoData, open_coco
from edgeseg.evaluate.coco_masks import MaskProblem, decode, parse_counts, read_mask
from edgeseg.types import Size

WIDTH, HEIGHT = 7, 5
RLE = {"size": [HEIGHT, WIDTH], "counts": [10, 10, 15]}
"""Columns 2 and 3."""


def annotation(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": 1,
        "image_id": 3,
        "category_id": 1,
        "bbox": [2, 0, 2, 5],
        "area": 10,
        "iscrowd": 0,
        "segmentation": RLE,
    }
    return {key: value for key, value in {**row, **changes}.items() if value != "absent"}


def content(*annotations: dict[str, Any], **image: Any) -> dict[str, Any]:
    picture = {"id": 3, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, **image}
    return {
        "images": [{k: v for k, v in picture.items() if v != "absent"}],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    }


def opened(folder: Path, data: object, **options: Any) -> CocoData:
    (folder / "images").mkdir(exist_ok=True)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert cv2.imwrite(str(folder / "images" / "a.png"), picture)
    text = data if isinstance(data, str) else json.dumps(data)
    (folder / "instances.json").write_text(text, encoding="utf-8")
    return open_coco(folder, **options)


def test_a_file_is_read(tmp_path: Path) -> None:
    data = opened(tmp_path, content(annotation(), annotation(id=0, iscrowd=1, bbox="absent")))
    (image,) = data.images
    assert (image.id, image.size, image.source, image.judged) == (3, Size(7, 5), "", None)
    assert image.path == tmp_path / "images" / "a.png"
    first, second = data.objects
    assert (first.box_xywh, first.crowd) == ((2, 0, 2, 5), False)
    assert (second.id, second.box_xywh, second.crowd) == (0, None, True)
    assert data.categories == {1: "person", 3: "car"}


@pytest.mark.parametrize(
    ("listed", "judged"),
    [("absent", None), ("all", None), ([3], {1, 3}), ([], {1})],
)
def test_only_labelled_or_annotated_categories_are_judged(
    tmp_path: Path, listed: object, judged: set[int] | None
) -> None:
    data = opened(tmp_path, content(annotation(), labelled_categories=listed))
    assert data.images[0].judged == judged


def test_sources_are_chosen(tmp_path: Path) -> None:
    rows = content(annotation(), source="street")
    assert len(opened(tmp_path, rows, sources=["street"]).images) == 1
    with pytest.raises(ConfigError, match=r"instances\.json: no source 'sea'; it has street"):
        opened(tmp_path, rows, sources=["sea"])


def test_pictures_may_lie_beside_the_file_and_more_may_lie_there(tmp_path: Path) -> None:
    rows = content(annotation(), file_name="b.png")
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "b.png"), picture)
    data = opened(tmp_path, rows)
    assert data.images[0].path == tmp_path / "b.png"
    assert data.notes == (f"not in instances.json, left out: 1 of {tmp_path / 'images'}",)


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in content(annotation()).items() if k != key}


def with_rows(**rows: Any) -> dict[str, Any]:
    return {**content(annotation()), **rows}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", r"instances\.json: not readable JSON: "),
        ("[" * 100_000, r"instances\.json: not readable JSON: "),
        ([1], r"instances\.json: no COCO file; expected an object with the lists images, annot"),
        (without("images"), r"no COCO file; expected"),
        (without("categories"), r"no COCO file; expected"),
        (with_rows(images=[]), r"instances\.json: no images; expected at least one with id"),
        (with_rows(annotations=[]), r"no annotations of its 1 images; nothing to score$"),
        (with_rows(categories=[]), r"no categories; expected at least one with id and name$"),
        (with_rows(categories=[{"id": 1}]), r"category 1 has no name; expected text$"),
        (with_rows(categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]), r"one name; exp"),
        (content(annotation(bbox=[float("nan"), 0, 1, 1])), r"bbox \[nan, 0, 1, 1\]; expected \["),
        (content(annotation(bbox=[0, 0, float("inf"), 1])), r"bbox \[0, 0, inf, 1\]; expected \["),
        (with_rows(images=["a.png"]), r"images\[0\] has no id; expected an object with a whole"),
        (with_rows(annotations=[{}]), r"annotations\[0\] has no id"),
        (content(annotation(), annotation()), r"two annotations have the id 1; expected one annot"),
        (with_rows(categories=[{"id": 1, "name": "a"}] * 2), r"two categories have the id 1"),
        (content(annotation(), file_name="absent"), r"image 3 has no file_name; expected text$"),
        (content(annotation(), file_name="b.png"), r"images/b\.png: no such picture, but inst"),
        (content(annotation(), width=0), r"image 3 is 0 x 5; expected its width and height"),
        (content(annotation(), height="absent"), r"image 3 is 7 x None; expected its width and"),
        (
            content(annotation(), labelled_categories=[2]),
            r"image 3 has labelled_categories \[2\]; expected 'all' or a list of category ids$",
        ),
        (
            content(annotation(image_id=4)),
            r"annotation 1 has image_id 4, which is not among the im",
        ),
        (content(annotation(category_id=2)), r"annotation 1 has category_id 2, which is not among"),
        (content(annotation(category_id="absent")), r"annotation 1 has category_id None, which"),
        (content(annotation(iscrowd=2)), r"annotation 1 has iscrowd 2; expected 0 or 1$"),
        (
            content(annotation(bbox=[2, 0, 0, 5])),
            r"annotation 1 has a box of 0 x 5; expected a wid",
        ),
        (content(annotation(bbox=[2, 0, -2, 5])), r"annotation 1 has a box of -2 x 5; expected"),
        (content(annotation(bbox=[2, 0])), r"annotation 1 has bbox \[2, 0\]; expected \[x, y, wid"),
        (content(annotation(bbox=["a"] * 4)), r"annotation 1 has bbox .*; expected \[x, y, width"),
        (
            content(annotation(segmentation="absent")),
            r"annotation 1: expected a list of polygons or a run-length mask with size and counts$",
        ),
    ],
)
def test_wrong_files_get_one_line(tmp_path: Path, data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(tmp_path, data)


def rle(counts: object, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, object]:
    return {"size": list(size), "counts": counts}


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], r"its segmentation is empty, expected polygons or a run-length mask$"),
        ([[1, 1, 2, 2]], r"a polygon has 4 numbers, expected x and y of at least 3 points$"),
        ([[1, 1, 2, 2, 3, 3, 4]], r"a polygon has 7 numbers, expected x and y"),
        ([[1, 1, 2, 2, 3, 3]], r"its polygons enclose nothing, expected an area above 0$"),
        ([[1, 1, "2", 2, 3, 3]], r"a polygon is no list of numbers x, y, x, y"),
        ([1, 2, 3, 4, 5, 6], r"a polygon is no list of numbers"),
        ([[0, 0, 1e9, 0, 0, 1e9]], r"a polygon lies far outside of its picture of 7x5$"),
        ([[0, 0, 3, 0, 3, float("nan")]], r"a polygon is no list of numbers"),
        (rle([35]), r"its mask is empty, expected at least one pixel$"),
        (rle([]), r"its runs add up to 0 pixels, expected 35 \(7x5\)$"),
        (rle([10, 10, 14]), r"its runs add up to 34 pixels, expected 35 \(7x5\)$"),
        (rle([10, -10, 35]), r"its counts are no list of run lengths \(whole numbers from 0\)$"),
        (rle([10.0, 10.0, 15.0]), r"its counts are no list of run lengths"),
        (rle(None), r"its counts are no list of run lengths"),
        (rle([10, 10, 15], (7, 5)), r"its mask is \[7, 5\], expected \[5, 7\] \(height, width\)"),
        (rle("\u00e4"), r"its compressed counts hold 'ä', not part of an RLE string$"),
        (rle("P"), r"its compressed counts end in the middle of a number$"),
        (rle("0"), r"its runs add up to 0 pixels, expected 35"),
        ({"counts": [35]}, r"expected a list of polygons or a run-length mask with size and"),
        ("no", r"expected a list of polygons or a run-length mask"),
    ],
)
def test_degenerate_masks_get_one_line(tmp_path: Path, segmentation: object, message: str) -> None:
    with pytest.raises(MaskProblem, match=message):
        read_mask(segmentation, Size(WIDTH, HEIGHT))
    with pytest.raises(ConfigError, match=rf"instances\.json: annotation 1: {message}"):
        opened(tmp_path, content(annotation(segmentation=segmentation)))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (67, 101), (300, 2)])
def test_compressed_masks_are_the_library_s(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    for share in (0.02, 0.5, 1.0):
        mask = (rng.random(shape) < share).astype(np.uint8)
        mask[0, 0] = 1
        encoded = reference.encode(np.asfortranarray(mask))
        assert np.array_equal(decode(encoded), mask)
        text = encoded["counts"].decode()
        flat = mask.T.ravel()
        changes = np.flatnonzero(np.diff(flat, prepend=0))
        assert parse_counts(text) == np.diff([0, *changes, mask.size]).tolist()
        size = Size(shape[1], shape[0])
        assert read_mask({"size": list(shape), "counts": text}, size).rle is not None
