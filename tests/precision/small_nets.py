"""A small network with what real ones have, and drawn pictures for the shipped ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import embed, save

from edgeseg.config import SourceConfig
from edgeseg.model_file import ModelFile, load_model
from edgeseg.ops.image import network_input
from edgeseg.precision.calibration import Calibration
from edgeseg.protocols import Tensor
from edgeseg.spec import InputSpec, ModelSpec, OutputSpec
from edgeseg.types import Size
from edgeseg.video.synthetic import SyntheticSource

ORT = tuple(int(part) for part in ort.__version__.split(".")[:2])
SIZE = Size(32, 24)
CLASSES = 4
SHIPPED = ("driving", "driving-icnet", "instances", "portrait", "portrait-sinet")
SEMANTIC = ("driving", "driving-icnet")


def run(data: bytes, feeds: dict[str, Tensor], *, plain: bool = False) -> list[Any]:
    """Outputs of a network; ``plain`` computes each node as ONNX says, without INT8 kernels."""
    return list(session(data, plain=plain).run(None, feeds))


def session(data: bytes, *, plain: bool = False) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def optimised(data: bytes, path: Path) -> onnx.ModelProto:
    """The graph as ONNX Runtime runs it."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def snr_db(exact: Any, other: Any) -> float:
    """Signal to noise, computed here on purpose."""
    signal = np.asarray(exact, np.float64)
    return float(10 * np.log10((signal**2).sum() / max(((signal - other) ** 2).sum(), 1e-30)))


def drawn_inputs(spec: ModelSpec, count: int, *, seed: int = 1) -> list[Tensor]:
    """Inputs made from drawn frames of the kind a model is for."""
    scene = "portrait" if spec.task == "portrait" else "road"
    source = SyntheticSource(
        SourceConfig(uri=f"synthetic://{scene}?size=480x360&frames={count}&seed={seed}")
    )
    inputs = []
    while (frame := source.read()) is not None:
        inputs.append(network_input(frame, spec.input)[0])
    source.close()
    return inputs


