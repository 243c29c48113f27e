"""Whole builds of a shipped network, on drawn people whose masks are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from outlier_network import bright_people, outlier_model

from edgeseg.assemble import make_sink, open_source
from edgeseg.builder import BuildOptions, int8
from edgeseg.cli import main
from edgeseg.config import RunConfig, SourceConfig
from edgeseg.evaluate import DataChoice
from edgeseg.model_file import ModelFile, builds_of, load_model, load_variant
from edgeseg.ops.planes import to_bgr
from edgeseg.types import OutputInfo, Rendered

pytest.importorskip("onnx", reason="converting models needs the onnx package")

FRAMES = 12
MODEL = "portrait-sinet"


def draw(folder: Path, *, seed: int) -> Path:
    """Pictures of drawn people with their exact masks."""
    source = open_source(
        SourceConfig(uri=f"synthetic://portrait?size=256x192&frames={FRAMES}&seed={seed}&speed=4")
    )
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    while (frame := source.read()) is not None:
        assert frame.truth is not None
        for kind, pixels in (("images", to_bgr(frame.planes)), ("masks", frame.truth)):
            assert cv2.imwrite(str(folder / kind / f"{frame.index:02d}.png"), pixels)
    source.close()
    return folder


def film(path: Path, *, frames: int) -> Path:
    """A video of the drawn person."""
    source = open_source(SourceConfig(uri=f"synthetic://portrait?size=256x192&frames={frames}"))
    sink = make_sink(str(path), RunConfig())
    sink.open(OutputInfo(source.info, source.info.size))
    while (frame := source.read()) is not None:
        sink.write(Rendered(frame.planes, frame, None))
    sink.close()
    source.close()
    return path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders to calibrate on and to judge by."""
    root = tmp_path_factory.mktemp("drawn")
    return draw(root / "train", seed=1), draw(root / "val", seed=2)


@pytest.fixture
def bright(tmp_path: Path) -> tuple[str, Path, Path]:
    """A network that INT8 breaks, and folders to calibrate on and to judge by."""
    model = outlier_model(tmp_path / "outlier.onnx")
    train, val = (bright_people(tmp_path / n, seed=len(n)) for n in ("train", "val"))
    return str(model), train, val


