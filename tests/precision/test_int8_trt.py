"""INT8 files for TensorRT: its rules hold on every shipped model, and the numbers are right."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
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
    random_inputs,
    run,
    scene_graph,
    scene_model,
    snr_db,
)

from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.precision.calibrate import Calibration, calibrate
from edgeseg.precision.graph import fp32_graph
from edgeseg.precision.int8_trt import Typed, to_int8_trt
from edgeseg.precision.network import Network
from edgeseg.precision.weights import LEAST_HALF_SCALE

LEAST_SNR = {
    "driving": 24,
    "driving-icnet": 20,
    "instances": 18,
    "portrait": 28,
    "portrait-sinet": 24,
}
Files = dict[tuple[str, str], tuple[ModelFile, bytes]]
BOTH: list[Typed] = ["fp32", "fp16"]
COMPUTED = pytest.mark.parametrize(
    "typed",
    [
        "fp32",
        pytest.param(
            "fp16",
            marks=pytest.mark.skipif(
                ORT < (1, 30), reason="older versions of ONNX Runtime quantise float16 one too low"
            ),
        ),
    ],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made: Files = {}
    for name in SHIPPED:
        model = load_model(name)
        calibration = drawn_calibration(model, tmp_path_factory)
        for typed in BOTH:
            made[name, typed] = model, to_int8_trt(model, calibration, typed=typed)
    return made


@pytest.fixture
def small(tmp_path: Path) -> tuple[ModelFile, Calibration]:
    model = scene_model(tmp_path / "m.onnx")
    return model, calibrate(model, drawn_folder(tmp_path / "p", 24), method="minmax", count=24)


def network_of(data: bytes) -> Network:
    return Network(onnx.shape_inference.infer_shapes(onnx.load_from_string(data)))


def pair_before(network: Network, tensor: str) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """The QuantizeLinear and DequantizeLinear whose result a tensor is."""
    read = network.producers[tensor]
    rounded = network.producers[read.input[0]]
    assert (rounded.op_type, read.op_type) == ("QuantizeLinear", "DequantizeLinear"), tensor
    assert list(rounded.input[1:]) == list(read.input[1:])
    return rounded, read


@pytest.mark.parametrize("typed", BOTH)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_convolution_reads_rounded_inputs_and_weights(
    files: Files, name: str, typed: str
) -> None:
    network = network_of(files[name, typed][1])
    number = np.float16 if typed == "fp16" else np.float32
    convolutions = [node for node in network.nodes if node.op_type == "Conv"]
    assert len(convolutions) > 50
    for node in convolutions:
        picture, _ = pair_before(network, node.input[0])
        assert network.constants[picture.input[1]].shape == (), "one scale for a tensor"
        weight, read = pair_before(network, node.input[1])
        values = network.constants[weight.input[0]]
        assert values.dtype == number
        assert network.constants[weight.input[1]].shape == (len(values),)
        assert all(item.i == 0 for one in (weight, read) for item in one.attribute)
        assert network.constants[node.input[2]].dtype == number, "a bias is no INT32"


@pytest.mark.parametrize("typed", BOTH)
@pytest.mark.parametrize("name", SHIPPED)
def test_scales_and_zero_points_are_what_tensorrt_takes(
    files: Files, name: str, typed: str
) -> None:
    network = network_of(files[name, typed][1])
    pairs = [n for n in network.nodes if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 100
    for node in pairs:
        scale, zero = (network.constants[tensor] for tensor in node.input[1:])
        assert zero.dtype == np.int8
        assert not zero.any()
        assert (scale > 0).all()
        if typed == "fp16":
            assert scale.dtype == np.float16
            assert (scale >= LEAST_HALF_SCALE).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_stands_between_what_tensorrt_fuses(files: Files, name: str) -> None:
    network = network_of(files[name, "fp32"][1])
    fused = ("Relu", "Clip", "Sigmoid")
    for node in network.nodes:
        reads = [network.producers.get(tensor) for tensor in network.activations(node)]
        kinds = [before.op_type for before in reads if before is not None]
        if node.op_type in (*fused, "Concat", "Resize", "MaxPool", "AveragePool"):
            assert "DequantizeLinear" not in kinds, node.name
        if node.op_type == "QuantizeLinear":
            after = network.producers.get(node.input[0])
            if after is not None and after.op_type == "Conv":
                readers = {reader.op_type for reader in network.readers(node.input[0])}
                assert not readers & set(fused), node.name


@pytest.mark.parametrize("name", SHIPPED)
def test_of_a_sum_only_the_branch_past_the_convolution_is_rounded(files: Files, name: str) -> None:
    network = network_of(files[name, "fp32"][1])
    residual = 0
    for node in network.nodes:
        if node.op_type != "Add":
            continue
        kinds = [network.producers[tensor].op_type for tensor in network.activations(node)]
        if "DequantizeLinear" in kinds:
            assert sorted(kinds) == ["Conv", "DequantizeLinear"]
            residual += 1
        elif "Conv" in kinds:
            shapes = {network.shape(tensor) for tensor in node.input}
            alone = [t for t in node.input if network.only_reader(t) is not None]
            convs = [t for t in alone if network.producers[t].op_type == "Conv"]
            assert len(shapes) > 1 or not convs, node.name
    assert residual >= 5


@COMPUTED
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_keep_their_answers(files: Files, name: str, typed: str) -> None:
    """Each node computed as ONNX says is a model, bit by bit, of TensorRT's arithmetic."""
    model, data = files[name, typed]
    feeds = {model.spec.input.name: drawn_inputs(model.spec, 1, seed=77)[0]}
    for exact, other in zip(run(model.data, feeds), run(data, feeds, plain=True), strict=True):
        assert other.dtype == exact.dtype
        assert snr_db(exact, other) > LEAST_SNR[name]


