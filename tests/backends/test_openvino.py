"""OpenVINO itself: what it is told, what it keeps, what it objects to, whom it reports to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_onnx import GAIN, embed, network, save, spec_for, tiny_model

from edgeseg.backends import openvino as module
from edgeseg.backends.openvino import OpenvinoBackend, version
from edgeseg.device import package_version
from edgeseg.errors import BackendUnavailable, ModelError, SpecMismatch
from edgeseg.file_lock import file_lock
from edgeseg.model_file import ModelFile, load_model
from edgeseg.protocols import Tensor

pytestmark = pytest.mark.skipif(
    package_version("openvino") is None, reason="openvino is not installed"
)


def picture(level: int) -> dict[str, Tensor]:
    return {"image": np.full((1, 24, 32, 3), level, np.uint8)}


def person(backend: OpenvinoBackend, level: int) -> float:
    return float(np.asarray(backend.infer(picture(level))["person"]).mean())


def expected(level: int) -> float:
    return float(1 / (1 + np.exp(-GAIN * (level - 127.5))))


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "tiny.onnx"))


def test_streams_threads_pinning_and_float_precision_are_set(model: ModelFile) -> None:
    settings = module._settings(module.import_openvino().Core(), 2, 3)
    assert (settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]) == (3, 6)
    compiled = OpenvinoBackend(model)._compiled
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_dtype() == np.float32


def test_properties_a_processor_does_not_know_are_left_out() -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "SUPPORTED_PROPERTIES")
            return ["NUM_STREAMS"]

    assert module._settings(Core(), 2, 1) == {"NUM_STREAMS": 1}


def test_compiled_networks_are_kept_in_the_cache_folder(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert not OpenvinoBackend(model)._compiled.get_property("LOADED_FROM_CACHE")
    assert list((tmp_path / "cache" / "edgeseg" / "openvino").glob("*.blob"))
    again = OpenvinoBackend(model)
    assert again._compiled.get_property("LOADED_FROM_CACHE")
    assert person(again, 140) == pytest.approx(expected(140), abs=1e-5)


def test_while_another_process_writes_the_cache_it_is_left_alone(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mapped into memory while it is written, a compiled network ends the process by SIGBUS."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    folder = tmp_path / "cache" / "edgeseg" / "openvino"
    folder.mkdir(parents=True)
    with file_lock(folder / ".lock", patience_s=0):
        assert person(OpenvinoBackend(model), 140) == pytest.approx(expected(140), abs=1e-5)
        assert not list(folder.glob("*.blob"))
    OpenvinoBackend(model)
    assert list(folder.glob("*.blob"))


def test_a_damaged_or_unwritable_cache_is_no_error(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    OpenvinoBackend(model)
    for file in (tmp_path / "cache" / "edgeseg" / "openvino").glob("*.blob"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert person(OpenvinoBackend(model), 140) == pytest.approx(expected(140), abs=1e-5)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert person(OpenvinoBackend(model), 140) == pytest.approx(expected(140), abs=1e-5)


def test_weights_in_files_beside_the_model_are_found(tmp_path: Path) -> None:
    path = tmp_path / "external.onnx"
    model = embed(network(weights_as_inputs=True), spec_for())
    onnx.save_model(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    backend = OpenvinoBackend(load_model(path))
    assert [i.name for i in backend.info.inputs] == ["image"]
    assert person(backend, 140) == pytest.approx(expected(140), abs=1e-5)


def test_free_axes_become_those_of_the_recipe(tmp_path: Path) -> None:
    model = network()
    sides = [1, None, None, 3]
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, sides))
    free = helper.make_tensor_value_info("person", TensorProto.FLOAT, [1, 1, None, None])
    model.graph.output[0].CopyFrom(free)
    backend = OpenvinoBackend(load_model(save(tmp_path / "free.onnx", model, spec_for())))
    assert backend.info.inputs[0].shape == (1, 24, 32, 3)
    assert backend.info.outputs[0].shape == (1, 1, 24, 32)
    assert person(backend, 120) == pytest.approx(expected(120), abs=1e-5)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, r"it takes image, got nothing"),
        (
            {"image": np.zeros((1, 24, 32, 3), np.float32)},
            "takes uint8 1x24x32x3, got float32 1x24",
        ),
        ({"image": np.uint8(3)}, "takes uint8 1x24x32x3, got uint8 scalar"),
    ],
)
def test_wrong_inputs_are_refused_not_converted(
    model: ModelFile, inputs: dict[str, Tensor], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        OpenvinoBackend(model).infer(inputs)


def test_pictures_need_not_be_contiguous(model: ModelFile) -> None:
    backend = OpenvinoBackend(model)
    wide = np.full((1, 24, 64, 3), 140, np.uint8)
    wide[:, :, 1::2] = 20
    found = np.asarray(backend.infer({"image": wide[:, :, ::2]})["person"], np.float32)
    np.testing.assert_allclose(found, expected(140), atol=1e-5)


def test_what_it_cannot_load_gets_one_line(tmp_path: Path) -> None:
    unknown = network()
    unknown.graph.node[1].op_type = "NoSuchOperator"
    path = save(tmp_path / "op.onnx", unknown, spec_for())
    with pytest.raises(
        ModelError, match=r"op\.onnx: openvino 20\S+ cannot load it: .*NoSuchOp"
    ) as e:
        OpenvinoBackend(load_model(path))
    assert "\n" not in str(e.value)
    assert "Exception from" not in str(e.value)


def test_a_recipe_the_loaded_graph_contradicts_is_refused(model: ModelFile) -> None:
    with pytest.raises(SpecMismatch, match=r"recipe and loaded graph differ: input\.dtype"):
        OpenvinoBackend(replace(model, spec=spec_for(dtype="float32")))


def test_without_the_package_it_says_what_to_install(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailable, match=r"not usable here: .*edgeseg\[openvino\]"):
        OpenvinoBackend(model)
    assert "openvino_telemetry" not in sys.modules or sys.modules["openvino_telemetry"]


def test_versions_are_told_without_the_build(model: ModelFile) -> None:
    assert version(module.import_openvino()) == package_version("openvino")


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    """Importing 2026.4 forks a process that sends an event, and writes an id below the home."""
    script = """
import os, sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event))
from edgeseg.backends.openvino import OpenvinoBackend
from edgeseg.model_file import load_model
OpenvinoBackend(load_model(sys.argv[1])).warm_up()
bad = [e for e in seen if e.startswith("socket.") or e in ("os.fork", "subprocess.Popen")]
assert not bad, bad
assert "openvino_telemetry" not in sys.modules
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    path = tiny_model(tmp_path / "tiny.onnx")
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.rglob("*")) == []
