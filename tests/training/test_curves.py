"""The log becomes a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.training.curves import draw_curves, read_log

PORTRAIT = "epoch,loss,macro_iou,vik\n1,0.9,0.8,0.7\n2,0.5,0.9,0.85\n"
SCENE = (
    "epoch,loss,miou," + ",".join(f"class_{i}" for i in range(11)) + "\n"
    "2,2.0,0.4" + ",0.3" * 10 + ",nan\n4,1.5,0.5" + ",0.4" * 11 + "\n"
)


def test_columns_are_read_as_numbers(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(PORTRAIT, encoding="utf-8")
    assert read_log(log) == {
        "epoch": [1, 2], "loss": [0.9, 0.5], "macro_iou": [0.8, 0.9], "vik": [0.7, 0.85],
    }  # fmt: skip


@pytest.mark.parametrize("text", [PORTRAIT, SCENE, "epoch,loss,miou\n"])
def test_curves_are_drawn_from_any_tasks_log(tmp_path: Path, text: str) -> None:
    pytest.importorskip("matplotlib", reason="curves need the [train] extra (matplotlib)")
    log = tmp_path / "log.csv"
    log.write_text(text, encoding="utf-8")
    draw_curves(log, tmp_path / "curves.png")
    assert cv2.imread(filename=str(tmp_path / "curves.png")) is not None


def test_names_of_classes_stand_in_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="curves need the [train] extra (matplotlib)")
    log = tmp_path / "log.csv"
    log.write_text(SCENE, encoding="utf-8")
    draw_curves(log, tmp_path / "numbers.png")
    draw_curves(log, tmp_path / "names.png", {"class_0": "sky"})
    numbers, names = (
        cv2.imread(filename=str(tmp_path / f"{name}.png")) for name in ("numbers", "names")
    )
    assert numbers is not None
    assert names is not None
    assert numbers.shape != names.shape or not np.array_equal(numbers, names)
