"""The fake TensorRT itself: what a version lacks, it lacks; what TensorRT refuses, it refuses."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fake_driver import FakeDriver
from fake_tensorrt import RTX, TABLES, VERSIONS, Crashed, FakeGpu, make_tensorrt, read_table
from onnx import TensorProto, helper, numpy_helper


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        ("8.5.2", "IBuilderConfig.builder_optimization_level"),
        ("8.5.2", "IExecutionContext.set_aux_streams"),
        ("8.6.1", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"),
        ("8.6.1", "IProgressMonitor"),
        ("10.3.0", "ICudaEngine.num_bindings"),
        ("10.3.0", "IBuilderConfig.max_workspace_size"),
        ("10.13.3.9", "Builder.build_engine"),
        ("11.4.0.106", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH"),
        ("11.4.0.106", "BuilderFlag.FP16"),
        ("11.4.0.106", "BuilderFlag.INT8"),
        ("11.4.0.106", "IBuilderConfig.int8_calibrator"),
        ("11.4.0.106", "Builder.platform_has_fast_fp16"),
        (RTX, "BuilderFlag.FP16"),
    ],
)
def test_what_a_version_lacks_is_an_attribute_error(version: str, lacks: str) -> None:
    module = make_tensorrt(version, FakeGpu())
    with pytest.raises(AttributeError):
        attrgetter(lacks)(module)


def test_the_numbers_of_flags_are_those_of_the_version() -> None:
    def number(version: str) -> int:
        module = make_tensorrt(version, FakeGpu())
        return int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    assert (number("10.3.0"), number("11.4.0.106")) == (1, 0)


@pytest.fixture
def trt() -> ModuleType:
    return make_tensorrt("10.3.0", FakeGpu())


def test_wrong_arguments_are_a_type_error(trt: ModuleType) -> None:
    builder = trt.Builder(trt.Logger())
    wrong_calls: tuple[Callable[[], object], ...] = (
        lambda: builder.create_network(1, 2),
        lambda: builder.create_network(flag=1),
        lambda: trt.Builder(),
        lambda: trt.Builder("no logger"),
        lambda: trt.IBuilderConfig(),
        lambda: 1 << trt.BuilderFlag.FP16,
    )
    for wrong in wrong_calls:
        with pytest.raises(TypeError):
            wrong()


def test_attributes_it_has_not_cannot_be_set(trt: ModuleType) -> None:
    config = trt.Builder(trt.Logger()).create_builder_config()
    with pytest.raises(AttributeError):
        config.max_workspace_size = 1
    with pytest.raises(AttributeError):
        config.num_optimization_profiles = 1  # read only
    config.builder_optimization_level = 4
    assert config.builder_optimization_level == 4


def test_a_logger_must_be_initialised(trt: ModuleType) -> None:
    class Forgetful(trt.ILogger):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            pass

    forgetful: Any = Forgetful
    with pytest.raises(TypeError, match=r"__init__\(\) must be called"):
        trt.Builder(forgetful())


def test_names_not_faked_say_so(trt: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match="exists in this version, but is not faked"):
        trt.Builder(trt.Logger()).reset()


def test_without_a_driver_it_ends_as_the_real_one() -> None:
    newest, older = make_tensorrt("11.4.0.106"), make_tensorrt("10.3.0")
    with pytest.raises(Crashed):
        newest.Runtime(newest.Logger())
    with pytest.raises(Crashed):
        newest.Builder(newest.Logger())
    with pytest.raises(TypeError, match="returned nullptr"):
        older.Builder(older.Logger())
    rtx = make_tensorrt(RTX)
    assert rtx.Builder(rtx.Logger()).num_DLA_cores == 0


ZERO = np.int8(0)


def quantised(
    *, zero: Any = ZERO, half: bool = False, opset: int = 19, bias: bool = False
) -> bytes:
    """A Q and a DQ in a row; ``bias`` adds a DQ of int32, as ONNX Runtime's quantiser does."""
    kind, scale = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q1"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="dq1"),
    ]
    weights = [
        numpy_helper.from_array(scale(0.1), "scale"),
        numpy_helper.from_array(zero, "zero"),
    ]
    if bias:
        weights.append(numpy_helper.from_array(np.ones(3, np.int32), "b"))
        nodes.insert(0, helper.make_node("DequantizeLinear", ["b", "scale"], ["c"], name="bias"))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 3])],
        [helper.make_tensor_value_info("y", kind, [1, 3])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("version", [*VERSIONS, RTX])
@pytest.mark.parametrize(
    ("model", "node", "said"),
    [
        (quantised(zero=np.uint8(0)), "q1", "UInt8"),
        (quantised(zero=np.int8(3)), "q1", "shiftIsAllZeros"),
        (quantised(bias=True), "bias", "type Int32"),
        (quantised(half=True, opset=17), "", "float16"),
        (b"garbage", "", "Failed to parse"),
    ],
)
def test_the_parser_refuses_what_tensorrt_refuses(
    version: str, model: bytes, node: str, said: str
) -> None:
    module = make_tensorrt(version, FakeGpu())
    parser = module.OnnxParser(module.Builder(module.Logger()).create_network(1), module.Logger())
    assert not parser.parse(model)
    error = parser.get_error(0)
    assert said in error.desc()
    if node and not version.startswith("8"):
        assert error.node_name() == node


@pytest.mark.parametrize(("version", "takes"), [("8.6.1", False), ("10.3.0", True)])
def test_half_scales_are_read_from_version_10_on(version: str, takes: bool) -> None:
    module = make_tensorrt(version, FakeGpu())
    flag = module.NetworkDefinitionCreationFlag
    bits = 1 << int(getattr(flag, "STRONGLY_TYPED", flag.EXPLICIT_BATCH))
    parser = module.OnnxParser(
        module.Builder(module.Logger()).create_network(bits), module.Logger()
    )
    assert parser.parse(quantised(half=True)) is takes


def test_an_implicit_batch_is_refused_by_version_8() -> None:
    module = make_tensorrt("8.6.1", FakeGpu())
    parser = module.OnnxParser(module.Builder(module.Logger()).create_network(0), module.Logger())
    assert not parser.parse(quantised())
    assert "explicit batch" in parser.get_error(0).desc()


def built(module: ModuleType) -> bytes:
    builder = module.Builder(module.Logger())
    network = builder.create_network(1)
    assert module.OnnxParser(network, module.Logger()).parse(quantised())
    config = builder.create_builder_config()
    config.set_flag(module.BuilderFlag.INT8)
    return bytes(memoryview(builder.build_serialized_network(network, config)))


def test_engines_of_others_are_not_loaded(trt: ModuleType) -> None:
    others = (make_tensorrt("10.13.3.9", FakeGpu()), make_tensorrt("10.3.0", FakeGpu(sm=(8, 6))))
    with FakeDriver().current():
        plan = built(trt)
        runtime = trt.Runtime(trt.Logger())
        assert runtime.deserialize_cuda_engine(plan) is not None
        assert runtime.deserialize_cuda_engine(b"garbage") is None
        for other in others:
            assert other.Runtime(other.Logger()).deserialize_cuda_engine(plan) is None


def test_a_build_needs_the_context_current(trt: ModuleType) -> None:
    with pytest.raises(AssertionError, match="no context is current"):
        built(trt)


def test_tables_are_small_and_name_their_version() -> None:
    for path in TABLES.glob("*.json"):
        assert path.stat().st_size < 40_000
        table, _ = read_table(path.stem)
        assert path.stem.removeprefix("rtx-") == table["version"]
