"""Which file runs in a precision, and that the source's recipe goes with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from tiny_onnx import spec_for, tiny_model

from edgeseg.backends import BackendOptions, open_backend
from edgeseg.backends.choice import cpu_candidates
from edgeseg.backends.variant import build_command, file_to_run, gate_passed
from edgeseg.config import ModelConfig
from edgeseg.device import package_version
from edgeseg.errors import ConfigError, ModelError, SpecMismatch
from edgeseg.model_file import ModelFile, load_model, variant_path
from edgeseg.spec import Build, Thresholds, Variant


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "net.onnx"))


def make(model: ModelFile, variant: Variant = "int8", **changes: Any) -> Path:
    gate = changes.pop("gate", {"passed": True})
    build = Build(variant=variant, source_sha256=model.sha256, gate=gate)
    precision = "fp16" if variant == "fp16" else "int8"
    path = variant_path(model, variant, model.path.parent)
    return tiny_model(path, precision=precision, build=build, **changes)


def test_its_own_precision_is_its_own_file(model: ModelFile) -> None:
    assert file_to_run(model, "fp32") is model


def test_each_precision_has_its_file(model: ModelFile) -> None:
    paths = {variant: make(model, variant) for variant in ("fp16", "int8", "int8-trt16")}
    assert file_to_run(model, "fp16").path == paths["fp16"]
    assert file_to_run(model, "int8").path == paths["int8"]
    assert file_to_run(model, "int8", int8="int8-trt16").path == paths["int8-trt16"]
    with pytest.raises(ConfigError, match=r"no INT8 file of tiny \(net\.int8-trt\.onnx\): edgeseg"):
        file_to_run(model, "int8", int8="int8-trt")


def test_a_file_that_is_not_there_says_how_to_make_it(model: ModelFile) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^no INT8 file of tiny \(net\.int8\.onnx\): edgeseg build --model /.*/net\.onnx "
        r"--precision int8 --calibration DIR$",
    ):
        file_to_run(model, "int8")
    with pytest.raises(ConfigError, match=r"--precision fp16$"):
        file_to_run(model, "fp16")


def test_a_shipped_model_is_called_by_its_name() -> None:
    assert build_command(load_model("driving"), "fp16") == (
        "edgeseg build --model driving --precision fp16"
    )


def test_a_file_of_another_precision_is_no_source(model: ModelFile) -> None:
    int8 = load_model(make(model))
    assert file_to_run(int8, "int8") is int8
    with pytest.raises(
        ConfigError, match=r"^net\.int8\.onnx is int8 itself: for fp32 name the fp32 file it was "
    ):
        file_to_run(int8, "fp32")


def test_a_card_the_user_edited_wins(model: ModelFile, tmp_path: Path) -> None:
    make(model)
    edited = spec_for(thresholds=Thresholds(decision=0.8), classes=("background", "dancer"))
    (tmp_path / "net.yaml").write_text(edited.to_card())
    found = file_to_run(load_model(model.path), "int8")
    assert found.spec.thresholds.decision == 0.8
    assert found.spec.classes == ("background", "dancer")
    assert found.spec.precision == "int8"
    assert found.spec.build is not None
    assert open_backend(found).info.precision == "int8"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fit": "letterbox"}, "another input than"),
        ({"out_layout": "nhwc"}, "another outputs than"),
    ],
)
def test_a_file_made_with_other_inputs_or_outputs_is_refused(
    model: ModelFile, change: dict[str, Any], named: str
) -> None:
    make(model, **change)
    with pytest.raises(SpecMismatch, match=rf"^net\.int8\.onnx was built with {named} .*: edgeseg"):
        file_to_run(model, "int8")


def test_a_damaged_file_is_named(model: ModelFile) -> None:
    variant_path(model, "int8", model.path.parent).write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"net\.int8\.onnx"):
        file_to_run(model, "int8")


@pytest.mark.parametrize("kind", ["onnxruntime", "openvino"])
def test_backends_find_the_file_themselves(model: ModelFile, kind: str) -> None:
    if package_version(kind) is None:
        pytest.skip(f"{kind} is not installed")
    path = make(model)
    info = open_backend(model, kind=kind, options=BackendOptions(precision="int8")).info
    assert (info.precision, info.file) == ("int8", str(path))
    assert info.sha256 == load_model(path).sha256 != model.sha256


@pytest.mark.parametrize("kind", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("variant", ["int8-trt", "int8-trt16"])
def test_files_for_tensorrt_do_not_run_on_a_cpu(
    model: ModelFile, variant: Variant, kind: Literal["onnxruntime", "openvino"]
) -> None:
    file = load_model(make(model, variant))
    message = rf"net\.{variant}\.onnx: is made for TensorRT, .*with --precision int8$"
    with pytest.raises(ModelError, match=message):
        open_backend(file, kind=kind)
    with pytest.raises(ModelError, match=message):
        cpu_candidates(file, ModelConfig(backend=kind))
    make(model, variant).rename(model.path.with_name("net.int8.onnx"))  # and by its old name
    with pytest.raises(ModelError, match=r"net\.int8\.onnx: is made for TensorRT"):
        open_backend(model, kind=kind, options=BackendOptions(precision="int8"))


@pytest.mark.parametrize(
    ("gate", "passed"), [({"passed": True}, True), ({"passed": False}, False), ({}, False)]
)
def test_only_a_gate_that_was_passed_counts(
    model: ModelFile, gate: dict[str, Any], passed: bool
) -> None:
    assert gate_passed(load_model(make(model, gate=gate))) is passed
    assert not gate_passed(model)
    assert not gate_passed(replace(model, spec=spec_for(precision="int8")))
