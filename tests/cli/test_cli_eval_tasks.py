"""``edgeseg eval`` on class labels and objects: reports, options, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model
from tiny_tasks import boxes_model, colors_model

from edgeseg.cli import main
from edgeseg.types import U8, Size

SIZE = Size(60, 40)


def evaluate(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["eval", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, pixels: U8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Left half red and labelled so; of the green right half a fifth is void, a fifth wrong."""
    image, labels = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    image[:, :30, 2], image[:, 30:, 1] = 255, 255
    labels[:, 30:], labels[:, 48:54], labels[:, 54:] = 1, 2, 3
    write(tmp_path / "scenes" / "val" / "images" / "one.png", image)
    write(tmp_path / "scenes" / "val" / "labels" / "one.png", labels)
    (tmp_path / "scenes" / "classes.txt").write_text("0 Red\n1 Green\n2 Blue\n3 Void")
    return tmp_path / "scenes"


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    image = np.zeros((40, 60, 3), np.uint8)
    image[5:25, 5:25] = 255
    polygon = [[5, 5, 25, 5, 25, 25, 5, 25]]
    write(tmp_path / "objects" / "val" / "images" / "one.png", image)
    rows = {
        "images": [
            {"id": 1, "file_name": "one.png", "width": 60, "height": 40, "source": "street"}
        ],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": polygon}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "objects" / "val" / "instances.json").write_text(json.dumps(rows))
    return tmp_path / "objects"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, :30] = 1
    write(tmp_path / "people" / "images" / "one.png", np.dstack([mask * 255] * 3))
    write(tmp_path / "people" / "masks" / "one.png", mask)
    return tmp_path / "people"


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    found = [(0, 0.9, (5 / 60, 5 / 40, 25 / 60, 25 / 40)), (0, 0.1, (0.5, 0.0, 1.0, 1.0))]
    return {
        "portrait": str(tiny_model(tmp_path / "portrait.onnx")),
        "semantic": str(colors_model(tmp_path / "colors.onnx", size=SIZE)),
        "instance": str(
            boxes_model(tmp_path / "boxes.onnx", size=SIZE, classes=("person",), found=found)
        ),
    }


