"""The ONNX Runtime backend on real graphs, and the rules every backend keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from backend_kit import expected, person, picture
from onnx import helper
from tiny_onnx import SIZE, embed, network, save, spec_for, tiny_model

from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.ort_session import CPU, GRAPH_LEVELS, Provider
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError, SpecMismatch
from edgeseg.model_file import ModelFile, load_model, read_onnx
from edgeseg.protocols import Tensor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    return load_model(tiny_model(tmp_path_factory.mktemp("net") / "tiny.onnx"))


def test_providers_are_asserted(model: ModelFile) -> None:
    with pytest.raises(BackendUnavailable, match=r"has no NoSuchExecutionProvider \(it has .*CPU"):
        OrtBackend(model, providers=[Provider("NoSuchExecutionProvider"), Provider(CPU)])


def test_an_unknown_graph_level_is_refused(model: ModelFile) -> None:
    with pytest.raises(ConfigError, match="unknown graph level 'basics'; did you mean 'basic'"):
        OrtBackend(model, graph_level="basics")  # type: ignore[arg-type]


def test_graph_levels_give_the_same_answer(model: ModelFile) -> None:
    results = [person(OrtBackend(model, graph_level=level), 133) for level in GRAPH_LEVELS]
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_weights_listed_as_inputs_are_folded(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "old.onnx", weights_as_inputs=True)
    backend = OrtBackend(load_model(path))
    assert [i.name for i in backend.info.inputs] == ["image"]
    assert [i.name for i in backend._session.get_overridable_initializers()] == []
    np.testing.assert_allclose(person(backend, 140), expected(140), atol=1e-5)


def test_external_weights_are_found_beside_the_file(tmp_path: Path) -> None:
    model = embed(network(weights_as_inputs=True), spec_for())
    path = tmp_path / "external.onnx"
    onnx.save_model(
        model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").is_file()
    backend = OrtBackend(load_model(path))
    np.testing.assert_allclose(person(backend, 140), expected(140), atol=1e-5)


def test_what_the_runtime_cannot_load_gets_one_line(tmp_path: Path) -> None:
    unknown = network()
    unknown.graph.node[1].op_type = "NoSuchOperator"
    path = save(tmp_path / "op.onnx", unknown, spec_for())
    with pytest.raises(
        ModelError, match=r"op\.onnx: onnxruntime \S+ cannot load it .*NoSuchOperator"
    ) as caught:
        OrtBackend(load_model(path))
    assert "\n" not in str(caught.value)
    newer = network()
    newer.opset_import[0].version = 999
    path = save(tmp_path / "opset.onnx", newer, spec_for())
    with pytest.raises(ModelError, match=r"opset\.onnx: .* cannot load it \(opset 999, IR 8\): "):
        OrtBackend(load_model(path))


def test_a_network_that_fails_while_running_gets_one_line(tmp_path: Path) -> None:
    model = network()
    bad = helper.make_node("Reshape", ["float", "shape"], ["planar_bad"])
    model.graph.initializer.append(
        helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, 3, 5, 7])
    )
    model.graph.node.insert(1, bad)
    model.graph.output[0].name = "planar_bad"
    free = onnx.TensorProto.FLOAT
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("planar_bad", free, [1, 3, 5, 7]))
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, [1, None, None, 3])
    )
    output = spec_for().outputs[0].model_copy(update={"name": "planar_bad", "channel": 0})
    path = save(tmp_path / "bad.onnx", model, spec_for(outputs=(output,)))
    backend = OrtBackend(load_model(path))
    with pytest.raises(ModelError, match=r"bad\.onnx: the network failed: .*[Rr]eshape") as caught:
        backend.infer(picture(1))
    assert "\n" not in str(caught.value)


def test_a_recipe_the_loaded_graph_contradicts_is_refused(model: ModelFile) -> None:
    other = replace(model, spec=spec_for(dtype="float32"))
    with pytest.raises(SpecMismatch, match=r"recipe and loaded graph differ: input\.dtype"):
        OrtBackend(other)


def test_shapes_the_file_leaves_out_are_checked_after_loading(tmp_path: Path) -> None:
    model = network("pair")
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path = save(tmp_path / "free.onnx", model, spec_for("probability"))
    assert read_onnx(path.read_bytes(), where="f").outputs[0].shape == ()
    with pytest.raises(SpecMismatch, match=r"output 'person' has 2 channels"):
        OrtBackend(load_model(path))


def test_threads_do_not_spin_after_a_run(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "big.onnx", size=SIZE._replace(width=640, height=480))
    backend = OrtBackend(load_model(path), threads=2)
    feeds: dict[str, Tensor] = {"image": np.zeros((1, 480, 640, 3), np.uint8)}
    burnt = []
    for _ in range(3):
        backend.infer(feeds)
        before = time.process_time()
        time.sleep(0.1)
        burnt.append(time.process_time() - before)
    assert min(burnt) < 0.008  # spinning threads burn 0.03 and more


OPENS = "from edgeseg.backends import open_backend; open_backend(load_model(sys.argv[1])).warm_up()"
CONVERTS = "from edgeseg.precision.graph import fp32_graph; fp32_graph(load_model(sys.argv[1]))"
LOOKS = "from edgeseg.doctor.finding import load; load('onnxruntime', '')"


@pytest.mark.parametrize("what", [OPENS, CONVERTS, LOOKS], ids=["run", "build", "doctor"])
def test_onnxruntime_reports_to_nobody(tmp_path: Path, what: str) -> None:
    """Its 1.31 builds write a device id below the home folder and send usage events."""
    script = (
        f"import sys, os; from edgeseg.model_file import load_model; {what}; "
        "assert 'onnxruntime' in sys.modules and 'ORT_DISABLE_TELEMETRY' not in os.environ"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    path = tiny_model(tmp_path / "tiny.onnx")
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.rglob("*")) == []
