from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tiny_onnx import tiny_model

from edgeseg.model_file import (
    ModelFile,
    builds_of,
    load_model,
    load_variant,
    pulled_models,
    variant_of,
    variant_path,
    variants_of,
)
from edgeseg.spec import Build, ModelSpec, Variant


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return load_model(tiny_model(tmp_path / "net.onnx"))


def make(model: ModelFile, variant: Variant, folder: Path, *, source: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    build = Build(variant=variant, source_sha256=source or model.sha256)
    precision = "fp16" if variant == "fp16" else "int8"
    return tiny_model(variant_path(model, variant, folder), precision=precision, build=build)


def test_a_file_name_says_its_variant() -> None:
    assert variant_of(Path("a/driving.int8.onnx")) == "int8"
    assert variant_of(Path("driving.int8-trt16.onnx")) == "int8-trt16"
    assert variant_of(Path("driving.v2.onnx")) is None
    assert variant_of(Path("int8.onnx")) is None


def test_a_variant_beside_its_model_is_found(model: ModelFile) -> None:
    path = make(model, "int8", model.path.parent)
    found = load_variant(model, "int8")
    assert found is not None
    assert found.path == path
    assert found.spec.precision == "int8"
    assert load_variant(model, "fp16") is None


def test_one_built_here_goes_before_one_beside(model: ModelFile) -> None:
    make(model, "int8", model.path.parent)
    built = builds_of(model)
    assert built is not None
    assert built.name == f"net-{model.sha256[:12]}"
    path = make(model, "int8", built)
    assert {name: file.path for name, file in variants_of(model).items()} == {"int8": path}


def test_a_variant_of_an_earlier_model_is_left_aside(
    model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    make(model, "int8", model.path.parent, source="0" * 64)
    with caplog.at_level(logging.WARNING):
        assert load_variant(model, "int8") is None
    assert "was not made from" in caplog.text


def test_a_damaged_variant_is_left_aside(
    model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    variant_path(model, "fp16", model.path.parent).write_bytes(b"no model")
    make(model, "int8", model.path.parent)
    with caplog.at_level(logging.WARNING):
        assert list(variants_of(model)) == ["int8"]
    assert "net.fp16.onnx" in caplog.text


def test_variants_are_no_models_of_their_own(tmp_path: Path, model: ModelFile) -> None:
    folder = tmp_path / "data" / "edgeseg" / "models"
    folder.mkdir(parents=True)
    tiny_model(folder / "other.onnx")
    make(load_model(folder / "other.onnx"), "int8", folder)
    assert list(pulled_models()) == ["other"]


def test_what_a_device_decides_has_a_recipe(model: ModelFile) -> None:
    person = model.spec.decided
    assert person.outputs[0].activation == "none"
    assert person.outputs[0].channel is None
    semantic = ModelSpec.model_validate(
        {
            "name": "s",
            "task": "semantic",
            "input": {"name": "x", "size": [4, 4]},
            "outputs": [{"name": "scores"}],
            "classes": ["a", "b"],
        }
    ).decided
    assert semantic.outputs_as == "labels"
    assert semantic.outputs[0].name == "scores"
    ModelSpec.model_validate(semantic.model_dump(by_alias=True))
