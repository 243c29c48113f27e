"""A convolution over packed columns gives the same numbers as the one it stands for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_nets import SIZE, drawn_folder, random_inputs, run, scene_graph, scene_model, snr_db

from edgeseg.model_file import ModelFile
from edgeseg.precision import int8_cpu
from edgeseg.precision.calibrate import calibrate
from edgeseg.precision.int8_cpu import to_int8


def stem_graph(
    *, side: int, stride: int, pads: list[int], halved: bool = False, **changes: Any
) -> onnx.ModelProto:
    """`scene_graph` with another first convolution, perhaps over half the picture."""
    graph = scene_graph().graph
    model = scene_graph()
    rng = np.random.default_rng(side)
    for tensor in model.graph.initializer:
        if tensor.name == "stem.w":
            values = rng.normal(0, 1 / side, (8, 3, side, side)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, "stem.w"))
    source = "small" if halved else "normal"
    attributes = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": pads, **changes}
    conv = helper.make_node(
        "Conv", [source, "stem.w", "stem.b"], ["stem"], name="n:stem", **attributes
    )
    nodes = list(graph.node)
    nodes[4] = conv
    if halved:
        sizes = np.array([1, 3, SIZE.height // 2, SIZE.width // 2], np.int64)
        model.graph.initializer.append(numpy_helper.from_array(sizes, "half.sizes"))
        nodes.insert(
            4,
            helper.make_node("Resize", ["normal", "", "", "half.sizes"], ["small"], mode="linear"),
        )
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    steps = stride * (2 if halved else 1)
    for tensor in model.graph.initializer:  # what is enlarged must fit what it is joined with
        if tensor.name == "sizes":
            side_lengths = [1, 8, SIZE.height // steps, SIZE.width // steps]
            tensor.CopyFrom(numpy_helper.from_array(np.array(side_lengths, np.int64), "sizes"))
    scores = [1, 4, 2 * SIZE.height // steps, 2 * SIZE.width // steps]
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, scores)
    )
    return model


def both(
    tmp_path: Path, graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelFile, bytes, bytes]:
    """A model, its INT8 file, and that file without packing."""
    model = scene_model(tmp_path / "m.onnx", graph)
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 12), method="minmax", count=12)
    packed = to_int8(model, calibration)
    with monkeypatch.context() as patch:
        patch.setattr(int8_cpu, "find_stem", lambda *_: None)
        return model, packed, to_int8(model, calibration)


def is_packed(data: bytes) -> bool:
    weights = {t.name: t.dims for t in onnx.load_from_string(data).graph.initializer}
    return bool(list(weights["n:stem/weight/numbers"])[1] == 12)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("side", "stride", "pads"),
    [
        (3, 2, [1, 1, 1, 1]),
        (3, 2, [0, 0, 1, 1]),
        (5, 2, [2, 2, 2, 2]),
        (7, 2, [3, 3, 3, 3]),
        (2, 2, [0, 0, 0, 0]),
        (1, 2, [0, 0, 0, 0]),
        (7, 4, [3, 3, 3, 3]),
        (4, 4, [0, 0, 0, 0]),
    ],
)
def test_numbers_stay_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    side: int,
    stride: int,
    pads: list[int],
    plain: bool,
) -> None:
    graph = stem_graph(side=side, stride=stride, pads=pads)
    _, packed, other = both(tmp_path, graph, monkeypatch)
    assert is_packed(packed)
    assert not is_packed(other)
    for picture in random_inputs(2, seed=3):
        feeds = {"image": picture}
        exact, found = run(other, feeds, plain=plain)[0], run(packed, feeds, plain=plain)[0]
        np.testing.assert_allclose(found, exact, atol=1e-5)


@pytest.mark.parametrize(("side", "pads"), [(3, [1, 1, 1, 1]), (1, [0, 0, 0, 0])])
def test_halving_becomes_part_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, pads: list[int]
) -> None:
    graph = stem_graph(side=side, stride=2 if side > 1 else 1, pads=pads, halved=True)
    model, packed, other = both(tmp_path, graph, monkeypatch)
    assert is_packed(packed)
    kinds = [
        Counter(n.op_type for n in onnx.load_from_string(d).graph.node) for d in (packed, other)
    ]
    assert kinds[0]["Resize"] == kinds[1]["Resize"] - 1
    feeds = [{"image": picture} for picture in random_inputs(4, seed=3)]
    exact, near, far = (
        np.concatenate([run(data, feed)[0] for feed in feeds])
        for data in (model.data, packed, other)
    )
    assert snr_db(exact, near) > snr_db(exact, far) - 1.5, "no rounding after halving any more"


def test_a_bias_of_a_halved_picture_fits_int32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = stem_graph(side=3, stride=2, pads=[1] * 4, halved=True)
    for tensor in graph.graph.initializer:
        if tensor.name == "stem.w":
            values = numpy_helper.to_array(tensor).copy()
            values[0] = 1e-9
            tensor.CopyFrom(numpy_helper.from_array(values, "stem.w"))
    model, packed, _ = both(tmp_path, graph, monkeypatch)
    feeds = {"image": random_inputs(1, seed=3)[0]}
    assert snr_db(run(model.data, feeds)[0], run(packed, feeds)[0]) > 20


@pytest.mark.parametrize(
    "changes",
    [
        {"side": 3, "stride": 1, "pads": [1, 1, 1, 1]},
        {"side": 3, "stride": 2, "pads": [2, 2, 2, 2], "dilations": [2, 2]},
        {"side": 3, "stride": 2, "pads": [1, 1, 1, 1], "strides": [2, 1]},
    ],
    ids=["every pixel", "dilated", "uneven"],
)
def test_other_convolutions_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    model = stem_graph(**changes)
    if changes.get("strides") == [2, 1]:
        for tensor in model.graph.initializer:
            if tensor.name == "sizes":
                sizes = np.array([1, 8, SIZE.height // 2, SIZE.width], np.int64)
                tensor.CopyFrom(numpy_helper.from_array(sizes, "sizes"))
        shape = [1, 4, SIZE.height, 2 * SIZE.width]
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
        )
    _, packed, other = both(tmp_path, model, monkeypatch)
    assert packed == other


def test_a_layer_in_float_is_not_packed(tmp_path: Path) -> None:
    model = scene_model(tmp_path / "m.onnx")
    calibration = calibrate(model, drawn_folder(tmp_path / "p", 4), count=4)
    graph = onnx.load_from_string(to_int8(model, calibration, float_layers=["n:stem"])).graph
    (stem,) = [node for node in graph.node if node.name == "n:stem"]
    kinds = {t.name: t.data_type for t in graph.initializer}
    assert kinds[stem.input[1]] == TensorProto.FLOAT
    assert not any("packed" in node.name for node in graph.node)
