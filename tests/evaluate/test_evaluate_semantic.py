"""Class scores against counts made by hand, through a network that tells red, green and blue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_tasks import COLORS, colors_model

from edgeseg.backends import open_backend
from edgeseg.evaluate import Evaluation, evaluate
from edgeseg.evaluate.contact_sheet import TILE, write_contact_sheet
from edgeseg.evaluate.picture_folder import find_split
from edgeseg.evaluate.scene_folder import open_scenes
from edgeseg.evaluate.semantic import SemanticScoring
from edgeseg.labels import label_set
from edgeseg.model_file import load_model
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import U8, Geometry, Rect, SemanticMap, Size

SIZE = Size(48, 32)
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)
LABELS = label_set(COLORS, ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
SOURCES = {"one": "day", "two": "night"}


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> NetworkSegmenter:
    path = colors_model(tmp_path_factory.mktemp("net") / "colors.onnx", size=SIZE)
    model = load_model(path)
    return NetworkSegmenter(model.spec, open_backend(model))


def add(folder: Path, name: str, shown: list[tuple[int, int, int]], truth: list[int]) -> None:
    """A picture of 8 columns per colour, and the labels of those columns."""
    image, labels = np.empty((32, 48, 3), np.uint8), np.empty((32, 48), np.uint8)
    for index, (color, label) in enumerate(zip(shown, truth, strict=True)):
        image[:, index * 8 : index * 8 + 8] = color
        labels[:, index * 8 : index * 8 + 8] = label
    for kind, pixels in (("images", image), ("labels", labels)):
        (folder / kind).mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)


def scoring_of(folder: Path, **options: Any) -> SemanticScoring:
    return SemanticScoring(open_scenes(find_split(folder, None), COLORS, **options), LABELS)


@pytest.fixture
def scoring(tmp_path: Path) -> SemanticScoring:
    add(tmp_path, "one", [RED, RED, GREEN, GREEN, BLUE, BLUE], [0, 0, 1, 2, 2, 255])
    add(tmp_path, "two", [RED, RED, RED, RED, GREEN, GREEN], [0, 0, 0, 1, 1, 1])
    rows = [{"file": name, "source": source} for name, source in SOURCES.items()]
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    return scoring_of(tmp_path)


@pytest.fixture
def scored(segmenter: NetworkSegmenter, scoring: SemanticScoring) -> Evaluation:
    return evaluate(segmenter, scoring)


def test_figures_by_hand(scored: Evaluation, scoring: SemanticScoring) -> None:
    """Strips of 8 columns, [true, predicted]: 00 five, 11 three, 10 one, 21 one, 22 one."""
    figures = scored.figures
    confusion = scoring.confusion()
    assert (confusion.counts // 256).tolist() == [[5, 0, 0], [1, 3, 0], [0, 1, 1]]
    assert confusion.rows == confusion.columns == COLORS
    assert figures["images"] == 2
    assert figures["iou"] == pytest.approx({"red": 5 / 6, "green": 3 / 5, "blue": 1 / 2}, abs=1e-5)
    assert figures["miou"] == pytest.approx((5 / 6 + 3 / 5 + 1 / 2) / 3, abs=1e-5)
    assert figures["pixel_accuracy"] == pytest.approx(9 / 11, abs=1e-5)
    dice = {"red": 10 / 11, "green": 6 / 8, "blue": 2 / 3}
    assert figures["dice"] == figures["f1"] == pytest.approx(dice, abs=1e-5)
    assert figures["mean_dice"] == pytest.approx(sum(dice.values()) / 3, abs=1e-5)
    assert figures["precision"] == pytest.approx(
        {"red": 5 / 6, "green": 3 / 4, "blue": 1}, abs=1e-5
    )
    assert figures["recall"] == pytest.approx({"red": 1, "green": 3 / 4, "blue": 1 / 2}, abs=1e-5)
    json.dumps(figures, allow_nan=False)


def test_boundary_f_by_hand(scored: Evaluation) -> None:
    """Boundaries are lines of 32 pixels; nothing is nearer than 8 columns but what is right.

    one: red ends rightly; green's left end is right, its right end 8 columns off; blue begins 8
    columns off, and beside void nothing counts. two: red's and green's common border is 8 off.
    """
    figures = scored.figures
    red = 2 * (1 / 2) * (1 / 2) / (1 / 2 + 1 / 2)
    green = 2 * (1 / 3) * (1 / 3) / (1 / 3 + 1 / 3)
    expected = {"red": red, "green": green, "blue": 0.0}
    assert figures["boundary_f_per_class"] == pytest.approx(expected, abs=1e-5)
    assert figures["boundary_f"] == pytest.approx((red + green) / 3, abs=1e-5)


def test_sources_have_figures_of_their_own(scored: Evaluation) -> None:
    sources = scored.figures["sources"]
    assert list(sources) == ["day", "night"]
    assert sources["night"]["iou"]["red"] == pytest.approx(3 / 4)
    assert sources["night"]["iou"]["blue"] is None
    assert sources["night"]["miou"] == pytest.approx((3 / 4 + 2 / 3) / 2, abs=1e-5)


def test_the_worst_come_first(scored: Evaluation, scoring: SemanticScoring) -> None:
    assert [scoring.pictures[i].stem for _, i in scored.worst] == ["one", "two"]
    assert scored.worst[0][0] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_the_published_example(tmp_path: Path) -> None:
    """1 TP, 1 FN, 1 FP, 13 TN: IoU 33.3 %, Dice 50 %, mIoU 60 %, accuracy 87.5 %."""
    truth, predicted = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    truth[0, :2] = 1
    predicted[0, 0] = predicted[3, 3] = 1
    for kind, pixels in (("images", np.zeros((4, 4, 3), np.uint8)), ("labels", truth)):
        (tmp_path / kind).mkdir()
        assert cv2.imwrite(str(tmp_path / kind / "a.png"), pixels)
    names = ("background", "thing")
    labels = label_set(names)
    scoring = SemanticScoring(open_scenes(find_split(tmp_path, None), names), labels)
    four = Size(4, 4)
    scoring.add(0, SemanticMap(predicted, None, Geometry(four, four, Rect(0, 0, 4, 4)), labels))
    figures = scoring.figures()
    assert figures["iou"]["thing"] == pytest.approx(0.333, abs=5e-4)
    assert figures["dice"]["thing"] == pytest.approx(0.5)
    assert figures["miou"] == pytest.approx(0.6)
    assert figures["pixel_accuracy"] == pytest.approx(0.875)


def test_a_class_the_data_does_not_have_is_wrong_where_predicted(
    segmenter: NetworkSegmenter, tmp_path: Path
) -> None:
    add(tmp_path, "a", [RED, RED, RED, BLUE, GREEN, GREEN], [0, 0, 0, 0, 1, 1])
    (tmp_path / "classes.txt").write_text("0 Red\n1 Green")
    scoring = scoring_of(tmp_path)
    figures = evaluate(segmenter, scoring).figures
    assert figures["iou"] == {"red": pytest.approx(3 / 4), "green": 1}
    assert figures["miou"] == pytest.approx(7 / 8)
    assert figures["pixel_accuracy"] == pytest.approx(5 / 6, abs=1e-5)
    confusion = scoring.confusion()
    assert confusion.columns == ("red", "green", "(other)")
    assert (confusion.counts // 256).tolist() == [[3, 0, 1], [0, 2, 0]]


def test_classes_tied_by_hand_count_as_one(segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    add(tmp_path, "a", [RED, GREEN, GREEN, BLUE, RED, BLUE], [4, 4, 4, 7, 7, 9])
    (tmp_path / "classes.txt").write_text("4 Warm\n7 Blue\n9 Odd")
    pairs = [("Warm", "red"), ("warm", "green")]
    figures = evaluate(segmenter, scoring_of(tmp_path, pairs=pairs, void=["Odd"])).figures
    assert figures["iou"] == {"Warm": pytest.approx(3 / 4), "blue": pytest.approx(1 / 2)}


def test_scores_are_at_the_labels_resolution(tmp_path: Path) -> None:
    """A network at a quarter of the size is enlarged before it is decided: edges stay straight."""
    add(tmp_path, "a", [RED, RED, RED, RED, GREEN, GREEN], [0, 0, 0, 0, 1, 1])
    model = load_model(colors_model(tmp_path / "coarse.onnx", size=SIZE, stride=4))
    figures = evaluate(
        NetworkSegmenter(model.spec, open_backend(model)), scoring_of(tmp_path)
    ).figures
    assert figures["iou"] == {"red": 1, "green": 1, "blue": None}


def test_the_contact_sheet_shows_truth_and_prediction(
    segmenter: NetworkSegmenter, scoring: SemanticScoring, scored: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "worst.png"
    write_contact_sheet(path, scored.worst, scoring=scoring, segmenter=segmenter)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.shape[1] == 2 * 2 * TILE
    half = 32 * TILE // 48  # height of a panel

    def strip(panel: int, index: int, row: int) -> list[int]:
        x = panel * TILE + round((index + 0.5) * TILE / 6)
        color: U8 = sheet[row * half + half // 2, x]
        return [int(level) for level in color]

    assert [strip(0, i, 1) for i in range(6)] == [
        [*RED], [*RED], [*GREEN], [*BLUE], [*BLUE], [0, 0, 0]
    ]  # fmt: skip
    assert strip(1, 3, 1) == [*GREEN]  # what was predicted there
    assert np.argmax(strip(1, 3, 0)) == 2  # a wrong strip is red
    assert strip(1, 5, 0) == [0, 0, 0]  # what is not scored is black
    assert strip(1, 1, 0) == [0, 0, 127]  # what is right is the picture, darker
