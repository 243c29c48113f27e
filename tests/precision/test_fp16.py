"""FP16-typed files: half precision between inputs and outputs, and the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_nets import (
    SHIPPED,
    as_file,
    drawn_inputs,
    float_model,
    planar_input,
    random_inputs,
    run,
    scene_graph,
    scene_model,
    snr_db,
)

from edgeseg.errors import ModelError
from edgeseg.model_file import load_model
from edgeseg.precision.fp16 import to_fp16
from edgeseg.precision.half import balanced_half, halve
from edgeseg.spec import ModelSpec


def decided(spec: ModelSpec, outputs: list[Any]) -> Any:
    """Class or person of each pixel; for objects, whether each proposal counts."""
    if spec.task == "semantic":
        return outputs[0].argmax(axis=1)
    if spec.task == "portrait":
        return outputs[0] >= spec.thresholds.decision
    return outputs[[o.meaning for o in spec.outputs].index("scores")] >= spec.thresholds.score


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_keep_their_answers(name: str, tmp_path: Path) -> None:
    model = load_model(name)
    file = as_file(to_fp16(model), tmp_path / f"{name}.fp16.onnx")
    assert (file.graph.inputs, file.graph.outputs) == (model.graph.inputs, model.graph.outputs)
    for picture in drawn_inputs(model.spec, 1, seed=9):
        feeds = {model.spec.input.name: picture}
        exact, other = run(model.data, feeds), run(file.data, feeds)
        for one, two in zip(exact, other, strict=True):
            assert two.dtype == np.float32
            assert snr_db(one, two) > 45
            assert np.abs(one - two).max() < 0.06 * np.abs(one).max()
        same = decided(model.spec, exact) == decided(model.spec, other)
        assert same.mean() >= 0.999


@pytest.mark.parametrize("name", SHIPPED)
def test_all_between_inputs_and_outputs_is_half(name: str) -> None:
    model = onnx.load_from_string(to_fp16(load_model(name)))
    onnx.checker.check_model(model, full_check=True)
    graph = onnx.shape_inference.infer_shapes(model).graph
    scales = {n.input[2] for n in graph.node if n.op_type == "Resize" and len(n.input) > 2}
    floats = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    assert floats <= scales
    outputs = {output.name for output in graph.output}
    kinds = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    assert not {name for name, kind in kinds.items() if kind == TensorProto.FLOAT} - outputs
    casts = [node for node in graph.node if node.op_type == "Cast"]
    assert len(casts) == 1 + len(outputs), "one of the picture, one of each output"


def test_the_recipe_says_how_it_was_made(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    file = as_file(to_fp16(model), tmp_path / "m.fp16.onnx")
    assert file.spec.precision == "fp16"
    assert file.spec.build is not None
    assert (file.spec.build.variant, file.spec.build.source_sha256) == ("fp16", model.sha256)
    assert file.graph.opset >= 19


def test_a_weight_beyond_half_precision_is_refused_by_name(tmp_path: Path) -> None:
    graph = scene_graph()
    for tensor in graph.graph.initializer:
        if tensor.name == "head.w":
            values = numpy_helper.to_array(tensor).copy()
            values[0, 0] = -1e6
            tensor.CopyFrom(numpy_helper.from_array(values, "head.w"))
    model = scene_model(tmp_path / "m.onnx", graph)
    with pytest.raises(ModelError, match=r"weight 'head.w' holds 1e\+06, beyond float16's 65504"):
        to_fp16(model)


def test_a_bound_beyond_half_precision_means_none(tmp_path: Path) -> None:
    graph = scene_graph()
    for tensor in graph.graph.initializer:
        if tensor.name == "six":
            largest = np.array(np.finfo(np.float32).max, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(largest, "six"))
    model = scene_model(tmp_path / "m.onnx", graph)
    feeds = {"image": random_inputs(1)[0]}
    exact, other = run(model.data, feeds)[0], run(to_fp16(model), feeds)[0]
    np.testing.assert_allclose(other, exact, atol=0.02)


def test_a_float_input_keeps_its_type(tmp_path: Path) -> None:
    model = float_model(tmp_path / "m.onnx")
    file = as_file(to_fp16(model), tmp_path / "m.fp16.onnx")
    assert file.graph.inputs[0].dtype == "float32"
    feeds = {"image": planar_input(random_inputs(1)[0])}
    exact, other = (run(data, feeds)[0] for data in (model.data, file.data))
    np.testing.assert_allclose(other, exact, atol=0.03)


def test_scales_of_a_resize_stay_float32() -> None:
    graph = halve(scene_graph(), "m.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds["twice/float32"] == TensorProto.FLOAT
    assert "twice" not in kinds, "nothing else reads it"
    assert kinds["head.w"] == kinds["six"] == TensorProto.FLOAT16
    assert kinds["sizes"] == TensorProto.INT64


def test_scales_that_something_else_reads_too(tmp_path: Path) -> None:
    graph = scene_graph()
    graph.graph.node[-1].output[0] = "large"
    graph.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["twice"], ["two"], keepdims=0),
            helper.make_node("Mul", ["large", "two"], ["scores"]),
        ]
    )
    model = scene_model(tmp_path / "m.onnx", graph)
    halved = halve(graph, "m.onnx")  # not folded first: the constant has two readers
    kinds = {tensor.name: tensor.data_type for tensor in halved.graph.initializer}
    assert (kinds["twice"], kinds["twice/float32"]) == (TensorProto.FLOAT16, TensorProto.FLOAT)
    feeds = {"image": random_inputs(1)[0]}
    exact = run(model.data, feeds)[0]
    np.testing.assert_allclose(run(to_fp16(model), feeds)[0], exact, atol=0.05)


def test_constants_inside_nodes_become_half() -> None:
    value = numpy_helper.from_array(np.array([2.5], np.float32))
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=value),
        helper.make_node("Mul", ["x", "filled"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy")
    shape = numpy_helper.from_array(np.array([1, 3], np.int64), "shape")
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [shape]),
        opset_imports=[helper.make_opsetid("", 19)],
    )
    model.ir_version = 9
    data = halve(model, "m.onnx").SerializeToString()
    found = run(data, {"x": np.array([[1, 2, 3]], np.float32)})[0]
    np.testing.assert_array_equal(found, [[2.5, 5, 7.5]])
    assert found.dtype == np.float32


def test_the_sum_of_each_kernel_stays() -> None:
    rng = np.random.default_rng(0)
    kernels = rng.normal(0, 300, (16, 2, 3, 3)).astype(np.float32)
    kernels[:, :, 1, 1] = 0.01 * rng.normal(0, 1, (16, 2))
    half = balanced_half(kernels).astype(np.float64)
    balanced = np.abs(half.sum(axis=(2, 3)) - kernels.sum(axis=(2, 3), dtype=np.float64))
    alone = np.abs((kernels.astype(np.float16) - kernels.astype(np.float64)).sum(axis=(2, 3)))
    assert balanced.mean() < alone.mean() / 100
    changed = np.abs(half - kernels)
    assert changed.max() < 0.6, "by no more than what the other taps lost"
