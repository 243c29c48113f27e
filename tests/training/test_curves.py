"""The log becomes a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edgeseg.training.curves import draw_curves, read_log

LOG = "epoch,loss,macro_iou,vik\n1,0.9,0.8,0.7\n2,0.5,0.9,0.85\n"


def test_curves_are_drawn_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(LOG, encoding="utf-8")
    assert read_log(log)["vik"] == [0.7, 0.85]
    pytest.importorskip("matplotlib", reason="curves need the [train] extra (matplotlib)")
    draw_curves(log, tmp_path / "curves.png")
    assert cv2.imread(filename=str(tmp_path / "curves.png")) is not None
