"""Casting a picture before transposing it changes no result."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgeseg.model_file import load_model, shipped_models
from edgeseg.precision.cast_first import cast_first
from edgeseg.precision.graph import fp32_graph


def run(model: onnx.ModelProto, feeds: dict[str, object]) -> list[object]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_results_stay_and_bytes_are_read_by_a_cast_only(name: str) -> None:
    model = load_model(name)
    graph = fp32_graph(model)
    moved = cast_first(graph)
    onnx.checker.check_model(moved)
    picture = model.spec.input.name
    assert [n.op_type for n in moved.graph.node if picture in n.input] == ["Cast"]
    assert [n.op_type for n in graph.graph.node if picture in n.input] == ["Transpose"], "a copy"
    feeds: dict[str, object] = {
        picture: np.random.default_rng(0).integers(0, 256, model.spec.input.shape, np.uint8)
    }
    for before, after in zip(run(graph, feeds), run(moved, feeds), strict=True):
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_a_graph_without_such_a_pair_stays() -> None:
    from tiny_onnx import network

    model = network()
    assert cast_first(model).SerializeToString() == model.SerializeToString()
