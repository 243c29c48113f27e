"""INT8 files for CPUs: what is a number where, what they compute, what stays in float."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_nets import (
    ORT,
    SHIPPED,
    SIZE,
    Builder,
    as_file,
    as_model,
    drawn_calibration,
    drawn_folder,
    drawn_inputs,
    float_model,
    optimised,
    planar_input,
    random_inputs,
    run,
    scene_graph,
    scene_model,
    snr_db,
)

from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.precision import int8_cpu
from edgeseg.precision.calibrate import Calibration, calibrate
from edgeseg.precision.exact_input import exact_input
from edgeseg.precision.graph import fp32_graph
from edgeseg.precision.int8_cpu import to_int8
from edgeseg.precision.int8_trt import to_int8_trt
from edgeseg.precision.network import Network

LEAST_SNR = {
    "driving": 27,
    "driving-icnet": 22,
    "instances": 20,
    "portrait": 30,
    "portrait-sinet": 25,
}
"""dB on drawn pictures, calibrated on six of them."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[ModelFile, bytes]]:
    models = {name: load_model(name) for name in SHIPPED}
    return {
        name: (model, to_int8(model, drawn_calibration(model, tmp_path_factory)))
        for name, model in models.items()
    }


@pytest.fixture
def small(tmp_path: Path) -> tuple[ModelFile, Calibration]:
    model = scene_model(tmp_path / "m.onnx")
    return model, calibrate(model, drawn_folder(tmp_path / "p", 24), method="minmax", count=24)


def network_of(data: bytes) -> Network:
    return Network(onnx.load_from_string(data))


def before(network: Network, tensor: str, kind: str) -> onnx.NodeProto:
    node = network.producers[tensor]
    assert node.op_type == kind, f"{tensor}: {node.op_type}"
    return node


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_keep_their_answers(
    shipped: dict[str, tuple[ModelFile, bytes]], name: str
) -> None:
    model, data = shipped[name]
    feeds = [{model.spec.input.name: picture} for picture in drawn_inputs(model.spec, 1, seed=77)]
    exact = [run(model.data, feed) for feed in feeds]
    kernels, by_the_book = ([run(data, feed, plain=p) for feed in feeds] for p in (False, True))
    for number in range(len(exact[0])):
        signal, fast, slow = (
            np.concatenate([outputs[number].ravel() for outputs in runs])
            for runs in (exact, kernels, by_the_book)
        )
        assert snr_db(signal, fast) > LEAST_SNR[name]
        assert abs(snr_db(signal, fast) - snr_db(signal, slow)) < 2, "kernels do what ONNX says"