def drawn_folder(folder: Path, count: int, *, seed: int = 0, size: Size = SIZE) -> Path:
    """A folder of smooth random pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(random_pictures(count, seed=seed, size=size)):
        cv2.imwrite(filename=str(folder / f"{number:03d}.png"), img=picture)
    return folder


def random_pictures(count: int, *, seed: int = 0, size: Size = SIZE) -> list[Any]:
    """Smooth random uint8 [H, W, 3] pictures."""
    rng = np.random.default_rng(seed)
    small = [rng.integers(0, 256, (4, 5, 3)).astype(np.uint8) for _ in range(count)]
    return [cv2.resize(src=one, dsize=tuple(size), interpolation=cv2.INTER_CUBIC) for one in small]


def random_inputs(count: int, *, seed: int = 0) -> list[Tensor]:
    """Inputs of `scene_model`."""
    return [picture[None] for picture in random_pictures(count, seed=seed)]


class Builder:
    """Collects nodes and weights of a network."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Any] = {}

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=f"n:{output}", **attributes)
        )
        return output

    def constant(self, name: str, value: Any) -> str:
        self.weights[name] = np.asarray(value)
        return name

    def conv(self, x: str, output: str, shape: tuple[int, ...], **attributes: Any) -> str:
        fan = int(np.prod(shape[1:]))
        values = self.rng.normal(0, 1.5 / fan**0.5, shape).astype(np.float32)
        bias = self.rng.normal(0, 0.2, shape[0]).astype(np.float32)
        names = [self.constant(f"{output}.w", values), self.constant(f"{output}.b", bias)]
        side = shape[2]
        return self.add(
            "Conv", [x, *names], output, kernel_shape=[side] * 2, pads=[side // 2] * 4, **attributes
        )


def scene_graph(seed: int = 0, *, mean: Any = 127.5) -> onnx.ModelProto:
    """Picture -> normalisation -> conv, batch norm, ReLU6, depthwise, residual, concat, resize."""
    b = Builder(seed)
    b.constant(
        "mean",
        np.broadcast_to(np.asarray(mean, np.float32).reshape(1, -1, 1, 1), (1, 3, 1, 1)).copy(),
    )
    b.constant("scale", np.array(64, np.float32))
    b.constant("zero", np.array(0, np.float32))
    b.constant("six", np.array(6, np.float32))
    for name, value in (("gamma", 1.5), ("beta", 0.3), ("mu", 0.1), ("var", 0.8)):
        b.constant(name, np.full(8, value, np.float32))
    b.add("Transpose", ["image"], "planar", perm=[0, 3, 1, 2])
    b.add("Cast", ["planar"], "float", to=TensorProto.FLOAT)
    b.add("Sub", ["float", "mean"], "centred")
    b.add("Div", ["centred", "scale"], "normal")
    b.conv("normal", "stem", (8, 3, 3, 3), strides=[2, 2])
    b.add("BatchNormalization", ["stem", "gamma", "beta", "mu", "var"], "stem.bn")
    b.add("Clip", ["stem.bn", "zero", "six"], "stem.act")
    b.conv("stem.act", "wide", (8, 1, 3, 3), group=8)
    b.add("Relu", ["wide"], "wide.act")
    b.conv("wide.act", "narrow", (8, 8, 1, 1))
    b.add("Add", ["stem.act", "narrow"], "sum")
    b.conv("sum", "half", (8, 8, 3, 3), strides=[2, 2])
    b.add("Relu", ["half"], "half.act")
    b.constant("sizes", np.array([1, 8, SIZE.height // 2, SIZE.width // 2], np.int64))
    b.add("Resize", ["half.act", "", "", "sizes"], "back", mode="linear")
    b.add("Concat", ["sum", "back"], "both", axis=1)
    b.conv("both", "head", (CLASSES, 16, 1, 1))
    b.constant("twice", np.array([1, 1, 2, 2], np.float32))
    b.add("Resize", ["head", "", "twice"], "scores", mode="linear")
    return as_model(b, [1, CLASSES, SIZE.height, SIZE.width])


def as_model(b: Builder, out: list[int]) -> onnx.ModelProto:
    """A model from "image" to "scores" of a shape."""
    image = helper.make_tensor_value_info(
        "image", TensorProto.UINT8, [1, SIZE.height, SIZE.width, 3]
    )
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, out)
    weights = [numpy_helper.from_array(value, name) for name, value in b.weights.items()]
    graph = helper.make_graph(b.nodes, "small", [image], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def scene_spec(**changes: Any) -> ModelSpec:
    """The recipe of `scene_graph`."""
    values: dict[str, Any] = {
        "name": "small",
        "task": "semantic",
        "input": InputSpec(name="image", size=SIZE),
        "outputs": (OutputSpec(name="scores", meaning="scores"),),
        "classes": tuple("abcd"),
    }
    return ModelSpec(**{**values, **changes})


def scene_model(
    path: Path, graph: onnx.ModelProto | None = None, spec: ModelSpec | None = None
) -> ModelFile:
    """Writes and loads a small network."""
    graph = scene_graph() if graph is None else graph
    return load_model(save(path, embed(graph, scene_spec() if spec is None else spec)))


def float_model(path: Path) -> ModelFile:
    """A small network that takes float32 NCHW pictures of 0..255, as many of others do."""
    graph = scene_graph()
    del graph.graph.node[:2]
    graph.graph.node[0].input[0] = "image"
    shape = [1, 3, SIZE.height, SIZE.width]
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))
    picture = InputSpec(name="image", size=SIZE, layout="nchw", dtype="float32")
    return scene_model(path, graph, scene_spec(input=picture))


def planar_input(picture: Tensor) -> Tensor:
    """The input of `float_model` for one of `scene_model`."""
    return np.ascontiguousarray(picture.transpose(0, 3, 1, 2), np.float32)


def as_file(data: bytes, path: Path) -> ModelFile:
    """Writes and loads bytes that carry their recipe."""
    path.write_bytes(data)
    return load_model(path)


def drawn_calibration(model: ModelFile, factory: pytest.TempPathFactory) -> Calibration:
    """A calibration of a shipped model on a few drawn pictures, through the real thing.

    The pictures are the same for all tests, so that it is measured once.
    """
    from edgeseg.precision.calibrate import calibrate

    scene = "portrait" if model.spec.task == "portrait" else "road"
    folder = factory.getbasetemp() / "drawn" / scene
    if not folder.is_dir():
        folder.mkdir(parents=True)
        source = SyntheticSource(
            SourceConfig(uri=f"synthetic://{scene}?size=480x360&frames=6&seed=5")
        )
        while (frame := source.read()) is not None:
            planes = np.concatenate(
                [p.ravel() for p in (frame.planes.y, frame.planes.u, frame.planes.v)]
            )
            bgr = cv2.cvtColor(src=planes.reshape(-1, 480), code=cv2.COLOR_YUV2BGR_I420)
            cv2.imwrite(filename=str(folder / f"{frame.index}.png"), img=bgr)
        source.close()
    return calibrate(model, folder, count=6)
