"""What is done to an exported graph: float16 storage, and sizes as constants."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")

import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgeseg.errors import ModelError
from edgeseg.models.half_weights import LEAST, round_weights, store_as_half
from edgeseg.models.static_shapes import write_sizes


def add_graph(weights: np.ndarray) -> onnx.ModelProto:
    """A model that adds `weights` to its input."""
    shape = list(weights.shape)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def added(model: onnx.ModelProto, shape: tuple[int, ...]) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.zeros(shape, np.float32)})[0])


def test_exact_weights_are_stored_as_half_and_read_as_float() -> None:
    weights = np.random.default_rng(0).standard_normal((4, LEAST)).astype(np.float16)
    model = add_graph(weights.astype(np.float32))
    before = len(model.SerializeToString())
    assert store_as_half(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert len(model.SerializeToString()) < 0.52 * before
    assert np.array_equal(added(model, weights.shape), weights.astype(np.float32))


@pytest.mark.parametrize(
    "weights",
    [
        np.full((2, LEAST), 0.1, np.float32),
        np.full((2, LEAST), 1e6, np.float32),
        np.full((LEAST - 1,), 0.5, np.float32),
    ],
    ids=["inexact", "too large", "small tensor"],
)
def test_other_weights_stay_as_they_are(weights: np.ndarray) -> None:
    model = add_graph(weights)
    before = model.SerializeToString()
    assert store_as_half(model) == 0
    assert model.SerializeToString() == before


def test_rounding_leaves_small_tensors_and_vectors_alone() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(64, 64, 1), nn.BatchNorm2d(2 * LEAST))
    before = [p.detach().clone() for p in layers.parameters()]
    round_weights(layers)
    changed = [not torch.equal(a, b) for a, b in zip(before, layers.parameters(), strict=True)]
    assert changed == [False, False, True, False, False, False]
    assert torch.equal(layers[1].weight, before[2].half().float())


def test_weights_beyond_float16_are_named() -> None:
    layers = nn.Sequential(nn.Conv2d(64, 64, 1))
    with torch.no_grad():
        layers[0].weight[0, 0] = 1e5
    with pytest.raises(ModelError, match=r"0\.weight: a weight of 1e\+05 does not fit float16"):
        round_weights(layers)


def test_computed_sizes_become_constants_and_their_computation_goes() -> None:
    """Resize to the height and width of another input, as PyTorch exports it."""
    nodes = [
        helper.make_node("Shape", ["like"], ["s"]),
        helper.make_node("Slice", ["s", "two", "four"], ["hw"]),
        helper.make_node("Shape", ["x"], ["xs"]),
        helper.make_node("Slice", ["xs", "zero", "two"], ["nc"]),
        helper.make_node("Concat", ["nc", "hw"], ["sizes"], axis=0),
        helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="nearest"),
        helper.make_node("Add", ["y", "like"], ["z"]),
    ]
    numbers = {"zero": 0, "two": 2, "four": 4}
    graph = helper.make_graph(
        nodes,
        "resize",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 3]),
            helper.make_tensor_value_info("like", TensorProto.FLOAT, [1, 1, 5, 7]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 1, 5, 7])],
        [numpy_helper.from_array(np.array([n], np.int64), name) for name, n in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    feed = {
        "x": np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3),
        "like": np.ones((1, 1, 5, 7), np.float32),
    }
    results = []
    for _ in range(2):
        session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        results.append(session.run(None, feed)[0])
        write_sizes(model)
    onnx.checker.check_model(model, full_check=True)
    assert np.array_equal(results[0], results[1])
    assert [node.op_type for node in model.graph.node] == ["Resize", "Add"]
    assert [tensor.name for tensor in model.graph.initializer] == ["y.shape"]
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == [1, 1, 5, 7]


def test_a_graph_without_computed_sizes_stays_byte_for_byte() -> None:
    model = add_graph(np.zeros((3, 4), np.float32))
    before = model.SerializeToString(deterministic=True)
    write_sizes(model)
    assert model.SerializeToString(deterministic=True) == before
