"""The confusion matrix as a picture, legends and text."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import SinkError
from edgeseg.evaluate.confusion_picture import CELL, ROW, draw_confusion, write_confusion
from edgeseg.evaluate.drawing import PAPER, draw_legend, outline, text_width
from edgeseg.evaluate.scoring import Confusion
from edgeseg.types import U8

NAMES = ("a", "a class with a long name", "c")
COUNTS = np.array([[90, 10, 0], [0, 0, 0], [30, 0, 70]], np.int64)


def cells(sheet: U8, confusion: Confusion) -> list[list[list[int]]]:
    """The colour of each cell, near its upper left corner."""
    names = max(text_width(name, 0.42) for name in (*confusion.rows, *confusion.columns))
    left, top = names + 40, names * 3 // 4 + 70
    return [
        [sheet[top + r * ROW + 3, left + c * CELL + 3].tolist() for c in range(len(row))]
        for r, row in enumerate(confusion.counts)
    ]


def test_rows_are_shares_of_their_class() -> None:
    confusion = Confusion(NAMES, NAMES, COUNTS)
    found = cells(draw_confusion(confusion, title="tiny on data"), confusion)
    assert found[0][0][1] == max(found[0][0])  # right is green
    assert found[2][0][2] == max(found[2][0])  # wrong is red
    assert found[0][1][0] > found[2][0][0]  # and the deeper the more
    assert found[0][2] == found[2][1] == [255, 255, 255]
    assert found[1] == [[245, 245, 245]] * 3  # a class that never occurs


def test_a_further_column_and_a_long_title_fit() -> None:
    counts = np.hstack([COUNTS, COUNTS[:, :1]])
    confusion = Confusion(NAMES, (*NAMES, "(other)"), counts)
    sheet = draw_confusion(confusion, title="x" * 200)
    assert sheet.shape[1] > text_width("x" * 200, 0.5)
    assert (sheet[:, -12:] == 255).all()  # nothing runs out of the picture


def test_it_is_written_or_the_error_names_the_file(tmp_path: Path) -> None:
    confusion = Confusion(NAMES, NAMES, COUNTS)
    write_confusion(tmp_path / "c.png", confusion, title="t")
    assert cv2.imread(str(tmp_path / "c.png")) is not None
    with pytest.raises(SinkError, match=r"no/c\.png: cannot write the confusion matrix: No such"):
        write_confusion(tmp_path / "no" / "c.png", confusion, title="t")


@pytest.mark.parametrize("width", [40, 200, 900])
def test_a_legend_shows_every_colour_within_its_width(width: int) -> None:
    colors = {"road": (1, 2, 3), "pavement": (200, 100, 0), "a very long name": (9, 8, 7)}
    strip = draw_legend(colors, width)
    assert strip.shape[1] == width
    shown = {tuple(color) for color in strip.reshape(-1, 3).tolist()}
    assert set(colors.values()) | {PAPER} <= shown


def test_an_outline_stays_in_the_picture_and_skips_an_empty_mask() -> None:
    picture = np.zeros((30, 50, 3), np.uint8)
    mask = np.zeros((30, 50), np.uint8)
    outline(picture, mask, (0, 200, 0), "nothing")
    assert not picture.any()
    mask[20:, 40:] = 1
    outline(picture, mask, (0, 200, 0), "person 0.93")
    assert picture[25, 45].tolist() == [0, 60, 0]
    assert picture[20, 40:].any()
    assert not picture[:15].any()
