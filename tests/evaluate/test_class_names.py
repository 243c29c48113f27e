"""Which class of the labels is which of the model, and which pixels are not scored."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.errors import ConfigError
from edgeseg.evaluate.class_names import (
    UNKNOWN,
    ClassMatch,
    match_classes,
    parse_pairs,
    read_classes,
)
from edgeseg.labels import CAMVID

MODEL = ("road", "car", "truck", "sign")


def match(folder: Path, text: str | None, *, void: str = "", pairs: str = "") -> ClassMatch:
    if text is not None:
        (folder / "classes.txt").write_text(text, encoding="utf-8")
    classes = read_classes(folder, MODEL, void.split())
    return match_classes(classes, MODEL, parse_pairs(pairs.split()))


def test_without_a_file_ids_are_the_model_s_and_255_is_void(tmp_path: Path) -> None:
    found = match(tmp_path, None)
    assert found.names == MODEL
    assert found.truth[:4].tolist() == found.predicted[:4].tolist() == [0, 1, 2, 3]
    assert found.truth[4] == UNKNOWN
    assert found.truth[255] == 255


def test_names_match_whatever_their_capitals_and_spaces(tmp_path: Path) -> None:
    text = "# id name R G B\n0 Car 64 0 128\n\n7 Sign_Symbol 1 2 3\n2 ROAD 0 0 0\n3 Truck\n11 Void"
    found = match(tmp_path, text)
    assert found.names == ("car", "road", "truck", "sign")
    assert found.truth[[0, 2, 3, 7, 11, 255]].tolist() == [0, 1, 2, 3, 255, 255]
    assert found.predicted[:4].tolist() == [1, 0, 2, 3]
    assert found.truth[1] == UNKNOWN


def test_camvid_s_own_list_fits_our_models(tmp_path: Path) -> None:
    names = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist Void"
    lines = [f"{i} {name} 1 2 3" for i, name in enumerate(names.split())]
    (tmp_path / "classes.txt").write_text("\n".join(lines))
    (tmp_path / "val").mkdir()
    classes = read_classes(tmp_path / "val", CAMVID.names, ())  # the file lies one folder above
    found = match_classes(classes, CAMVID.names)
    assert found.names == CAMVID.names
    assert found.truth[:12].tolist() == [*range(11), 255]


def test_names_of_several_words_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("road\ntraffic sign 220 220 0\ncar\n")
    classes = read_classes(tmp_path, MODEL, ())
    assert dict(classes.names) == {0: "road", 1: "traffic sign", 2: "car"}
    found = match_classes(classes, MODEL, [("Traffic Sign", "sign")])
    assert found.names == ("road", "sign", "car")
    assert found.truth[:3].tolist() == [0, 1, 2]
    assert found.predicted[:4].tolist() == [0, 2, 3, 1]  # trucks are never right


def test_void_is_named_or_numbered(tmp_path: Path) -> None:
    found = match(tmp_path, "0 road\n1 car\n2 dirt\n3 egovehicle", void="dirt 3 9")
    assert found.names == ("road", "car")
    assert found.truth[[2, 3, 9, 255]].tolist() == [255] * 4
    (tmp_path / "classes.txt").unlink()
    assert match(tmp_path, None, void="9").truth[9] == 255
    assert match(tmp_path, None, void="Car").names == ("road", "truck", "sign")


@pytest.mark.parametrize(
    ("text", "pairs", "names", "truth", "predicted"),
    [
        (
            "0 road\n1 vehicle",
            "vehicle=car,vehicle=truck",
            ("road", "vehicle"),
            [0, 1],
            [0, 1, 1, 2],
        ),
        (
            "0 post\n1 board\n2 car",
            "post=sign board=sign",
            ("sign", "car"),
            [0, 0, 1],
            [2, 1, 2, 0],
        ),
        ("0 car\n1 truck", "car=truck", ("truck",), [0, 0], [1, 1, 0, 1]),
        ("0 a\n1 b\n2 c", "a=car,b=road,c=car,b=truck,c=truck", ("a",), [0, 0, 0], [0, 0, 0, 1]),
    ],
    ids=["split", "merged", "taken-from", "chained"],
)
def test_ties(
    tmp_path: Path,
    text: str,
    pairs: str,
    names: tuple[str, ...],
    truth: list[int],
    predicted: list[int],
) -> None:
    found = match(tmp_path, text, pairs=pairs)
    assert found.names == names
    assert found.truth[: len(truth)].tolist() == truth
    assert found.predicted[:4].tolist() == predicted


@pytest.mark.parametrize(
    ("text", "void", "pairs", "message"),
    [
        (
            "0 Road\n1 Sky\n2 Tree",
            "",
            "",
            r"classes\.txt: Sky, Tree are not among the model's classes "
            r"\(road, car, truck, sign\); name the model's class with --map Sky=\.\.\., "
            r"or leave it out with --void Sky$",
        ),
        ("0 Sky\n1 car", "", "", r"classes\.txt: Sky is not among"),
        ("0 road", "", "Sky=car", r"--map Sky=car: .*classes\.txt has no class 'Sky'; it has road"),
        (
            "0 road",
            "",
            "road=caar",
            r"--map road=caar: the model has no class 'caar'; did you mean",
        ),
        ("0 road", "", "road", r"--map 'road': expected DATA=MODEL, such as Car=vehicle$"),
        ("0 road", "", "road=,a=b", r"--map 'road=': expected DATA=MODEL"),
        ("0 road", "raod", "", r"--void raod: expected an id from 0 to 255 or a class of .*'road'"),
        ("0 road", "300", "", r"--void 300: expected an id from 0 to 255"),
        ("0 road", "road", "", r"classes\.txt: every class is void; nothing is left to score$"),
        ("# nothing\n", "", "", r"classes\.txt: no classes; expected lines such as '3 Road 128"),
        ("0 road\n0 car", "", "", r"classes\.txt: '0 car' repeats an id or a name"),
        ("0 road\n1 road", "", "", r"classes\.txt: '1 road' repeats an id or a name"),
        ("254 road\n1 car", "", "", r"classes\.txt: '254 road' .* or its id is above 253"),
    ],
)
def test_what_does_not_fit_gets_one_line(
    tmp_path: Path, text: str, void: str, pairs: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        match(tmp_path, text, void=void, pairs=pairs)


def test_a_file_that_is_no_text_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00road")
    with pytest.raises(ConfigError, match=r"classes\.txt: not a readable text file: "):
        read_classes(tmp_path, MODEL, ())
