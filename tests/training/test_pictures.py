"""Pictures, labels and run lengths: what is wrong is said in one line that names the file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import ConfigError
from edgeseg.training.pictures import (
    decode_rle,
    labelled_pairs,
    read_labels,
    read_pair,
    read_rgb,
)


def write(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(filename=str(path), img=picture)
    return path


def test_pictures_are_rgb_and_labels_are_what_is_in_the_file(tmp_path: Path) -> None:
    red_bgr = np.zeros((3, 5, 3), np.uint8)
    red_bgr[..., 2] = 200
    assert read_rgb(write(tmp_path / "a.png", red_bgr))[1, 4].tolist() == [200, 0, 0]
    labels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    assert np.array_equal(read_labels(write(tmp_path / "l.png", labels)), labels)
    grey_in_three = np.repeat(labels[..., None], 3, axis=2)
    assert np.array_equal(read_labels(write(tmp_path / "g.png", grey_in_three)), labels)


@pytest.mark.parametrize("reader", [read_rgb, read_labels])
def test_what_is_no_picture_is_named(tmp_path: Path, reader: object) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG and nothing more")
    with pytest.raises(ConfigError, match=r"broken\.png: not a readable (label )?picture"):
        reader(path)  # type: ignore[operator]


@pytest.mark.parametrize("reader", [read_rgb, read_labels])
def test_a_missing_picture_is_one_line(
    tmp_path: Path, reader: object, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"gone\.png: no such picture"):
        reader(tmp_path / "gone.png")  # type: ignore[operator]
    assert capfd.readouterr().err == "", "OpenCV has nothing to add"


def test_colour_and_16_bit_labels_are_refused(tmp_path: Path) -> None:
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[0, 0, 1] = 9
    with pytest.raises(ConfigError, match=r"c\.png: a colour picture, expected one channel"):
        read_labels(write(tmp_path / "c.png", colour))
    with pytest.raises(ConfigError, match=r"d\.png: uint16 values, expected an 8-bit"):
        read_labels(write(tmp_path / "d.png", np.zeros((4, 4), np.uint16)))


def test_sizes_must_agree(tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    labels = write(tmp_path / "l.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(ConfigError, match=r"l\.png: labels are 5x4, the picture is 6x4"):
        read_pair(image, labels)


def test_pairs_are_found_by_name_in_order_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / "images" / f"{name}.jpg", np.zeros((4, 4, 3), np.uint8))
        write(tmp_path / "labels" / f"{name}.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "images" / ".DS_Store").write_bytes(b"x")
    pairs = labelled_pairs(tmp_path / "images", tmp_path / "labels")
    assert [(i.name, m.name) for i, m in pairs] == [("a.jpg", "a.png"), ("b.jpg", "b.png")]

    (tmp_path / "labels" / "a.png").rename(tmp_path / "labels" / "c.png")
    with pytest.raises(ConfigError, match=r"a\.jpg: no labels; expected .*labels/a\.png"):
        labelled_pairs(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(ConfigError, match=r"c\.png: labels without a picture"):
        labelled_pairs(tmp_path / "images", tmp_path / "labels")


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"images: no such folder; expected images/ and masks/"):
        labelled_pairs(tmp_path / "images", tmp_path / "masks")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(ConfigError, match="images: no pictures"):
        labelled_pairs(tmp_path / "images", tmp_path / "masks")


def test_run_lengths_run_down_the_columns() -> None:
    mask = decode_rle({"size": [2, 3], "counts": [1, 2, 3]})
    assert mask.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2, 3], "counts": [1, 2]},
        {"size": [2, 3], "counts": "b40"},
        {"size": [2, 3], "counts": [7, -1]},
        {"counts": [6]},
        [[0, 0, 1, 0, 1, 1]],
    ],
    ids=["too short", "compressed", "negative", "no size", "polygon"],
)
def test_other_encodings_are_refused_by_name(segmentation: object) -> None:
    with pytest.raises(ConfigError, match="annotation 7: expected uncompressed run lengths"):
        decode_rle(segmentation, where="annotation 7")  # type: ignore[arg-type]