def test_files_say_which_they_are(small: tuple[ModelFile, Calibration], tmp_path: Path) -> None:
    found = {}
    for typed in BOTH:
        data = to_int8_trt(*small, typed=typed, float_layers=["n:head"])
        file = as_file(data, tmp_path / f"{typed}.onnx")
        assert file.spec.precision == "int8"
        assert file.spec.build is not None
        assert file.spec.build.float_layers == ("n:head",)
        assert file.spec.build.source_sha256 == small[0].sha256
        found[typed] = (file.spec.build.variant, file.graph.opset >= 19)
        assert Calibration.from_file(file).ranges == small[1].ranges
    assert found == {"fp32": ("int8-trt", False), "fp16": ("int8-trt16", True)}


@pytest.mark.parametrize("name", SHIPPED)
def test_fp32_typed_files_are_of_an_opset_that_tensorrt_8_knows(files: Files, name: str) -> None:
    opset = onnx.load_from_string(files[name, "fp32"][1]).opset_import[0].version
    assert 13 <= opset <= 17


def test_float_layers_are_left_alone(small: tuple[ModelFile, Calibration]) -> None:
    network = network_of(to_int8_trt(*small, typed="fp32", float_layers=["n:wide", "n:head"]))
    by_name = {node.name: node for node in network.nodes}
    for layer in ("n:wide", "n:head"):
        assert by_name[layer].input[1] in network.constants
        assert network.producers[by_name[layer].input[0]].op_type != "DequantizeLinear"
    pair_before(network, by_name["n:half"].input[0])


def test_a_float_sum_is_left_alone(small: tuple[ModelFile, Calibration]) -> None:
    for floating, rounded in ((["n:sum"], 0), ([], 1)):
        network = network_of(to_int8_trt(*small, typed="fp32", float_layers=floating))
        (add,) = [node for node in network.nodes if node.op_type == "Add"]
        kinds = Counter(network.producers[tensor].op_type for tensor in add.input)
        assert kinds["DequantizeLinear"] == rounded


def test_all_layers_in_float_give_the_fp32_answers(small: tuple[ModelFile, Calibration]) -> None:
    model, calibration = small
    layers = [node.name for node in fp32_graph(model).graph.node]
    data = to_int8_trt(model, calibration, typed="fp32", float_layers=layers)
    feeds = {"image": random_inputs(1, seed=8)[0]}
    np.testing.assert_allclose(run(data, feeds)[0], run(model.data, feeds)[0], atol=1e-4)