@pytest.mark.parametrize("name", SHIPPED)
def test_openvino_runs_the_same_files(
    shipped: dict[str, tuple[ModelFile, bytes]], name: str, tmp_path: Path
) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    model, data = shipped[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    picture = drawn_inputs(model.spec, 1, seed=77)[0]
    found = compiled([picture])
    for number, exact in enumerate(run(model.data, {model.spec.input.name: picture})):
        assert snr_db(exact, found[compiled.outputs[number]]) > LEAST_SNR[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_convolution_of_shipped_models_runs_in_int8(
    shipped: dict[str, tuple[ModelFile, bytes]], name: str, tmp_path: Path
) -> None:
    model, data = shipped[name]
    wanted = sum(node.op_type == "Conv" for node in fp32_graph(model).graph.node)
    kinds = Counter(node.op_type for node in optimised(data, tmp_path / "o.onnx").graph.node)
    assert kinds["QLinearConv"] == wanted
    assert kinds["Conv"] + kinds["FusedConv"] == 0
    assert kinds["Sub"] <= 4, "the picture is read as it is; what is left are a network's own"


@pytest.mark.parametrize("name", SHIPPED)
def test_numbers_are_of_the_kinds_that_have_kernels(
    shipped: dict[str, tuple[ModelFile, bytes]], name: str
) -> None:
    network = network_of(shipped[name][1])
    for node in network.nodes:
        if node.op_type != "Conv":
            continue
        read = [before(network, tensor, "DequantizeLinear") for tensor in node.input]
        zeros = [network.constants[one.input[2]] for one in read]
        assert [zero.dtype.name for zero in zeros] == ["uint8", "int8", "int32"]
        assert not zeros[1].any()
        assert not zeros[2].any()
        scales = [network.constants[one.input[1]] for one in read]
        channels = len(network.constants[read[1].input[0]])
        assert scales[0].shape == ()
        assert scales[1].shape == scales[2].shape == (channels,)
        np.testing.assert_allclose(scales[2], scales[0] * scales[1], rtol=1e-6)
        (after,) = network.readers(node.output[0])
        assert after.op_type == "QuantizeLinear", "no activation in between"


def test_the_recipe_says_how_it_was_made(
    small: tuple[ModelFile, Calibration], tmp_path: Path
) -> None:
    model, calibration = small
    file = as_file(to_int8(model, calibration, float_layers=["n:head"]), tmp_path / "m.int8.onnx")
    assert file.spec.precision == "int8"
    build = file.spec.build
    assert build is not None
    assert (build.variant, build.source_sha256) == ("int8", model.sha256)
    assert build.float_layers == ("n:head",)
    assert build.calibration["images"] == 24
    assert file.spec.model_copy(update={"precision": "fp32", "build": None}) == model.spec


def test_it_is_the_same_each_time(small: tuple[ModelFile, Calibration]) -> None:
    assert to_int8(*small) == to_int8(*small)


def test_a_small_network_keeps_its_answers(small: tuple[ModelFile, Calibration]) -> None:
    model, calibration = small
    data = to_int8(model, calibration)
    for picture in random_inputs(4, seed=5):
        feeds = {"image": picture}
        assert snr_db(run(model.data, feeds)[0], run(data, feeds)[0]) > 20


def test_activations_are_part_of_the_grid(small: tuple[ModelFile, Calibration]) -> None:
    data = to_int8(*small)
    kinds = Counter(node.op_type for node in network_of(data).nodes)
    assert kinds["Clip"] == kinds["Relu"] == 0
    network = network_of(data)
    zero = network.constants["stem.act/zero"]
    scale = network.constants["stem.act/scale"]
    assert zero == 0
    assert 255 * scale <= 6 * (1 + 1e-6), "numbers cannot say what a ReLU6 cuts off"


@pytest.mark.skipif(ORT < (1, 28), reason="older versions of ONNX Runtime resize numbers")
def test_numbers_go_from_layer_to_layer(
    small: tuple[ModelFile, Calibration], tmp_path: Path
) -> None:
    graph = optimised(to_int8(*small), tmp_path / "o.onnx").graph
    kinds = Counter(node.op_type for node in graph.node)
    assert (kinds["QLinearConv"], kinds["QLinearAdd"], kinds["QLinearConcat"]) == (5, 1, 1)
    resized = kinds["Resize"]
    assert resized == 2
    assert kinds["DequantizeLinear"] == resized, "measured: ONNX Runtime resizes floats faster"
    assert kinds["QuantizeLinear"] == resized - 1, "what follows the last layer stays float"


def test_what_follows_the_last_layer_stays_float(small: tuple[ModelFile, Calibration]) -> None:
    network = network_of(to_int8(*small))
    last = network.producers["scores"]
    assert last.op_type == "Resize"
    assert network.producers[last.input[0]].op_type == "DequantizeLinear"


def test_a_picture_is_read_without_rounding(small: tuple[ModelFile, Calibration]) -> None:
    model, calibration = small
    network = network_of(to_int8(model, calibration))
    stem = next(node for node in network.nodes if node.name == "n:stem")
    read = before(network, stem.input[0], "DequantizeLinear")
    laid = network.producers[read.input[0]]
    rows = before(network, laid.input[0], "Reshape")
    assert (laid.op_type, rows.input[0]) == ("Transpose", "image"), "the picture's own bytes"
    assert network.constants[read.input[1]] == np.float32(1 / 64)
    assert network.constants[read.input[2]] == 128
    kinds = Counter(node.op_type for node in network.nodes)
    assert kinds["Cast"] == kinds["Sub"] == kinds["Div"] == 0


@pytest.mark.parametrize("mean", [127.5, 0.0, 300.0, [123.675, 116.28, 103.53]])
def test_any_mean_is_read_exactly_but_for_the_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean: Any
) -> None:
    """Only the first layer is quantised, with weights that are numbers already."""
    monkeypatch.setattr(int8_cpu, "find_stem", lambda *_: None)
    graph = scene_graph(mean=mean)
    for tensor in graph.graph.initializer:
        if tensor.name == "stem.w":
            values = np.random.default_rng(1).integers(-127, 128, (8, 3, 3, 3)) / 127
            values[:, 0, 0, 0] = 1
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), "stem.w"))
    graph.graph.node[5].CopyFrom(helper.make_node("Identity", ["stem"], ["stem.bn"]))
    model = scene_model(tmp_path / "m.onnx", graph)
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 8), method="minmax", count=8)
    layers = [node.name for node in fp32_graph(model).graph.node if node.op_type == "Conv"]
    data = to_int8(model, calibration, float_layers=[n for n in layers if n != "n:stem"])
    exact, other = (
        onnx.load_from_string(each) for each in (fp32_graph(model).SerializeToString(), data)
    )
    shape = [1, 8, 12, 16]
    exact.graph.output.append(helper.make_tensor_value_info("stem.act", TensorProto.FLOAT, shape))
    other.graph.output.append(
        helper.make_tensor_value_info("stem.act/exact", TensorProto.FLOAT, shape)
    )
    picture = random_inputs(1)[0]
    expected = run(exact.SerializeToString(), {"image": picture}, plain=True)[-1]
    found = np.clip(run(other.SerializeToString(), {"image": picture}, plain=True)[-1], 0, 6)
    inside = (slice(None), slice(None), slice(1, None), slice(1, None))
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-3)


