from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tiny_onnx import spec_for

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from add_build import with_build

REPORT: dict[str, Any] = {
    "calibration": {"data": "set/train", "method": "percentile", "images": 200, "seed": 0},
    "gate": {
        "drop": 0.134,
        "data": {"kind": "accuracy", "data": "set", "split": "val", "pictures": 9},
        "scores": {
            "fp32": {"mIoU": 0.7, "drop": 0.0, "flicker": 0.1, "ms": 4.0, "bytes": 99},
            "int8": {"mIoU": 0.69866, "drop": 0.134, "flicker": 0.12, "ms": 2.0, "bytes": 50},
        },
        "speed": {"ratio": 2.0, "threads": 1, "backend": "onnxruntime 1.31.1"},
        "kept": [{"layer": "last", "kind": "Conv", "snr_db": 7.0}],
        "clip": {"file": "clip.mp4", "frames": 64},
        "device": {"cpu": "some", "gpu": None},
        "date": "2026-11-20",
    },
}


def test_a_card_gets_the_figures_and_the_command_once() -> None:
    card = spec_for(metrics={"miou": 0.7}, commands=("train", "edgeseg build old"))
    made = with_build(card, REPORT, "edgeseg build new", shipped=True)
    assert made.commands == ("train", "edgeseg build new")
    assert made.metrics["miou"] == 0.7
    int8 = made.metrics["int8"]
    assert (int8["miou"], int8["points_lost"], int8["scored_on"]) == (0.6987, 0.13, "set/val")
    assert int8["fp32_same_run"] == {"miou": 0.7}
    assert int8["calibrated_on"] == "200 pictures of set/train, percentile"
    assert int8["layers_in_float"] == ["last"]
    assert int8["flicker"] == {"clip": "clip.mp4, 64 frames", "fp32": 0.1, "int8": 0.12}
    assert int8["speed"]["device"] == "some, 1 thread, onnxruntime 1.31.1"
    assert "shipped" not in int8
    other = with_build(card, REPORT, "edgeseg build new", shipped=False)
    assert other.metrics["int8"]["shipped"] is False