def test_weights_are_no_worse_than_onnxruntimes_own_quantiser(
    small: tuple[ModelFile, Calibration], tmp_path: Path
) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    model, calibration = small
    pictures = random_inputs(24)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.left = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self.left, None)
            return None if picture is None else {"image": picture}

    plain = fp32_graph(model)
    kinds = sorted({node.op_type for node in plain.graph.node})
    onnx.save(plain, tmp_path / "fp32.onnx")
    quantization.quantize_static(
        str(tmp_path / "fp32.onnx"),
        str(tmp_path / "ort.onnx"),
        Reader(),
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "AddQDQPairToWeight": True,
            "OpTypesToExcludeOutputQuantization": kinds,
        },
    )
    theirs = (tmp_path / "ort.onnx").read_bytes()
    ours = to_int8_trt(model, calibration, typed="fp32")
    assert _weight_scales(ours) == pytest.approx(_weight_scales(theirs), rel=1e-2)
    feeds = [{"image": picture} for picture in random_inputs(6, seed=3)]
    exact = np.concatenate([run(model.data, feed)[0] for feed in feeds])
    mine, other = (
        snr_db(exact, np.concatenate([run(data, feed, plain=True)[0] for feed in feeds]))
        for data in (ours, theirs)
    )
    assert mine > other - 0.5


def _weight_scales(data: bytes) -> list[float]:
    network = network_of(data)
    found: list[float] = []
    for node in network.nodes:
        if node.op_type == "Conv":
            weight, _ = pair_before(network, node.input[1])
            found += network.constants[weight.input[1]].astype(float).tolist()
    return sorted(found)


def mixed_layers() -> onnx.ModelProto:
    """A convolution, a transposed one, a grouped transposed one, and a matrix product."""
    b = Builder(3)
    b.add("Cast", ["image"], "float", to=TensorProto.FLOAT)
    b.constant("size", np.array(255, np.float32))
    b.add("Div", ["float", "size"], "unit")
    b.constant("mix", b.rng.normal(0, 1, (3, 4)).astype(np.float32))
    b.add("MatMul", ["unit", "mix"], "mixed")
    b.add("Transpose", ["mixed"], "planar", perm=[0, 3, 1, 2])
    b.constant("up.w", b.rng.normal(0, 0.5, (4, 6, 2, 2)).astype(np.float32))
    b.add("ConvTranspose", ["planar", "up.w"], "up", kernel_shape=[2, 2], strides=[2, 2])
    b.conv("up", "down", (4, 6, 3, 3), strides=[2, 2])
    b.constant("by.w", b.rng.normal(0, 0.5, (4, 1, 1, 1)).astype(np.float32))
    b.add("ConvTranspose", ["down", "by.w"], "scores", kernel_shape=[1, 1], group=4)
    return as_model(b, [1, 4, SIZE.height, SIZE.width])


@COMPUTED
def test_other_layers_with_weights(tmp_path: Path, typed: Typed) -> None:
    model = scene_model(tmp_path / "m.onnx", mixed_layers())
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 12), method="minmax", count=12)
    make = partial(to_int8_trt, model, calibration)
    network = network_of(make(typed="fp32"))
    by_name = {node.name: node for node in network.nodes}
    weight, _ = pair_before(network, by_name["n:mixed"].input[1])
    assert network.constants[weight.input[1]].shape == (), "one scale for a matrix"
    weight, _ = pair_before(network, by_name["n:up"].input[1])
    assert [item.i for item in weight.attribute] == [1]
    assert network.constants[weight.input[1]].shape == (6,)
    assert by_name["n:scores"].input[1] in network.constants, "grouped: left in float"
    feeds = {"image": random_inputs(1, seed=4)[0]}
    exact = run(model.data, feeds)[0]
    assert snr_db(exact, run(make(typed=typed), feeds, plain=True)[0]) > 25


def test_an_unknown_layer_is_refused(small: tuple[ModelFile, Calibration]) -> None:
    with pytest.raises(ModelError, match=r"has no layer 'stem'"):
        to_int8_trt(*small, float_layers=["stem"])


def test_a_calibration_of_another_model_is_refused(
    small: tuple[ModelFile, Calibration], tmp_path: Path
) -> None:
    other = scene_model(tmp_path / "other.onnx", scene_graph(seed=1))
    with pytest.raises(ModelError, match="the calibration is of another file"):
        to_int8_trt(other, small[1])
