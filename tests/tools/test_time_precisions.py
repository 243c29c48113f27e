"""The timer of precisions: what is there takes turns, what is not is said, scores come along."""

from __future__ import annotations

import json
import sys
from pathlib import Path

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


def test_what_is_missing_is_said(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--threads", "1", "--rounds", "1"]) == 0
    assert "not timed: tiny: no INT8 file" in capsys.readouterr().err


def test_a_wrong_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["portrai"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown model 'portrai'; did you mean")
