"""The wire reader against the onnx package."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_onnx import embed, network, spec_for

from edgeseg.errors import ModelError
from edgeseg.model_file import read_onnx, without_initialiser_inputs, without_metadata
from edgeseg.protocols import TensorInfo
from edgeseg.spec import METADATA_KEY


def test_interface_and_metadata_are_read() -> None:
    model = embed(network("pair", layout="nchw", dtype="float32"), spec_for())
    read = read_onnx(model.SerializeToString(), where="m.onnx")
    assert read.inputs == (TensorInfo("image", (1, 3, 24, 32), "float32"),)
    assert read.outputs == (TensorInfo("person", (1, 2, 24, 32), "float32"),)
    assert (read.ir_version, read.opset) == (8, 13)
    assert read.nodes == len(model.graph.node)
    assert read.metadata == {METADATA_KEY: spec_for().to_json()}


def test_free_axes_read_as_none() -> None:
    free = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, None, 7])
    out = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    node = helper.make_node("Identity", ["x"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [free], [out]))
    read = read_onnx(model.SerializeToString(), where="m.onnx")
    assert read.inputs == (TensorInfo("x", (None, 3, None, 7), "float32"),)
    assert read.outputs == (TensorInfo("y", (), "int64"),)


def test_opset_is_the_default_domain_s() -> None:
    model = network()
    model.opset_import.insert(0, helper.make_opsetid("com.microsoft", 99))
    assert read_onnx(model.SerializeToString(), where="m.onnx").opset == 13


def test_weights_listed_as_inputs_are_not_inputs_to_feed() -> None:
    model = network(weights_as_inputs=True)
    assert len(model.graph.input) == 4
    assert [i.name for i in read_onnx(model.SerializeToString(), where="m").inputs] == ["image"]


def test_stripping_removes_exactly_the_weights_from_the_inputs() -> None:
    model = network("pair", weights_as_inputs=True)
    stripped = onnx.load_from_string(
        without_initialiser_inputs(model.SerializeToString(), where="m.onnx")
    )
    onnx.checker.check_model(stripped)
    expected = onnx.ModelProto()
    expected.CopyFrom(model)
    del expected.graph.input[1:]
    assert stripped == expected


def test_sparse_weights_are_stripped_too() -> None:
    model = network(weights_as_inputs=True)
    weight = next(w for w in model.graph.initializer if w.name == "zero")
    model.graph.initializer.remove(weight)
    index = helper.make_tensor("", TensorProto.INT64, [1], [0])
    values = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, index, [1]))
    read = read_onnx(model.SerializeToString(), where="m.onnx")
    assert [i.name for i in read.inputs] == ["image"]
    stripped = without_initialiser_inputs(model.SerializeToString(), where="m.onnx")
    assert [i.name for i in onnx.load_from_string(stripped).graph.input] == ["image"]


def test_clean_and_very_old_models_come_back_as_the_same_object() -> None:
    clean = network().SerializeToString()
    assert without_initialiser_inputs(clean, where="m.onnx") is clean
    old = network(weights_as_inputs=True, ir_version=3).SerializeToString()
    assert without_initialiser_inputs(old, where="m.onnx") is old


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"not a model, but a line of text\n" * 20,
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"\xff" * 64,
        lambda data: b"\x89PNG\r\n\x1a\n" + bytes(64),
    ],
    ids=["empty", "text", "half", "one-byte-short", "endless-varint", "png"],
)
def test_what_is_no_onnx_gets_one_line(damage: Callable[[bytes], bytes]) -> None:
    data = damage(network().SerializeToString())
    for read in (read_onnx, without_initialiser_inputs):
        with pytest.raises(ModelError, match=r"^m\.onnx: not an ONNX model, or damaged: .*again$"):
            read(data, where="m.onnx")


def test_every_truncation_is_refused_or_harmless() -> None:
    data = embed(network("pair"), spec_for("pair")).SerializeToString()
    for end in range(0, len(data), 7):
        try:
            read_onnx(data[:end], where="m.onnx")
        except ModelError:
            continue


def test_recipes_are_no_part_of_what_a_model_computes() -> None:
    model = network()
    plain = without_metadata(model.SerializeToString())
    model.metadata_props.add(key="edgeseg.spec", value="{}")
    assert without_metadata(model.SerializeToString()) == plain
    model.graph.node[0].name = "other"
    assert without_metadata(model.SerializeToString()) != plain
