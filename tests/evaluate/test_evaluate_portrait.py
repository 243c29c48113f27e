"""Scores against counts made by hand, through a network that calls bright pixels a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model

from edgeseg.backends import open_backend
from edgeseg.errors import SinkError
from edgeseg.evaluate import Evaluation, evaluate
from edgeseg.evaluate.contact_sheet import TILE, write_contact_sheet
from edgeseg.evaluate.drawing import HIT, INVENTED, MISSED
from edgeseg.evaluate.labelled_folder import open_folder
from edgeseg.evaluate.portrait import PortraitScoring, colour_errors
from edgeseg.model_file import load_model
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import Size

WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> NetworkSegmenter:
    path = tiny_model(tmp_path_factory.mktemp("net") / "tiny.onnx", size=Size(WIDTH, HEIGHT))
    model = load_model(path)
    return NetworkSegmenter(model.spec, open_backend(model))


def add(folder: Path, name: str, *, bright: int, person: int, ignored: int = 0) -> None:
    """The left ``bright`` columns are what the network finds, ``person`` what is true."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, :bright] = 255
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :person] = 1
    mask[:, WIDTH - ignored :] = 255
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(exist_ok=True)
        assert cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    add(tmp_path, "a_half", bright=16, person=32)
    add(tmp_path, "a_right", bright=32, person=32)
    add(tmp_path, "b_more", bright=48, person=32, ignored=8)
    rows = [
        {"file": "a_half", "source": "a"},
        {"file": "a_right", "source": "a"},
        {"file": "b_more", "source": "b"},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    return tmp_path


@pytest.fixture
def scoring(folder: Path) -> PortraitScoring:
    return PortraitScoring(open_folder(folder))


@pytest.fixture
def scored(segmenter: NetworkSegmenter, scoring: PortraitScoring) -> Evaluation:
    return evaluate(segmenter, scoring)


def figures_of(segmenter: NetworkSegmenter, folder: Path) -> dict[str, Any]:
    return evaluate(segmenter, PortraitScoring(open_folder(folder))).figures


def test_person_scores_are_pooled_by_pixels(scored: Evaluation) -> None:
    figures = scored.figures
    hit, truth, found = 16 + 32 + 32, 32 * 3, 16 + 32 + 48  # in columns
    assert figures["images"] == 3
    assert figures["iou"]["person"] == pytest.approx(hit / (truth + found - hit), abs=1e-4)
    background = 32 + 32 + 8  # right in both; the last 8 columns of b_more are not scored
    union = (48 + 32 + 8) + (32 + 32 + 24) - background
    assert figures["iou"]["background"] == pytest.approx(background / union, abs=1e-4)
    assert figures["miou"] == pytest.approx(np.mean(list(figures["iou"].values())), abs=1e-4)
    scored_columns = 64 + 64 + 56
    assert figures["pixel_accuracy"] == pytest.approx((hit + background) / scored_columns, abs=1e-4)
    assert figures["person"] == {
        "precision": pytest.approx(hit / found, abs=1e-4),
        "recall": pytest.approx(hit / truth, abs=1e-4),
        "f1": pytest.approx(2 * hit / (found + truth), abs=1e-4),
        "dice": pytest.approx(2 * hit / (found + truth), abs=1e-4),
    }


def test_sources_have_scores_of_their_own_and_a_mean(scored: Evaluation) -> None:
    figures = scored.figures
    assert list(figures["sources"]) == ["a", "b"]
    a, b = (figures["sources"][name]["iou"]["person"] for name in "ab")
    assert a == pytest.approx((16 + 32) / 64, abs=1e-4)
    assert b == pytest.approx(32 / 48, abs=1e-4)
    assert figures["iou_macro"] == pytest.approx((a + b) / 2, abs=1e-4)
    assert figures["sources"]["a"]["images"] == 2


def test_boundaries_are_scored(scored: Evaluation) -> None:
    sources = scored.figures["sources"]
    assert 0 < sources["a"]["boundary_f"] < 1  # one boundary right, one 16 columns off
    assert sources["b"]["boundary_f"] == 0


def test_network_times_and_progress_cover_every_picture(
    segmenter: NetworkSegmenter, scoring: PortraitScoring
) -> None:
    seen: list[str] = []
    scored = evaluate(segmenter, scoring, on_image=lambda path: seen.append(path.stem))
    assert seen == ["a_half", "a_right", "b_more"]
    assert len(scored.infer_ms) == 3
    figures = scored.figures["network_ms"]
    assert 0 < figures["min"] <= figures["p50"]


def test_without_sources_there_is_no_macro(segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    add(tmp_path, "x", bright=0, person=0)
    add(tmp_path, "y", bright=16, person=16)
    figures = figures_of(segmenter, tmp_path)
    assert figures["iou_macro"] is None
    assert figures["sources"] == {}
    assert figures["iou"]["person"] == 1
    json.dumps(figures, allow_nan=False)


def test_what_no_picture_defines_is_none(segmenter: NetworkSegmenter, tmp_path: Path) -> None:
    add(tmp_path, "x", bright=0, person=0)
    add(tmp_path, "y", bright=0, person=9)
    figures = figures_of(segmenter, tmp_path)
    assert figures["person"]["precision"] is None
    assert figures["person"]["recall"] == 0
    json.dumps(figures, allow_nan=False)


def test_the_worst_come_first(scored: Evaluation, scoring: PortraitScoring) -> None:
    assert [scoring.pictures[index].stem for _, index in scored.worst] == [
        "a_half",
        "b_more",
        "a_right",
    ]
    assert [iou for iou, _ in scored.worst] == pytest.approx([0.5, 32 / 48, 1], abs=1e-4)


def test_the_contact_sheet_shows_what_went_wrong(
    segmenter: NetworkSegmenter, scoring: PortraitScoring, scored: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "worst.png"
    write_contact_sheet(path, scored.worst, scoring=scoring, segmenter=segmenter)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.shape[1] == 3 * TILE
    middle = TILE // 2
    colours = {
        "hit": sheet[middle, TILE // 8],  # first tile: a_half, columns 0..16 found
        "missed": sheet[middle, TILE * 3 // 8],
        "invented": sheet[middle, TILE + TILE * 5 // 8],  # second tile: b_more
    }
    assert colours["hit"].argmax() == int(np.argmax(HIT))
    assert colours["missed"].argmax() == int(np.argmax(MISSED))
    assert colours["invented"].argmax() == int(np.argmax(INVENTED))
    with pytest.raises(SinkError, match=r"no/worst\.png: cannot write the contact sheet: No such"):
        write_contact_sheet(
            tmp_path / "no" / "worst.png", scored.worst, scoring=scoring, segmenter=segmenter
        )


def test_colours_do_not_write_to_the_picture() -> None:
    image = np.full((5, 7, 3), 100, np.uint8)
    labels = np.zeros((5, 7), np.uint8)
    out = colour_errors(image, labels, labels)
    assert (image == 100).all()
    assert (out == 65).all()
