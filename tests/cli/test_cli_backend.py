"""``--backend`` and ``--precision``: obeyed or refused, and said in lines and reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model

from edgeseg.cli import main
from edgeseg.device import package_version
from edgeseg.model_file import load_model
from edgeseg.spec import Build, Thresholds

SCENE = "synthetic://shapes?size=64x48&fps=30&frames=4&seed=1"
NO_OPENVINO = package_version("openvino") is None


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An FP32 file, and beside it an "INT8" one that was let through."""
    path = tiny_model(tmp_path / "net.onnx")
    build = Build(
        variant="int8", source_sha256=load_model(path).sha256, gate={"passed": True, "data": "x"}
    )
    tiny_model(tmp_path / "net.int8.onnx", precision="int8", build=build)
    return path


def run(model: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    report = model.parent / "r.json"
    code = command("run", SCENE, "-m", str(model), "--no-window", "--report", str(report),
                   "--set", "model.threads=1", "--set", "model.workers=1", *arguments)  # fmt: skip
    return code, json.loads(report.read_text()) if code == 0 else {}


@pytest.mark.parametrize(
    "backend",
    [
        "onnxruntime",
        pytest.param("openvino", marks=pytest.mark.skipif(NO_OPENVINO, reason="no openvino")),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_runs_is_what_was_asked_for(
    model: Path, capsys: pytest.CaptureFixture[str], backend: str, precision: str
) -> None:
    code, report = run(model, "--backend", backend, "--precision", precision)
    assert code == 0
    assert f"tiny (32x24, {precision}) on {backend} cpu, 1 x 1 thread" in capsys.readouterr().err
    assert (report["backend"], report["precision"]) == (backend, precision)
    name = "net.onnx" if precision == "fp32" else "net.int8.onnx"
    assert report["model"] == {
        "name": "tiny",
        "file": name,
        "precision": precision,
        "sha256": load_model(model.parent / name).sha256,
        "source_sha256": load_model(model).sha256,
    }
    assert report["config"]["model"]["backend"] == backend


def test_what_auto_did_not_take_is_in_the_report(model: Path) -> None:
    code, report = run(model)
    assert code == 0
    assert report["backend"] in ("onnxruntime", "openvino")
    left_out = {"onnxruntime": 1, "openvino": 0 if NO_OPENVINO else 1}
    assert len(report["not_taken"]) <= sum(left_out.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--precision", "fp16"], "no FP16 file of tiny (net.fp16.onnx): edgeseg build --model"),
        (["--precision", "int4"], "model.precision: should be 'auto', 'fp32', 'fp16' or 'int8'"),
        (["--backend", "openvin"], "model.backend: should be 'auto', 'onnxruntime', 'openvino'"),
        (
            ["--backend", "onnxruntime-cuda", "--precision", "int8"],
            "int8 on onnxruntime-cuda runs in float: use --backend tensorrt",
        ),
        (
            ["--backend", "onnxruntime", "--set", "model.dla=0"],
            "model.dla: onnxruntime runs on the CPU; use --backend tensorrt",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    model: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert command("run", SCENE, "-m", str(model), "--no-window", *options) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line]
    assert (out, len(lines)) == ("", 1), err
    assert said in lines[0]


class TestEval:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind).mkdir(parents=True)
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :32] = 255
        assert cv2.imwrite(str(tmp_path / "data" / "images" / "one.png"), image)
        assert cv2.imwrite(str(tmp_path / "data" / "masks" / "one.png"), image[..., 0])
        return tmp_path / "data"

    def report(self, model: Path, data: Path, *options: str) -> dict[str, Any]:
        out = data / "r.json"
        assert command("eval", "-m", str(model), "--data", str(data), "--json", str(out),
                       "--overwrite", *options) == 0  # fmt: skip
        made: dict[str, Any] = json.loads(out.read_text())
        return made

    def test_without_options_the_models_own_file_is_scored(self, model: Path, data: Path) -> None:
        made = self.report(model, data)
        assert (made["backend"], made["precision"]) == ("onnxruntime", "fp32")
        assert made["model"]["file"] == "net.onnx"
        made = self.report(model.with_name("net.int8.onnx"), data)
        assert (made["precision"], made["model"]["file"]) == ("int8", "net.int8.onnx")

    def test_another_precision_is_scored_where_asked_for(self, model: Path, data: Path) -> None:
        made = self.report(model, data, "--precision", "int8")
        assert (made["precision"], made["model"]["file"]) == ("int8", "net.int8.onnx")
        assert made["model"]["source_sha256"] == load_model(model).sha256

    @pytest.mark.skipif(NO_OPENVINO, reason="no openvino")
    def test_another_backend_scores_the_same(self, model: Path, data: Path) -> None:
        one, other = self.report(model, data), self.report(model, data, "--backend", "openvino")
        assert other["backend"] == "openvino"
        assert other["miou"] == pytest.approx(one["miou"], abs=1e-6)

    def test_a_wrong_word_is_one_line(
        self, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command("eval", "-m", str(model), "--data", str(data), "--backend", "gpu") == 2
        assert "model.backend: should be 'auto', 'onnxruntime'" in capsys.readouterr().err


def test_thresholds_of_an_edited_card_rule_the_int8_file(model: Path) -> None:
    """What is covered must not depend on the file that happens to run."""
    from edgeseg.assemble import open_model
    from edgeseg.config import ModelConfig

    spec = load_model(model).spec
    edited = spec.model_copy(update={"thresholds": Thresholds(decision=0.9, presence_area=0.2)})
    model.with_suffix(".yaml").write_text(edited.to_card())
    config = ModelConfig(
        name=str(model), backend="onnxruntime", precision="int8", threads=1, workers=1
    )
    loaded = open_model(config, live=False)
    assert loaded.precision == "int8"
    assert loaded.file.path.name == "net.int8.onnx"
    assert loaded.file.spec.thresholds == edited.thresholds
    loaded.segmenter.close()
