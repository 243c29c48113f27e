"""Scenes on disk: void ids, and every mistake in a data set named before training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_training_data import scene, write_pair, write_scenes

from edgeseg.errors import ConfigError
from edgeseg.training.scene.datasets import Scene, SceneBank, class_pixels, load_scenes


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_scenes(tmp_path) / "train"


def test_scenes_come_in_name_order_as_written(train: Path) -> None:
    scenes = load_scenes(train, 4)
    assert [s.name for s in scenes] == [f"{i:03}" for i in range(6)]
    image, labels = scene(3)
    assert np.array_equal(scenes[3].image, image)
    assert np.array_equal(scenes[3].labels, labels)


def test_void_is_the_id_after_the_last_class_or_255(train: Path) -> None:
    image, labels = scene(0)
    labels[:3], labels[3:5] = 4, 255
    write_pair(train, "labels", "000", (image, labels))
    loaded = load_scenes(train, 4)[0].labels
    assert (loaded[:5] == 255).all()
    assert np.array_equal(loaded[5:], labels[5:])


def test_a_foreign_id_is_named(train: Path) -> None:
    image, labels = scene(2)
    labels[7, 9] = 5
    write_pair(train, "labels", "002", (image, labels))
    with pytest.raises(
        ConfigError, match=r"labels/002\.png: label 5, expected 0 to 3, 4 for void or 255"
    ):
        load_scenes(train, 4)


def test_nothing_but_void_is_named(train: Path) -> None:
    image, labels = scene(1)
    write_pair(train, "labels", "001", (image, np.full_like(labels, 255)))
    with pytest.raises(ConfigError, match=r"001\.png: nothing but void"):
        load_scenes(train, 4)


def test_another_size_is_named(train: Path) -> None:
    cv2.imwrite(filename=str(train / "labels" / "004.png"), img=np.zeros((48, 63), np.uint8))
    with pytest.raises(ConfigError, match=r"004\.png: labels are 63x48, the picture is 64x48"):
        load_scenes(train, 4)


def test_a_picture_without_labels_is_named(train: Path) -> None:
    (train / "labels" / "005.png").unlink()
    with pytest.raises(ConfigError, match=r"005\.png: no labels; expected .*labels/005\.png"):
        load_scenes(train, 4)


def test_an_unreadable_picture_is_named(train: Path) -> None:
    (train / "images" / "000.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"images/000\.png: not a readable picture"):
        load_scenes(train, 4)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(ConfigError, match="images: no pictures"):
        load_scenes(tmp_path, 4)


def flat(*rows: list[int]) -> Scene:
    labels = np.array(rows, np.uint8)
    return Scene(np.zeros((*labels.shape, 3), np.uint8), labels, "flat")


def test_class_pixels_by_hand() -> None:
    scenes = [flat([0, 0, 1], [255, 2, 2]), flat([1, 255], [1, 1])]
    assert class_pixels(scenes, 4).tolist() == [2, 4, 2, 0]


def test_pictures_of_a_rare_class_are_found_and_absent_classes_are_not_drawn() -> None:
    with_two, without = flat([0, 2], [2, 2]), flat([0, 1], [0, 0])
    bank = SceneBank([without, with_two], rare=(2, 3))
    for seed in range(5):
        found = bank.with_class((2, 3), np.random.default_rng(seed))
        assert found is not None
        assert found[0] is with_two
        assert found[1] == 2
    assert bank.with_class((3,), np.random.default_rng(0)) is None