def test_a_mean_that_other_operators_read_is_left_alone(tmp_path: Path) -> None:
    graph = scene_graph(mean=[123.675, 116.28, 103.53])
    graph.graph.node.insert(
        4, helper.make_node("MaxPool", ["normal"], ["pooled"], kernel_shape=[1, 1])
    )
    graph.graph.node[5].input[0] = "pooled"
    network = Network(fp32_graph(scene_model(tmp_path / "m.onnx", graph)))
    assert exact_input(network, "image") is None
    graph = scene_graph(mean=127.0)
    network = Network(fp32_graph(scene_model(tmp_path / "n.onnx", graph)))
    found = exact_input(network, "image")
    assert found is not None
    assert (found.grid.zero, float(found.rest[0])) == (127, 0.0)


@pytest.mark.parametrize("layer", ["n:stem", "n:wide", "n:narrow", "n:half", "n:head"])
def test_a_float_layer_is_one_where_it_runs(
    small: tuple[ModelFile, Calibration], tmp_path: Path, layer: str
) -> None:
    """ONNX Runtime would quantise it by itself, with one scale for all weights."""
    data = to_int8(*small, float_layers=[layer])
    graph = optimised(data, tmp_path / "o.onnx").graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["QLinearConv"] == 4
    assert kinds["Conv"] + kinds["FusedConv"] == 1
    assert "DynamicQuantizeLinear" not in kinds


def test_all_layers_in_float_give_the_fp32_answers(small: tuple[ModelFile, Calibration]) -> None:
    model, calibration = small
    layers = [node.name for node in fp32_graph(model).graph.node if node.op_type == "Conv"]
    data = to_int8(model, calibration, float_layers=layers)
    feeds = {"image": random_inputs(1, seed=8)[0]}
    np.testing.assert_allclose(run(data, feeds)[0], run(model.data, feeds)[0], atol=1e-4)


def test_more_layers_in_float_are_nearer_to_fp32(small: tuple[ModelFile, Calibration]) -> None:
    model, calibration = small
    feeds = {"image": random_inputs(1, seed=8)[0]}
    exact = run(model.data, feeds)[0]
    all_int8, most_float = (
        snr_db(exact, run(to_int8(model, calibration, float_layers=layers), feeds)[0])
        for layers in ((), ("n:stem", "n:wide", "n:narrow", "n:half"))
    )
    assert most_float > all_int8 + 2