@pytest.fixture
def build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, dict[str, Any]]]:
    """Runs the command; returns its exit code, what it said, and its report."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("edgeseg.builder.speed.BUDGET_S", 0.3)

    def run(*arguments: object) -> tuple[int, str, dict[str, Any]]:
        out = tmp_path / "r.json"
        out.unlink(missing_ok=True)
        words = [str(word) for word in arguments]
        with pytest.raises(SystemExit) as left:
            main(["build", "--backend", "onnxruntime", "--json", str(out), "-m", MODEL, *words])
        printed = capsys.readouterr()
        assert printed.out == ""
        assert isinstance(left.value.code, int)
        report = json.loads(out.read_text()) if out.is_file() else {}
        return left.value.code, printed.err, report

    return run


@pytest.fixture
def model() -> ModelFile:
    return load_model(MODEL)


def test_int8_that_loses_little_is_kept_with_what_it_cost(
    build: Any, drawn: tuple[Path, Path], model: ModelFile
) -> None:
    train, val = drawn
    code, said, report = build("-p", "int8", "--calibration", train, "--data", val)
    assert code == 0, said
    found = load_variant(model, "int8")
    assert found is not None
    assert found.path.parent == builds_of(model)
    recipe = found.spec.build
    assert recipe is not None
    gate = recipe.gate
    assert gate == report["gate"]
    assert gate["passed"] is True
    assert gate["drop"] <= gate["max_drop"] == 1.0
    assert list(gate["scores"]) == ["fp32", "fp16", "int8"]
    fp32, half, small = (gate["scores"][name] for name in ("fp32", "fp16", "int8"))
    assert 0.5 < fp32["person IoU"] <= 1
    assert fp32["drop"] == 0
    assert abs(half["drop"]) < 0.2
    assert small["drop"] == gate["drop"]
    assert small["bytes"] < fp32["bytes"]
    assert all(row["ms"] > 0 for row in gate["scores"].values())
    assert gate["faster"] is (gate["speed"]["ratio"] >= 1.05)
    assert gate["data"] == {"kind": "accuracy", "data": "val", "split": None, "pictures": FRAMES}
    assert str(val.parent) not in json.dumps(gate), "a recipe names no place of this machine"
    (file,) = report["files"]
    assert (file["variant"], file["sha256"]) == ("int8", found.sha256)
    for text in ("person IoU", "edge F", "INT8", "FP16", f"wrote {found.path}"):
        assert text in said
    assert ("is not faster than FP32" in said) is not gate["faster"]


def test_without_labels_it_is_judged_by_agreement(build: Any, drawn: tuple[Path, Path]) -> None:
    code, said, report = build("-p", "int8", "--calibration", drawn[0])
    assert code == 0, said
    assert "agreement with FP32 on 3 pictures of train that calibration did not see" in said
    assert report["gate"]["data"] == {"kind": "agreement", "data": "train", "pictures": 3}
    assert report["gate"]["max_drop"] == 3.0
    assert report["gate"]["scores"]["fp32"] | {"ms": 0} == {
        "agreement IoU": 1.0, "drop": 0.0, "flicker": None, "ms": 0,
        "bytes": len(load_model(MODEL).data),
    }  # fmt: skip


def test_what_loses_too_much_is_refused_and_what_was_there_stays(
    build: Any, bright: tuple[str, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "EVALUATIONS", 1)
    model, train, val = bright
    out = tmp_path / "out.onnx"
    out.write_bytes(b"before")
    given = ("-p", "int8", "-m", model, "--calibration", train, "--data", val)
    code, said, report = build(*given, "-o", out, "--overwrite")
    assert code == 2
    last, drop = said.splitlines()[-1], report["gate"]["drop"]
    assert drop > 50
    assert f"edgeseg: tiny: INT8 loses {drop:.2f} points (person IoU 1.0000 -> " in last
    assert "allowed are 1. Nothing was kept." in last
    assert report["gate"]["passed"] is False
    assert report["files"] == []
    assert out.read_bytes() == b"before"


def test_layers_are_kept_in_float_until_it_loses_little_enough(
    build: Any, bright: tuple[str, Path, Path]
) -> None:
    model, train, val = bright
    code, said, report = build("-p", "int8", "-m", model, "--calibration", train, "--data", val)
    assert code == 0, said
    gate = report["gate"]
    assert gate["drop"] == 0
    (kept,) = gate["kept"]
    assert (kept["layer"], kept["kind"]) == ("last", "Conv")
    assert gate["searched_on"] == {"kind": "agreement", "data": "train", "pictures": 12}
    assert [step["float_layers"] for step in report["search"]] == [[], ["last"]]
    assert report["search"][0]["differs"] > 50
    assert report["search"][1]["differs"] == 0
    assert "looking for layers to keep in floating point" in said
    assert "kept in floating point: last (Conv, " in said


def test_a_layer_can_be_kept_in_float_by_name(build: Any, bright: tuple[str, Path, Path]) -> None:
    model, train, val = bright
    given = ("-p", "int8", "-m", model, "--calibration", train, "--data", val)
    code, said, report = build(*given, "--keep-float", "last")
    assert code == 0, said
    assert report["search"] == []
    assert report["keep_float"] == ["last"]
    found = load_variant(load_model(model), "int8")
    assert found is not None
    assert found.spec.build is not None
    assert found.spec.build.float_layers == ("last",)


def test_ranges_of_an_earlier_file_stand_in_for_pictures(
    build: Any, drawn: tuple[Path, Path]
) -> None:
    train, val = drawn
    _, _, first = build("-p", "int8", "--calibration", train, "--data", val)
    code, said, second = build("-p", "int8", "--data", val)
    assert code == 0, said
    assert second["gate"]["drop"] == first["gate"]["drop"]


def test_without_pictures_a_proven_file_is_not_replaced_by_an_unproven_one(
    build: Any, drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    code, said, report = build("-p", "int8")
    assert (code, report) == (0, {})
    assert "portrait-sinet.int8.onnx is there: nothing to build; --calibration DIR makes" in said
    out = tmp_path / "other.onnx"
    code, said, report = build("-p", "int8", "-o", out)
    assert code == 0, said
    assert report["gate"]["passed"] is None
    assert "was not compared with FP32 in accuracy" in said
    assert out.is_file()


def test_a_video_calibrates_and_shows_flicker(build: Any, tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", frames=24)
    code, said, report = build("-p", "int8", "--calibration", clip, "--images", 16)
    assert code == 0, said
    gate = report["gate"]
    assert gate["data"] == {"kind": "agreement", "data": "clip.mp4", "pictures": 5}
    assert gate["clip"] == {"file": "clip.mp4", "frames": 24}
    assert all(0 <= row["flicker"] < 0.2 for row in gate["scores"].values())
    assert "flicker" in said


def test_fp16_is_made_for_gpus(build: Any, drawn: tuple[Path, Path], model: ModelFile) -> None:
    code, said, report = build("-p", "fp16", "--data", drawn[1])
    assert code == 0, said
    found = load_variant(model, "fp16")
    assert found is not None
    assert report["gate"]["passed"] is True
    assert list(report["gate"]["scores"]) == ["fp32", "fp16"]


def test_fp16_without_pictures_is_compared_on_drawn_ones(build: Any) -> None:
    code, said, report = build("-p", "fp16")
    assert code == 0, said
    assert "agreement with FP32 on 16 pictures of drawn scenes, not accuracy" in said
    assert report["gate"]["passed"] is True
    assert report["gate"]["data"]["kind"] == "agreement"


def test_an_unknown_layer_is_one_line(build: Any, drawn: tuple[Path, Path]) -> None:
    code, said, _ = build(
        "-p", "int8", "--calibration", drawn[0], "--data", drawn[1], "--keep-float", "no such"
    )
    assert code == 2
    assert "no such" in said.splitlines()[-1]


def test_less_is_allowed_where_labels_judge() -> None:
    assert BuildOptions("int8", data=DataChoice(Path("x"))).allowed == 1.0
    assert BuildOptions("int8").allowed == 3.0
    assert BuildOptions("int8", max_drop=0.0).allowed == 0.0
