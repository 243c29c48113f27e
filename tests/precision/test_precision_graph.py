"""FP32 graphs: everything constant folded, nothing else changed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from shutil import which

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_nets import (
    SHIPPED,
    drawn_inputs,
    random_inputs,
    run,
    scene_graph,
    scene_model,
    scene_spec,
)

from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.precision import graph as module
from edgeseg.precision.graph import fp32_graph, in_opset
from edgeseg.precision.network import Network, in_order


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_compute_the_same(name: str) -> None:
    model = load_model(name)
    graph = fp32_graph(model)
    onnx.checker.check_model(graph, full_check=True)
    for picture in drawn_inputs(model.spec, 1):
        feeds = {model.spec.input.name: picture}
        for before, after in zip(
            run(model.data, feeds), run(graph.SerializeToString(), feeds), strict=True
        ):
            np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_hold_plain_weights(name: str) -> None:
    graph = fp32_graph(load_model(name)).graph
    kinds = {tensor.data_type for tensor in graph.initializer}
    assert kinds <= {TensorProto.FLOAT, TensorProto.INT64}, "float16 weights are folded"
    assert "Constant" not in {node.op_type for node in graph.node}
    assert sum(node.op_type == "Cast" for node in graph.node) == 1, "the picture's"
    names = [node.name for node in graph.node]
    assert len(names) == len(set(names))
    assert all(names)
    known = {info.name for info in (*graph.value_info, *graph.output)}
    assert {output for node in graph.node for output in node.output} <= known


def test_it_is_the_same_each_time() -> None:
    model = load_model("portrait")
    first, second = (fp32_graph(model) for _ in range(2))
    assert [n.name for n in first.graph.node] == [n.name for n in second.graph.node]
    assert not first.metadata_props


def test_interface_stays() -> None:
    model = load_model("instances")
    before, after = onnx.load_from_string(model.data).graph, fp32_graph(model).graph
    assert [i.SerializeToString() for i in before.input] == [
        i.SerializeToString() for i in after.input
    ]
    assert [o.name for o in before.output] == [o.name for o in after.output]


def test_batch_normalisation_is_folded(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    graph = fp32_graph(model)
    kinds = {node.op_type for node in graph.graph.node}
    assert "BatchNormalization" not in kinds
    for picture in random_inputs(3):
        before, after = (
            run(data, {"image": picture})[0] for data in (model.data, graph.SerializeToString())
        )
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_weights_listed_as_inputs_become_constants(tmp_path: Path) -> None:
    graph = scene_graph()
    graph.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in graph.graph.initializer
    )
    folded = fp32_graph(scene_model(tmp_path / "m.onnx", graph))
    assert [value.name for value in folded.graph.input] == ["image"]
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}


def test_free_axes_get_the_size_of_the_recipe(tmp_path: Path) -> None:
    graph = scene_graph()
    dims = graph.graph.input[0].type.tensor_type.shape.dim
    for at, name in enumerate(("n", "h", "w")):
        dims[at].dim_param = name
    network = Network(fp32_graph(scene_model(tmp_path / "m.onnx", graph)))
    assert network.shape("half.act") == (1, 8, 6, 8)


def test_an_older_opset_is_brought_up(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["p"], perm=[0, 3, 1, 2]),
        helper.make_node("Clip", ["p"], ["scores"], min=0.0, max=100.0),
    ]
    size = scene_spec().input.size
    image = helper.make_tensor_value_info(
        "image", TensorProto.UINT8, [1, size.height, size.width, 3]
    )
    out = helper.make_tensor_value_info(
        "scores", TensorProto.FLOAT, [1, 3, size.height, size.width]
    )
    old = helper.make_model(
        helper.make_graph(nodes, "old", [image], [out]), opset_imports=[helper.make_opsetid("", 9)]
    )
    old.ir_version = 7
    model = scene_model(tmp_path / "old.onnx", old, scene_spec(classes=("a", "b", "c")))
    graph = fp32_graph(model)
    assert graph.opset_import[0].version == 13
    picture = random_inputs(1)[0]
    expected = np.minimum(picture.transpose(0, 3, 1, 2), 100)
    np.testing.assert_array_equal(run(graph.SerializeToString(), {"image": picture})[0], expected)


def old_enlargement(path: Path, mode: str) -> ModelFile:
    """A model of opset 9 that ends in an enlargement, which starts at the corner there."""
    size = scene_spec().input.size
    scales = numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["p"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["p"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Upsample", ["small", "scales"], ["scores"], mode=mode),
    ]
    shape = [1, 3, size.height, size.width]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, *shape[2:], 3])
    out = helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
    old = helper.make_model(
        helper.make_graph(nodes, "old", [image], [out], [scales]),
        opset_imports=[helper.make_opsetid("", 9)],
    )
    old.ir_version = 7
    return scene_model(path, old, scene_spec(classes=("a", "b", "c")))


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_old_enlargements_still_start_at_the_corner(tmp_path: Path, mode: str) -> None:
    model = old_enlargement(tmp_path / "old.onnx", mode)
    feeds = {"image": random_inputs(1)[0]}
    before, after = (
        run(data, feeds)[0] for data in (model.data, fp32_graph(model).SerializeToString())
    )
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_conversion_that_changes_results_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As onnx's own does to enlargements if nothing is done about it."""
    monkeypatch.setattr(module, "_resize_as_before", lambda _: None)
    model = old_enlargement(tmp_path / "old.onnx", "linear")
    with pytest.raises(ModelError, match=r"computes something else once brought from opset 9 to"):
        fp32_graph(model)


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
def test_a_mean_over_the_picture_becomes_a_pooling(tmp_path: Path, axes: list[int]) -> None:
    graph = scene_graph()
    graph.graph.node.pop()
    graph.graph.node.append(helper.make_node("ReduceMean", ["head"], ["scores"], axes=axes))
    shape = graph.graph.output[0].type.tensor_type.shape.dim
    shape[2].dim_value = shape[3].dim_value = 1
    model = scene_model(tmp_path / "m.onnx", graph)
    folded = fp32_graph(model)
    assert folded.graph.node[-1].op_type == "GlobalAveragePool"
    picture = random_inputs(1)[0]
    before, after = (
        run(data, {"image": picture})[0] for data in (model.data, folded.SerializeToString())
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_nodes_without_names_get_one_of_what_they_compute(tmp_path: Path) -> None:
    graph = scene_graph()
    for node in graph.graph.node:
        node.name = ""
    names = [n.name for n in fp32_graph(scene_model(tmp_path / "m.onnx", graph)).graph.node]
    assert "Conv:head" in names
    assert len(set(names)) == len(names)


def test_only_fp32_models_are_taken(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx", spec=scene_spec(precision="int8"))
    with pytest.raises(ModelError, match=r"m\.onnx: has precision int8, expected an fp32 model"):
        fp32_graph(model)


def test_operators_of_others_are_named(tmp_path: Path) -> None:
    graph = scene_graph()
    graph.graph.node[-1].output[0] = "large"
    graph.graph.node.append(
        helper.make_node("QuickGelu", ["large"], ["scores"], domain="com.microsoft")
    )
    graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(ModelError, match=r"operators outside ONNX \(QuickGelu\)"):
        fp32_graph(scene_model(tmp_path / "m.onnx", graph))


def test_what_onnxruntime_refuses_is_said(tmp_path: Path) -> None:
    graph = scene_graph()
    graph.graph.node[4].attribute[0].ints[:] = [5, 5]
    with pytest.raises(ModelError, match=r"m\.onnx: onnxruntime .* cannot load it"):
        fp32_graph(scene_model(tmp_path / "m.onnx", graph))


def test_an_opset_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(ModelError, match=r"cannot be brought to opset 99: .*export it again"):
        in_opset(scene_graph(), 99, "m.onnx")


def test_nodes_are_sorted_whatever_their_order() -> None:
    nodes = list(scene_graph().graph.node)
    shuffled = nodes[:]
    random.Random(3).shuffle(shuffled)
    known = {"image", *(t.name for t in scene_graph().graph.initializer)}
    seen = set(known) | {""}
    for node in in_order(shuffled, known=known):
        assert seen.issuperset(node.input)
        seen.update(node.output)
    with pytest.raises(ModelError, match="'planar', which nothing gives"):
        in_order(nodes[1:2], known=known)


@pytest.mark.skipif(which("unshare") is None, reason="no file systems of our own here")
def test_no_room_for_temporary_files_is_said(tmp_path: Path) -> None:
    """A file system of 100 KiB, in a namespace of its own."""
    code = (
        "from edgeseg.errors import SinkRefused; from edgeseg.model_file import load_model\n"
        "from edgeseg.precision.graph import fp32_graph\n"
        "try: fp32_graph(load_model('portrait-sinet'))\n"
        "except SinkRefused as error: print(error)\n"
    )
    mount = f'mount -t tmpfs -o size=100k none {tmp_path} && exec {sys.executable} -c "$0"'
    run = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)},
    )
    if run.returncode:
        pytest.skip(f"no file system of our own here: {run.stderr.strip()[-200:]}")
    assert run.stdout.startswith(f"{tmp_path}: no room for a copy of ")
