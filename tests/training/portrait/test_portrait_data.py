"""Loading of the portrait data: what is wrong is named, people and surroundings are told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_training_data import disc, write_index, write_pair, write_portraits

from edgeseg.errors import ConfigError
from edgeseg.training.portrait.datasets import (
    Sample,
    SampleBank,
    load_instance_people,
    load_portraits,
    people_mask,
    surroundings,
)


def person(x0: int, x1: int, *, crowd: int = 0) -> dict[str, Any]:
    """Annotation of the columns x0 to x1 of a 2 x 10 picture."""
    counts = [2 * x0, 2 * (x1 - x0), 2 * (10 - x1)]
    segmentation = {"size": [2, 10], "counts": counts}
    return {"area": 2 * (x1 - x0), "iscrowd": crowd, "segmentation": segmentation}


def test_crowds_and_small_bystanders_are_ignored() -> None:
    people = [person(0, 5), person(6, 7), person(8, 10, crowd=1)]
    assert people_mask(people, 2, 10, 0.3)[0].tolist() == [1] * 5 + [0, 255, 0, 255, 255]
    assert people_mask(people, 2, 10, 0.0)[0].tolist() == [1] * 5 + [0, 1, 0, 255, 255]


def test_surroundings_are_the_wider_side_without_the_person() -> None:
    image = np.arange(300, dtype=np.uint16).astype(np.uint8)[None, :, None].repeat(3, axis=2)
    mask = np.zeros((1, 300), np.uint8)
    mask[0, 110:150] = 1
    strip = surroundings(Sample(image, mask, "x"))
    assert strip is not None
    assert strip.shape == (1, 146, 3)
    assert np.array_equal(strip, image[:, 154:])
    mask[0, 50:250] = 1
    assert surroundings(Sample(image, mask, "x")) is None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_portraits(tmp_path)
    return tmp_path


def test_the_whole_data_set_loads(data: Path) -> None:
    bank = SampleBank.load(data)
    assert {name: len(samples) for name, samples in bank.by_source.items()} == {
        "ccp": 2, "vik": 2, "pennfudan": 1,
    }  # fmt: skip
    assert len(bank.backgrounds) == 1  # picture b; the rooms around the discs are too narrow
    assert [sample.source for sample in load_portraits(data, "val")] == ["ccp", "ccp", "vik", "vik"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2, r"vik_0\.png: label 2, expected 0 background, 1 person or 255"),
        (0, r"vik_0\.png: no person in it, expected some pixels of 1"),
        (255, r"vik_0\.png: no person in it"),
    ],
)
def test_a_wrong_or_empty_mask_is_named(data: Path, value: int, said: str) -> None:
    image, mask = disc(0)
    write_pair(data / "portrait" / "train", "masks", "vik_0", (image, np.full_like(mask, value)))
    with pytest.raises(ConfigError, match=said):
        load_portraits(data, "train")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segmentation": None}, r"instances\.json: annotations 5: no 'segmentation'"),
        (
            {"segmentation": {"size": [64, 64], "counts": [5]}},
            r"instances\.json: annotation 5: expected uncompressed run lengths",
        ),
        (
            {"segmentation": {"size": [8, 4], "counts": [0, 32]}},
            r"instances\.json: annotation 5: its mask is 4x8, its picture 64x64",
        ),
    ],
)
def test_a_degenerate_annotation_is_named(data: Path, changes: dict[str, Any], said: str) -> None:
    write_index(data / "instances" / "train", **changes)
    with pytest.raises(ConfigError, match=said):
        load_instance_people(data, "train")


def test_a_picture_of_another_size_than_the_index_says_is_named(data: Path) -> None:
    path = data / "instances" / "train" / "images" / "a.png"
    cv2.imwrite(filename=str(path), img=np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"a\.png: 20x10, instances\.json says 64x64"):
        load_instance_people(data, "train")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": []}', '{"images": 3}'])
def test_an_index_that_is_none_is_named(data: Path, text: str) -> None:
    (data / "instances" / "train" / "instances.json").write_text(text, encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"instances\.json: (not a readable|expected a) COCO file"
    ):
        load_instance_people(data, "train")
