"""Label folders: what is read, and what gets one line instead."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.errors import ConfigError
from edgeseg.evaluate.picture_folder import find_split
from edgeseg.evaluate.scene_folder import SceneFolder, open_scenes
from edgeseg.types import U8

MODEL = ("road", "car", "sky")
SIZE = (11, 17)


def write(path: Path, pixels: U8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def add(folder: Path, stem: str, *ids: int, kind: str = "labels") -> None:
    """A grey picture and labels striped with the ids."""
    write(folder / "images" / f"{stem}.jpg", np.full((*SIZE, 3), 90, np.uint8))
    labels = np.empty(SIZE, np.uint8)
    for index, number in enumerate(ids):
        labels[:, index :: len(ids)] = number
    write(folder / kind / f"{stem}.png", labels)


def opened(path: Path, split: str | None = None, **options: Any) -> SceneFolder:
    model = options.pop("model", MODEL)
    return open_scenes(find_split(path, split), model, **options)


def test_labels_become_scored_classes(tmp_path: Path) -> None:
    add(tmp_path / "val", "b", 4, 7, 9, 255)
    add(tmp_path / "val", "a", 4)
    (tmp_path / "classes.txt").write_text("4 Sky\n7 Road\n9 Void")
    folder = opened(tmp_path, "val")
    assert [s.image.name for s in folder.samples] == ["a.jpg", "b.jpg"]
    assert folder.match.names == ("sky", "road")
    truth = folder.truth(folder.samples[1], (17, 11))
    assert truth[0, :4].tolist() == [0, 1, 255, 255]
    assert folder.notes == (
        "not scored: id 9 (void) and 255",
        "classes the data does not have, wrong wherever predicted: car",
    )


def test_masks_hold_ids_too(tmp_path: Path) -> None:
    add(tmp_path, "a", 0, 2, kind="masks")
    assert opened(tmp_path).match.names == MODEL


def test_two_classes_may_be_drawn_in_black_and_white(tmp_path: Path) -> None:
    add(tmp_path, "a", 0, 255, kind="masks")
    folder = opened(tmp_path, model=("background", "lane"))
    assert folder.truth(folder.samples[0], (17, 11))[0, :2].tolist() == [0, 1]
    assert folder.notes == ("masks hold 0 and 255 only: 255 is taken as lane",)


def test_sources_are_chosen_by_the_manifest(tmp_path: Path) -> None:
    for stem in "abc":
        add(tmp_path, stem, 0)
    rows = [{"file": "a", "source": "day"}, {"file": "b", "source": "night:3"}, {"file": "c"}]
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    assert [s.image.stem for s in opened(tmp_path, sources=["night"]).samples] == ["b"]
    assert [s.image.stem for s in opened(tmp_path, sources=["night", "day"]).samples] == ["a", "b"]
    with pytest.raises(ConfigError, match=r"no source 'nigth'; it has day, night; did you mean"):
        opened(tmp_path, sources=["nigth"])


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        (
            (0, 7),
            {},
            r"labels/a\.png: label 7; expected the ids 0 to 2 of the model, or 255 for void; "
            r"if it is not to be scored: --void 7$",
        ),
        ((3, 4, 5, 6, 7, 8), {}, r"a\.png: label 3, 4, 5, 6, \.\.\.; expected"),
        ((0, 9), {"void": ["8"]}, r"label 9; expected the ids 0 to 2 .* or 8, 255 for void"),
        ((255,), {}, r"labels: every pixel is void; expected the ids 0 to 2"),
        ((0, 255), {"sources": ["x"]}, r"no source 'x'; its pictures name no source$"),
    ],
)
def test_wrong_ids_get_one_line(
    tmp_path: Path, ids: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    add(tmp_path, "a", *ids)
    with pytest.raises(ConfigError, match=message):
        opened(tmp_path, **options)


def test_the_void_id_of_the_user_is_not_scored(tmp_path: Path) -> None:
    add(tmp_path, "a", 0, 3)
    folder = opened(tmp_path, void=["3"])
    assert folder.truth(folder.samples[0], (17, 11))[0, :2].tolist() == [0, 255]


def test_pictures_and_labels_come_in_pairs(tmp_path: Path) -> None:
    add(tmp_path, "a", 0)
    write(tmp_path / "labels" / "b.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(ConfigError, match=r"labels: 1 of them without a picture, .* b\.png; its"):
        opened(tmp_path)
    write(tmp_path / "images" / "b.png", np.zeros((*SIZE, 3), np.uint8))
    write(tmp_path / "images" / "c.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"labels: 1 of 3 pictures have no label, .* c\.png; a "):
        opened(tmp_path)


def test_sizes_must_agree(tmp_path: Path) -> None:
    add(tmp_path, "a", 0)
    folder = opened(tmp_path)
    with pytest.raises(ConfigError, match=r"a\.png: 17x11, but its picture a\.jpg is 18x11$"):
        folder.truth(folder.samples[0], (18, 11))


def test_colour_labels_get_one_line(tmp_path: Path) -> None:
    add(tmp_path, "a", 0)
    colour = np.zeros((*SIZE, 3), np.uint8)
    colour[..., 1] = 1
    write(tmp_path / "labels" / "a.png", colour)
    with pytest.raises(ConfigError, match=r"a\.png: a colour picture, expected one channel with"):
        opened(tmp_path)


def palette_png(path: Path, indices: U8) -> None:
    """Writes a PNG of indices into a palette of arbitrary colours."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = indices.shape
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", np.arange(768, dtype=np.uint8).tobytes())
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_a_palette_picture_holds_its_indices(tmp_path: Path) -> None:
    add(tmp_path, "a", 0)
    indices = np.tile(np.array([0, 1, 2, 255], np.uint8), SIZE[0] * 5)[: SIZE[0] * SIZE[1]]
    palette_png(tmp_path / "labels" / "a.png", indices.reshape(SIZE))
    folder = opened(tmp_path)
    assert np.array_equal(folder.truth(folder.samples[0], (17, 11)), indices.reshape(SIZE))
    whole = (tmp_path / "labels" / "a.png").read_bytes()
    (tmp_path / "labels" / "a.png").write_bytes(whole[:60])
    with pytest.raises(ConfigError, match=r"a\.png: not a readable mask$"):
        opened(tmp_path)


def test_person_masks_are_not_for_a_model_of_many_classes(tmp_path: Path) -> None:
    add(tmp_path, "a", 0, 1, 255, kind="masks")
    with pytest.raises(
        ConfigError,
        match=r"masks: person masks \(0, 1, 255\), but the model has the 3 classes road, car, sky;",
    ):
        opened(tmp_path)
