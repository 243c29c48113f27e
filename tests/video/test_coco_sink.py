from __future__ import annotations

import importlib.util
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from result_items import SCENE, item, street, things
from sink_helpers import half_matte, output_info, rendered, source_info, write_all

from edgeseg.errors import SinkError, SinkRefused
from edgeseg.ops.labels import label_map
from edgeseg.types import U8, Rendered, Size
from edgeseg.video.coco_sink import CocoSink


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    assert set(loaded) == {"info", "annotations", "images", "categories"}
    return loaded


def written(path: Path, items: list[Rendered]) -> dict[str, Any]:
    write_all(CocoSink(str(path)), output_info(), items)
    return load(path)


def mask_of(annotation: dict[str, Any]) -> U8:
    """A mask from compressed counts, by the definition of the format."""
    height, width = annotation["segmentation"]["size"]
    counts: list[int] = []
    value = shift = 0
    for letter in (ord(c) - 48 for c in annotation["segmentation"]["counts"]):
        value |= (letter & 31) << shift
        shift += 5
        if letter & 32:
            continue
        if letter & 16:
            value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    turns = np.arange(len(counts)) % 2
    mask: U8 = np.repeat(turns, counts).astype(np.uint8).reshape(width, height).T
    return mask


def test_pictures_keep_their_names(tmp_path: Path) -> None:
    named = item(0, things())
    named = replace(named, frame=replace(named.frame, name="trip/me.jpg"))
    found = written(tmp_path / "a.json", [named])
    assert [image["file_name"] for image in found["images"]] == ["trip/me.jpg"]


def test_objects(tmp_path: Path) -> None:
    two = things((4, 6, 24, 16), (40, 0, 64, 20), classes=[1, 0])
    found = written(tmp_path / "a.json", [item(5, two, pts=Fraction(1, 3)), item(6, things())])
    assert found["images"] == [
        {
            "id": 5, "file_name": "000005.png", "width": 64, "height": 48, "frame": 5,
            "seconds": 0.333333,
        },
        {
            "id": 6, "file_name": "000006.png", "width": 64, "height": 48, "frame": 6,
            "seconds": None,
        },
    ]  # fmt: skip
    assert found["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    first, second = found["annotations"]
    assert {k: first[k] for k in ("id", "image_id", "category_id", "area", "iscrowd")} == {
        "id": 1, "image_id": 5, "category_id": 2, "area": 200, "iscrowd": 0,
    }  # fmt: skip
    assert first["bbox"] == [4, 6, 20, 10]
    assert first["score"] == 0.95
    assert "track_id" not in first
    want = np.zeros((48, 64), np.uint8)
    want[6:16, 4:24] = 1
    np.testing.assert_array_equal(mask_of(first), want)
    assert second["id"] == 2
    assert mask_of(second)[:20, 40:].all()
    assert mask_of(second).sum() == 24 * 20 == second["area"]


def test_tracked_objects_keep_their_identity(tmp_path: Path) -> None:
    found = written(tmp_path / "a.json", [item(0, things((0, 0, 9, 9), ids=[12]))])
    assert found["annotations"][0]["track_id"] == 12


@pytest.mark.parametrize("size", [Size(64, 48), Size(101, 67), Size(3, 90)])
def test_a_scene_is_an_annotation_for_each_class_in_it(tmp_path: Path, size: Size) -> None:
    scene = street([[0, 2, 2], [0, 2, 0]], size=size)
    found = written(tmp_path / "a.json", [item(0, scene)])
    assert [a["category_id"] for a in found["annotations"]] == [1, 3]
    assert [c["name"] for c in found["categories"]] == list(SCENE.names)
    labels = label_map(scene)
    for annotation in found["annotations"]:
        mask = mask_of(annotation)
        np.testing.assert_array_equal(mask, labels == annotation["category_id"] - 1)
        assert annotation["area"] == mask.sum()
        x, y, wide, high = annotation["bbox"]
        assert mask[y : y + high, x : x + wide].sum() == mask.sum()
    assert sum(a["area"] for a in found["annotations"]) == size.width * size.height


def test_a_portrait_is_one_person_or_nobody(tmp_path: Path) -> None:
    size = Size(64, 48)
    items = [item(0, half_matte(size)), item(1, half_matte(size, present=False))]
    found = written(tmp_path / "a.json", items)
    (annotation,) = found["annotations"]
    assert annotation["image_id"] == 0
    assert annotation["score"] == 1.0
    assert annotation["bbox"] == [0, 0, 32, 48]
    assert found["categories"] == [{"id": 1, "name": "person"}]
    assert len(found["images"]) == 2


def test_frames_without_a_result_are_images(tmp_path: Path) -> None:
    found = written(tmp_path / "a.json", [item(0, None), item(1, things((0, 0, 9, 9)))])
    assert [image["id"] for image in found["images"]] == [0, 1]
    assert [a["image_id"] for a in found["annotations"]] == [1]
    empty = written(tmp_path / "b.json", [item(0, None)])
    assert empty["annotations"] == empty["categories"] == []


def test_objects_outside_the_frame_and_tiny_ones(tmp_path: Path) -> None:
    boxes = [(70.0, 50.0, 80.0, 60.0), (63.5, 47.5, 64.0, 48.0), (5.0, 5.0, 5.0, 9.0)]
    found = written(tmp_path / "a.json", [item(0, things(*boxes))])
    assert len(found["annotations"]) == 3
    for annotation in found["annotations"]:
        mask = mask_of(annotation)
        assert mask.shape == (48, 64)
        assert mask.sum() == annotation["area"]


def test_many_frames_come_in_order(tmp_path: Path) -> None:
    items = [item(i, things(*[(i, 2.0, i + 9.0, 20.0)] * (i % 4))) for i in range(50)]
    found = written(tmp_path / "a.json", items)
    assert [image["id"] for image in found["images"]] == list(range(50))
    assert [a["id"] for a in found["annotations"]] == list(range(1, len(found["annotations"]) + 1))
    assert [a["image_id"] for a in found["annotations"]] == [
        i for i in range(50) for _ in range(i % 4)
    ]


def test_results_of_another_model_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [item(0, street([[0]])), item(1, things((0, 0, 9, 9))), item(2, street([[1]]))]
    found = written(tmp_path / "a.json", items)
    assert [image["id"] for image in found["images"]] == [0, 2]
    assert caplog.text.count("results of another model are left out") == 1


def test_nothing_but_the_hidden_part_is_there_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    sink = CocoSink(f"coco:{path}")
    sink.open(output_info(overwrite=True))
    write_frames(sink, 30)
    assert path.read_text() == "old"
    sink.close()
    assert len(load(path)["images"]) == sink.written == 30
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def write_frames(sink: CocoSink, count: int) -> None:
    for index in range(count):
        sink.write(item(index, things((0, 0, 9, 9))))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [4000, 4100, 4200, 4300])
