from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import ConfigError
from edgeseg.evaluate.labelled_folder import open_folder
from edgeseg.types import U8


def write(path: Path, pixels: U8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def add(folder: Path, stem: str, *labels: int, size: tuple[int, int] = (12, 17)) -> None:
    """A grey picture and a mask striped with the labels."""
    write(folder / "images" / f"{stem}.jpg", np.full((*size, 3), 90, np.uint8))
    mask = np.zeros(size, np.uint8)
    for index, label in enumerate(labels):
        mask[index::3] = label
    write(folder / "masks" / f"{stem}.png", mask)


def test_pairs_are_found_and_read(tmp_path: Path) -> None:
    add(tmp_path, "b", 1, 255)
    add(tmp_path, "a", 1)
    (tmp_path / "images" / "notes.txt").write_text("not a picture")
    write(tmp_path / "masks" / "unused.png", np.zeros((3, 3), np.uint8))
    folder = open_folder(tmp_path)
    assert [s.image.name for s in folder.samples] == ["a.jpg", "b.jpg"]
    image, labels = folder.read(folder.samples[1])
    assert image.shape == (12, 17, 3)
    assert np.unique(labels).tolist() == [0, 1, 255]
    assert folder.notes == ()


def test_masks_of_0_and_255_mean_person_by_255(tmp_path: Path) -> None:
    add(tmp_path, "a", 255)
    add(tmp_path, "b")
    folder = open_folder(tmp_path)
    assert np.unique(folder.read(folder.samples[0])[1]).tolist() == [0, 1]
    assert folder.notes == ("masks hold 0 and 255 only: 255 is taken as person",)
    add(tmp_path, "c", 1)  # one mask with label 1, and 255 is "not scored" again
    assert open_folder(tmp_path).notes == ()


def test_a_split_is_a_folder_or_a_manifest_field(tmp_path: Path) -> None:
    add(tmp_path / "val", "a", 1)
    add(tmp_path / "train", "b", 1)
    assert [s.image.stem for s in open_folder(tmp_path, split="val").samples] == ["a"]
    with pytest.raises(ConfigError, match=r"has the splits train, val; choose one with --split$"):
        open_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"no split 'test'; it has train, val$"):
        open_folder(tmp_path, split="test")


def test_a_manifest_gives_splits_and_sources(tmp_path: Path) -> None:
    for stem in ("x", "y", "z.1"):
        add(tmp_path, stem, 1)
    rows = [
        {"file": "x.jpg", "split": "val", "source": "web"},
        {"file": "images/y.png", "split": "train", "source": "cam:17"},
        {"file": "z.1", "split": "val", "source": "cam:18"},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    samples = open_folder(tmp_path, split="val").samples
    assert [(s.image.stem, s.source) for s in samples] == [("x", "web"), ("z.1", "cam")]
    assert len(open_folder(tmp_path).samples) == 3
    with pytest.raises(ConfigError, match=r"no split 'dev'; it has train, val$"):
        open_folder(tmp_path, split="dev")
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ConfigError, match=r"no split 'val'; it has no splits: leave --split out$"):
        open_folder(tmp_path, split="val")


def test_a_grey_mask_saved_as_colour_is_read(tmp_path: Path) -> None:
    add(tmp_path, "a", 1)
    grey = np.zeros((12, 17, 3), np.uint8)
    grey[:5] = 1
    write(tmp_path / "masks" / "a.png", grey)
    folder = open_folder(tmp_path)
    assert folder.read(folder.samples[0])[1].sum() == 5 * 17


def test_wrong_folders_get_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such folder; expected images/ and masks/"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no images/ folder in it; expected images/ and masks/$"):
        open_folder(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match=r"no masks/ folder in it"):
        open_folder(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(ConfigError, match=r"images: no pictures \(\.jpg, "):
        open_folder(tmp_path)
    add(tmp_path, "a", 1)
    write(tmp_path / "images" / "lonely.jpg", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(
        ConfigError, match=r"masks: 1 of 2 pictures have no mask, for example lonely\.jpg; "
    ):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((12, 17), 7, np.uint8), r"a\.png: label 7; expected 0 background, 1 person, 255"),
        (np.arange(204, dtype=np.uint8).reshape(12, 17), r"label 2, 3, 4, 5, \.\.\.; expected"),
        (np.zeros((12, 17), np.uint8), r"masks: no mask holds a person \(label 1, or 255\)$"),
        (np.ones((12, 17), np.uint16), r"a\.png: uint16 values, expected an 8-bit mask$"),
        (
            np.dstack([np.zeros((12, 17)), np.ones((12, 17)), np.zeros((12, 17))]).astype(np.uint8),
            r"a\.png: a colour picture, expected one channel",
        ),
    ],
    ids=["label", "soft", "empty", "16-bit", "colour"],
)
def test_wrong_masks_get_one_line(tmp_path: Path, mask: U8, message: str) -> None:
    add(tmp_path, "a", 1)
    write(tmp_path / "masks" / "a.png", mask)
    with pytest.raises(ConfigError, match=message):
        open_folder(tmp_path)


def test_damaged_files_and_wrong_sizes_get_one_line(tmp_path: Path) -> None:
    add(tmp_path, "a", 1)
    write(tmp_path / "masks" / "a.png", np.ones((11, 17), np.uint8))
    folder = open_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"a\.png: 17x11, but its picture a\.jpg is 17x12$"):
        folder.read(folder.samples[0])
    (tmp_path / "images" / "a.jpg").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"a\.jpg: not a readable picture$"):
        folder.read(folder.samples[0])
    (tmp_path / "masks" / "a.png").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"a\.png: not a readable mask$"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"manifest\.json: not readable JSON: "),
        ('{"a": 1}', r"manifest\.json: expected a list of \{"),
        ('[{"name": "a"}]', r"manifest\.json: expected a list of \{"),
    ],
)
def test_a_wrong_manifest_gets_one_line(tmp_path: Path, text: str, message: str) -> None:
    add(tmp_path, "a", 1)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        open_folder(tmp_path)