def report_of(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    for key in ("schema", "edgeseg", "device", "model", "backend", "precision", "config", "task"):
        assert loaded[key]
    return loaded


def test_classes_are_scored(
    scenes: Path, models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet, matrix = tmp_path / "r.json", tmp_path / "worst.png", tmp_path / "matrix.png"
    code = evaluate(
        "-m", models["semantic"], "--data", str(scenes), "--split", "val", "--json", str(out),
        "--worst", str(sheet), "--confusion", str(matrix),
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert printed.out == ""
    for text in ("colors on", "mIoU", "green", "not scored: id 3 (void) and 255", f"wrote {sheet}"):
        assert text in printed.err
    assert f"wrote {matrix}" in printed.err
    report = report_of(out)
    assert report["iou"] == {"red": 1, "green": 0.75, "blue": 0}
    assert report["miou"] == pytest.approx(1.75 / 3, abs=1e-5)
    assert report["pixel_accuracy"] == pytest.approx(48 / 54, abs=1e-5)
    assert (report["task"], report["size"], report["images"]) == ("semantic", [60, 40], 1)
    for key in ("dice", "precision", "recall", "f1", "boundary_f_per_class"):
        assert set(report[key]) == {"red", "green", "blue"}
    assert report["network_ms"]["p50"] > 0
    assert cv2.imread(str(sheet)) is not None
    assert cv2.imread(str(matrix)) is not None


def test_classes_are_left_out_and_tied_by_hand(
    scenes: Path, models: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    (scenes / "classes.txt").write_text("0 Red\n1 Grass\n2 Blue\n3 Sky")
    given = ("-m", models["semantic"], "--data", str(scenes), "--split", "val", "--json", str(out))
    assert evaluate(*given, "--map", "Grass=green", "--void", "3", "--void", "blue") == 0
    assert report_of(out)["iou"] == {"red": 1, "green": 1}


def test_objects_are_scored(
    objects: Path, models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "r.json", tmp_path / "worst.png"
    given = (
        "-m", models["instance"], "--data", str(objects), "--split", "val", "--json", str(out),
        "--source", "street",
    )  # fmt: skip
    assert evaluate(*given, "--worst", str(sheet)) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    for text in ("boxes on", "mask AP  ", "  person   ", f"wrote {sheet}"):
        assert text in printed.err
    report = report_of(out)
    assert report["ap"] == report["ap50"] == report["ap75"] == {"mask": 1, "box": 1}
    assert report["sources"]["street"]["classes"]["person"]["ap50"] == {"mask": 1, "box": 1}
    assert (report["objects"], report["objects_found"], report["score_from"]) == (1, 2, 0.05)
    assert cv2.imread(str(sheet)) is not None
    assert evaluate(*given, "--score", "0.2") == 0
    report = report_of(out)
    assert (report["objects_found"], report["score_from"]) == (1, 0.2)


def test_a_portrait_has_a_confusion_matrix_too(
    people: Path, models: dict[str, str], tmp_path: Path
) -> None:
    matrix = tmp_path / "m.png"
    given = ("-m", models["portrait"], "--data", str(people), "--confusion", str(matrix))
    assert evaluate(*given) == 0
    assert cv2.imread(str(matrix)) is not None
    assert evaluate(*given) == 2  # exists


@pytest.mark.parametrize(
    ("task", "data", "options", "message"),
    [
        (
            "portrait",
            "scenes/val",
            (),
            "val: holds class ids, but tiny finds a person and is scored",
        ),
        (
            "portrait",
            "objects/val",
            (),
            "val: holds objects (instances.json), but tiny finds a per",
        ),
        ("semantic", "objects/val", (), "holds objects (instances.json), but colors gives each pi"),
        ("semantic", "people", (), "people/masks: person masks (0, 1, 255), but the model has the"),
        ("instance", "people", (), "people: holds masks, but boxes finds objects and is scored on"),
        ("instance", "scenes/val", (), "val: holds class ids, but boxes finds objects and is sc"),
        ("instance", "scenes/val/images", (), "images: no instances.json in it; boxes finds obj"),
        ("instance", "objects", (), "objects: has the splits val; choose one with --split"),
        ("semantic", "scenes/val", ("--void", "nobody"), "--void nobody: expected an id from 0"),
        ("semantic", "scenes/val", ("--map", "Red"), "--map 'Red': expected DATA=MODEL, such as"),
        ("semantic", "scenes/val", ("--source", "x"), "no source 'x'; its pictures name no sourc"),
        ("instance", "objects/val", ("--void", "1"), "--void and --map are for models that give"),
        ("portrait", "people", ("--map", "a=b"), "--void and --map are for models that give each"),
        ("instance", "objects/val", ("--source", "x"), "no source 'x'; it has street"),
        ("instance", "objects/val", ("--confusion", "c.png"), "--confusion: boxes finds objects,"),
        ("semantic", "scenes/val", ("--score", "0.5"), "--score: colors classifies pixels, it doe"),
        ("semantic", "scenes/val", ("--threshold", "0.5"), "--threshold: colors takes the likeli"),
        ("instance", "objects/val", ("--score", "2"), "--score 2.0: expected a value between 0 a"),
        ("semantic", "scenes/val", ("--confusion", "no/c.png"), "no folder no; create it first"),
        ("semantic", "scenes/val", ("--confusion", "c.jpg"), "--confusion c.jpg: expected a .png"),
    ],
)
@pytest.mark.usefixtures("scenes", "objects", "people")
def test_what_does_not_fit_is_one_line_and_exit_2(
    models: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    task: str,
    data: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    assert evaluate("-m", models[task], "--data", str(tmp_path / data), *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