def test_layers_that_share_weights_may_need_other_scales(tmp_path: Path) -> None:
    """A bias too large for INT32 widens its layer's scale; the other layer keeps its own."""
    graph = scene_graph()
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    values = onnx.numpy_helper.to_array(weights["narrow.w"]).copy()
    values[0] = 1e-10
    weights["narrow.w"].CopyFrom(onnx.numpy_helper.from_array(values, "narrow.w"))
    large = np.array([6.0, *np.zeros(7)], np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(large, "again.b"))
    nodes = list(graph.graph.node)
    at = next(n for n, node in enumerate(nodes) if node.output[0] == "sum")
    again = helper.make_node("Conv", ["narrow", "narrow.w", "again.b"], ["again"], name="n:again")
    nodes[at].input[1] = "again"
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes[:at], again, *nodes[at:]])
    model = scene_model(tmp_path / "m.onnx", graph)
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 12), method="minmax", count=12)
    data = to_int8(model, calibration)
    feeds = {"image": random_inputs(1, seed=5)[0]}
    exact = run(model.data, feeds)[0]
    for plain in (False, True):
        assert snr_db(exact, run(data, feeds, plain=plain)[0]) > 18


@pytest.mark.parametrize(("columns", "rounded"), [(8, False), (1400, True)])
def test_only_large_matrices_are_quantised(tmp_path: Path, columns: int, rounded: bool) -> None:
    b = Builder(0)
    b.add("Cast", ["image"], "float", to=TensorProto.FLOAT)
    b.constant("size", np.array(255, np.float32))
    b.add("Div", ["float", "size"], "unit")
    b.constant("wide", b.rng.normal(0, 1, (3, columns)).astype(np.float32))
    b.add("MatMul", ["unit", "wide"], "mixed")
    b.constant("back", b.rng.normal(0, 1 / columns**0.5, (columns, 4)).astype(np.float32))
    b.add("MatMul", ["mixed", "back"], "last")
    b.add("Transpose", ["last"], "scores", perm=[0, 3, 1, 2])
    model = scene_model(tmp_path / "m.onnx", as_model(b, [1, 4, SIZE.height, SIZE.width]))
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 8), method="minmax", count=8)
    data = to_int8(model, calibration)
    by_name = {node.name: node for node in network_of(data).nodes}
    network = network_of(data)
    assert (by_name["n:last"].input[1] not in network.constants) is rounded
    feeds = {"image": random_inputs(1, seed=5)[0]}
    assert snr_db(run(model.data, feeds)[0], run(data, feeds)[0]) > 25


def test_a_float_input_is_quantised_itself(tmp_path: Path) -> None:
    model = float_model(tmp_path / "m.onnx")
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 24), count=24)
    feeds = {"image": planar_input(random_inputs(1, seed=5)[0])}
    exact = run(model.data, feeds)[0]
    assert snr_db(exact, run(to_int8(model, calibration), feeds)[0]) > 20
    assert snr_db(exact, run(to_int8_trt(model, calibration), feeds, plain=True)[0]) > 20


def test_layers_that_share_weights_share_their_numbers(
    shipped: dict[str, tuple[ModelFile, bytes]],
) -> None:
    model, data = shipped["instances"]
    weights = [
        t.dims
        for t in onnx.load_from_string(data).graph.initializer
        if t.data_type == TensorProto.INT8
    ]
    numbers = sum(int(np.prod(dims)) for dims in weights)
    own = fp32_graph(model).graph
    layers = {node.input[1] for node in own.node if node.op_type == "Conv"}
    floats = sum(int(np.prod(t.dims)) for t in own.initializer if t.name in layers)
    assert floats <= numbers <= 1.1 * floats


def test_an_unknown_layer_is_refused(small: tuple[ModelFile, Calibration]) -> None:
    with pytest.raises(ModelError, match=r"has no layer 'n:haed'; did you mean 'n:head'\? to keep"):
        to_int8(*small, float_layers=["n:haed"])
