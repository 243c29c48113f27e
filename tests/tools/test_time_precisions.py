"""The timer of precisions: what is there takes turns, what is not is said, scores come along."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model

from edgeseg.device import package_version
from edgeseg.model_file import load_model
from edgeseg.spec import Build

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from time_precisions import main  # noqa: E402

WITH_OPENVINO = package_version("openvino") is not None


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "net.onnx")


def test_each_precision_is_timed_on_each_backend(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = {"passed": True, "drop": 0.25, "scores": {"int8": {"mIoU": 0.9}}, "device": {}}
    build = Build(variant="int8", source_sha256=load_model(model).sha256, gate=gate)
    tiny_model(model.with_name("net.int8.onnx"), precision="int8", build=build)
    out = model.with_name("t.json")
    words = [str(model), "--threads", "1", "2", "--rounds", "3", "--json", str(out)]
    assert main(words) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    figures = report["models"]["tiny"]
    backends = ["onnxruntime", "openvino"] if WITH_OPENVINO else ["onnxruntime"]
    expected = [f"{backend} {precision}" for precision in ("fp32", "int8") for backend in backends]
    for threads in ("1", "2"):
        rows = figures["threads"][threads]
        assert list(rows) == expected
        assert rows["onnxruntime fp32"]["median_of_ratios"] == 1.0
        assert all(0 < row["min_ms"] <= row["median_ms"] for row in rows.values())
    assert figures["gate"] == {"passed": True, "drop": 0.25, "scores": {"int8": {"mIoU": 0.9}}}
    assert "openvino" in report["device"]["versions"]
    assert len(capsys.readouterr().out.splitlines()) == 2 * len(expected)


def test_every_precision_is_scored_on_the_gates_data(model: Path) -> None:
    stem = model.parent / "drawn" / "val"
    half = np.zeros((32, 48), np.uint8)
    half[:, 24:] = 255  # brightness is a person, to this network
    for folder, picture in (("images", cv2.merge(mv=[half] * 3)), ("masks", half)):
        (stem / folder).mkdir(parents=True)
        cv2.imwrite(filename=str(stem / folder / "0.png"), img=picture)
    gate = {"data": {"kind": "accuracy", "data": "drawn", "split": "val"}}
    build = Build(variant="int8", source_sha256=load_model(model).sha256, gate=gate)
    tiny_model(model.with_name("net.int8.onnx"), precision="int8", build=build)
    out = model.with_name("t.json")
    words = [str(model), "--threads", "1", "--rounds", "1", "--json", str(out)]
    assert main([*words, "--data", str(model.parent)]) == 0
    scores = json.loads(out.read_text(encoding="utf-8"))["models"]["tiny"]["scores"]
    assert {"onnxruntime fp32", "onnxruntime int8"} <= set(scores)
    assert all(score["person IoU"] > 0.9 for score in scores.values())


def test_what_is_missing_is_said(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--threads", "1", "--rounds", "1"]) == 0
    assert "not timed: tiny: no INT8 file" in capsys.readouterr().err


def test_a_wrong_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["portrai"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown model 'portrai'; did you mean")