def test_a_full_disk_leaves_a_valid_file(tmp_path: Path, limit: int) -> None:
    """Frames at the end make room for the list of images."""
    path = tmp_path / "a.json"
    sink = CocoSink(str(path))
    sink.open(output_info())
    with largest_file(limit):
        with pytest.raises(SinkError) as caught:
            write_frames(sink, 200)
        sink.close()
    assert "a.json failed: File too large" in str(caught.value)
    assert "frames are kept; free some space" in str(caught.value)
    assert caught.value.exit_code == 3
    found = load(path)
    assert 4 < len(found["images"]) == len(found["annotations"]) == sink.written
    assert [image["id"] for image in found["images"]] == list(range(sink.written))
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_disk_without_any_room_leaves_nothing(tmp_path: Path) -> None:
    sink = CocoSink(str(tmp_path / "a.json"))
    sink.open(output_info())
    with largest_file(20):
        sink.write(item(0, things((0, 0, 9, 9))))
        with pytest.raises(SinkError, match=r"a\.json failed"):
            sink.close()
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path: Path) -> None:
    for name in ("coco:", "coco:folder/"):
        with pytest.raises(SinkRefused, match=r"expected a file, such as coco:objects\.json"):
            CocoSink(name)
    with pytest.raises(SinkRefused, match="is a folder"):
        CocoSink(str(tmp_path)).open(output_info())
    clip = tmp_path / "clip.json"
    clip.write_text("not mine")
    with pytest.raises(SinkRefused, match="is the input itself"):
        CocoSink(str(clip)).open(output_info(source_info(path=clip), overwrite=True))


def test_its_name_is_the_one_it_was_asked_for_by() -> None:
    assert CocoSink("a.json").uri == CocoSink("coco:a.json").uri == "coco:a.json"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.skipif(
    importlib.util.find_spec("pycocotools") is None, reason="the COCO API is not installed"
)
def test_the_coco_api_reads_it(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    path = tmp_path / "a.json"
    written(path, [item(0, street([[0, 1], [2, 1]])), item(1, street([[1]]))])
    api = COCO(str(path))
    assert sorted(api.getImgIds()) == [0, 1]
    for annotation in api.loadAnns(api.getAnnIds(imgIds=[0])):
        np.testing.assert_array_equal(api.annToMask(annotation), mask_of(annotation))


def test_the_first_frame_may_be_a_plain_one(tmp_path: Path) -> None:
    found = written(tmp_path / "a.json", [rendered(0), rendered(1)])
    assert len(found["annotations"]) == 2
