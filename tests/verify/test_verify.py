"""Variants made by hand beside a tiny network, whose difference is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from tiny_onnx import SIZE, embed, network, spec_for, tiny_model
from tiny_tasks import boxes_model

from edgeseg.cli import main
from edgeseg.model_file import ModelFile, load_model, variant_path
from edgeseg.spec import Build, Precision, Variant
from edgeseg.types import Size
from edgeseg.verify import VerifyOptions, verify_model


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["models", "verify", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "net.onnx"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten pictures whose left half is bright and whose right half rises from dark to grey 100."""
    folder = tmp_path / "pictures" / "images"
    folder.mkdir(parents=True)
    for n in range(10):
        image = np.full((SIZE.height, SIZE.width, 3), 10 * (n + 1), np.uint8)
        image[:, : SIZE.width // 2] = 255
        assert cv2.imwrite(str(folder / f"{n}.png"), image)
    return folder.parent


def add_variant(model: ModelFile, variant: Variant, *, shift: float = 0.0) -> Path:
    """A file whose logit is higher everywhere by ``shift``."""
    graph = network()
    for weight in graph.graph.initializer:
        if weight.name == "offset":
            moved = onnx.numpy_helper.to_array(weight) + np.float32(shift)
            weight.CopyFrom(onnx.numpy_helper.from_array(moved, "offset"))
    precision: Precision = "fp16" if variant == "fp16" else "int8"
    build = Build(variant=variant, source_sha256=model.sha256)
    path = variant_path(model, variant, model.path.parent)
    recipe = spec_for(precision=precision, build=build)
    path.write_bytes(embed(graph, recipe).SerializeToString())
    return path


def on_ort(pictures: Path, **changes: Any) -> VerifyOptions:
    return VerifyOptions(data=pictures, backends=("onnxruntime",), **changes)


def test_the_same_network_agrees_entirely(model: ModelFile, pictures: Path) -> None:
    path = add_variant(model, "int8")
    verified = verify_model(model, on_ort(pictures, precisions=("int8",)))
    (one,) = verified.combinations
    assert verified.frames == 10
    assert not verified.failed
    assert not verified.missing
    figures = one.figures()
    assert (figures["agreement"], figures["iou"], figures["passed"]) == (1.0, 1.0, True)
    assert figures["outputs"] == {"person": {"max": 0.0, "mean": 0.0}}
    assert figures["sha256"] == load_model(path).sha256


def test_a_difference_is_measured_in_decisions_and_scores(model: ModelFile, pictures: Path) -> None:
    """The right half becomes person from grey 127.5 - shift / 0.1 = 77.5 on: in three of ten."""
    add_variant(model, "int8", shift=5.0)
    verified = verify_model(model, on_ort(pictures, precisions=("int8",)))
    (one,) = verified.failed
    figures = one.figures()
    half = SIZE.width // 2 * SIZE.height
    assert figures["agreement"] == pytest.approx(1 - 3 * half / (10 * 2 * half), abs=1e-4)
    assert figures["iou"] == pytest.approx(10 / 13, abs=1e-4)
    grey = np.arange(10, 110, 10)

    def probability(offset: float) -> Any:
        return 1 / (1 + np.exp(-(0.1 * (grey - 127.5) + offset)))

    apart = np.abs(probability(5.0) - probability(0.0))
    assert figures["outputs"]["person"]["max"] == pytest.approx(float(apart.max()), abs=0.05)
    assert "masks differ from FP32's by 23.08 points, 10 are allowed" in figures["problem"]
    assert not verify_model(model, on_ort(pictures, precisions=("int8",), tolerance=24)).failed


def test_without_names_all_are_tried_and_none_must_be_there(
    model: ModelFile, pictures: Path
) -> None:
    add_variant(model, "int8")
    verified = verify_model(model, VerifyOptions(data=pictures))
    assert not verified.missing
    ran = {(c.backend, c.precision) for c in verified.combinations if c.comparison is not None}
    assert ("onnxruntime", "int8") in ran
    assert ("onnxruntime", "fp32") not in ran, "that is what the others are compared with"
    lines = {(c.backend, c.precision): c.problem for c in verified.combinations}
    assert "edgeseg build" in lines["onnxruntime", "fp16"]


def test_a_file_that_is_there_and_cannot_be_used_is_a_failure(
    model: ModelFile, pictures: Path
) -> None:
    path = add_variant(model, "int8")
    path.write_bytes(path.read_bytes()[:100])
    verified = verify_model(model, VerifyOptions(data=pictures))
    (gone,) = (c for c in verified.missing if c.backend == "onnxruntime")
    assert (gone.precision, gone.broken) == ("int8", True)
    assert path.name in gone.problem


def test_frames_are_spread(model: ModelFile, pictures: Path) -> None:
    assert verify_model(model, on_ort(pictures, frames=3)).frames == 3


def test_openvino_gives_the_same_masks(model: ModelFile, pictures: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    options = VerifyOptions(data=pictures, backends=("openvino",), precisions=("fp32",))
    (one,) = verify_model(model, options).combinations
    assert one.figures()["agreement"] == 1.0


def test_objects_are_matched(tmp_path: Path, pictures: Path) -> None:
    """Of two boxes over the bright half the variant has one, somewhat smaller, and a false one."""
    size, classes = Size(32, 24), ("car", "person")
    whole, upper, lower = (0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.5, 0.75), (0.0, 0.8, 0.5, 1.0)
    path = boxes_model(
        tmp_path / "net.onnx", size=size, classes=classes,
        found=[(0, 0.9, whole), (1, 0.8, lower)],
    )  # fmt: skip
    model = load_model(path)
    other = load_model(
        boxes_model(
            tmp_path / "net.int8.onnx",
            size=size,
            classes=classes,
            found=[(0, 0.9, upper), (0, 0.8, lower)],
        )
    )
    build = Build(variant="int8", source_sha256=model.sha256)
    spec = model.spec.model_copy(update={"precision": "int8", "build": build})
    graph = onnx.load_from_string(other.data)
    del graph.metadata_props[:]
    other.path.write_bytes(embed(graph, spec).SerializeToString())
    options = on_ort(pictures, precisions=("int8",))
    (one,) = verify_model(model, options).combinations
    found = one.figures()["objects"]
    assert found["same"] == 10
    assert found["only_here"] == found["only_reference"] == 10
    assert found["quality"] == pytest.approx(0.75 / 2, abs=0.03)
    assert "masks differ" in one.problem


def test_the_command_prints_and_writes_what_it_found(
    model: ModelFile, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_variant(model, "int8", shift=0.01)
    out = tmp_path / "r.json"
    code = run(str(model.path), "--data", str(pictures), "--backends", "onnxruntime",
               "--json", str(out))  # fmt: skip
    printed = capsys.readouterr()
    assert (code, printed.out) == (0, ""), printed.err
    for text in ("10 frames, beside FP32", "onnxruntime int8", "max difference", f"wrote {out}"):
        assert text in printed.err
    report = json.loads(out.read_text())
    assert report["model"]["sha256"] == model.sha256
    assert report["reference"] == {"backend": "onnxruntime", "precision": "fp32"}
    kinds = {(row["precision"], row["ran"]) for row in report["combinations"]}
    assert kinds == {("fp16", False), ("int8", True)}
    assert str(pictures) == report["data"]


def test_beyond_tolerance_is_one_line_and_exit_2(
    model: ModelFile, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_variant(model, "int8", shift=5.0)
    assert run(str(model.path), "--data", str(pictures), "--precisions", "int8") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("edgeseg: tiny: onnxruntime int8: masks differ from FP32's by 23.08")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precisions", "int8"), "not run: onnxruntime int8: no INT8 file of tiny"),
        (("--backends", "tensorrt"), "not run: tensorrt fp32: "),
        (("--backends", "onnxruntim"), "--backends onnxruntim: expected one of"),
        (("--backends", "onnxruntim"), "did you mean 'onnxruntime'?"),
        (("--precisions", "int9"), "did you mean 'int8'?"),
        (("--frames", "0"), "--frames 0: expected 1 or more"),
        (("--tolerance", "-1"), "--tolerance -1: expected points from 0 to 100"),
        (("--json", "no/r.json"), "no folder no; create it first"),
    ],
)
def test_wrong_wishes_are_one_line_and_exit_2(
    model: ModelFile,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(str(model.path), "--data", str(pictures), *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_wrong_data_and_models_are_one_line(
    model: ModelFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(str(model.path), "--data", str(tmp_path / "empty")) == 2
    assert "empty: no pictures in this folder" in capsys.readouterr().err
    assert run(str(model.path), "--data", str(tmp_path / "none.mp4")) == 2
    assert "none.mp4: no such file or folder" in capsys.readouterr().err
    int8 = add_variant(model, "int8")
    assert run(str(int8), "--data", str(tmp_path)) == 2
    assert "is INT8; name the FP32 model" in capsys.readouterr().err
