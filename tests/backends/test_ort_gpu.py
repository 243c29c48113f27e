"""ONNX Runtime's device network: bound by address, on host memory here, on a GPU where one is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_driver import FakeDriver, put
from onnx import TensorProto, helper
from tiny_onnx import GAIN, network, save, spec_for, tiny_model

from edgeseg.backends import BackendOptions, open_backend, ort_gpu
from edgeseg.backends.gpu import GpuBackend
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.ort_gpu import OrtNetwork, cuda_options, fixed_tensors
from edgeseg.backends.ort_providers import RTX_MODULE
from edgeseg.backends.ort_session import import_ort
from edgeseg.cuda.libcuda import gpus
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError
from edgeseg.model_file import ModelFile, load_model
from edgeseg.protocols import DeviceLane, DeviceNetwork
from edgeseg.segment import NetworkSegmenter

HAS_CUDA = "CUDAExecutionProvider" in import_ort().get_available_providers()


def expected(level: int) -> float:
    return float(1 / (1 + np.exp(-GAIN * (level - 127.5))))


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "tiny.onnx"))


def test_tensors_are_read_and_written_where_they_lie(model: ModelFile) -> None:
    network = OrtNetwork(model, device="cpu")
    picture = np.zeros((1, 24, 32, 3), np.uint8)
    scores = np.zeros((1, 1, 24, 32), np.float32)
    lane = network.lane(7)
    lane.bind({"image": picture.ctypes.data, "person": scores.ctypes.data})
    for level in (20, 140, 255):
        picture[:] = level
        lane.enqueue(7)
        np.testing.assert_allclose(scores, expected(level), atol=1e-5)
    lane.close()
    network.close()


def test_lanes_do_not_disturb_one_another(model: ModelFile) -> None:
    network = OrtNetwork(model, device="cpu")
    pictures = [np.full((1, 24, 32, 3), level, np.uint8) for level in (20, 140)]
    scores = [np.zeros((1, 1, 24, 32), np.float32) for _ in pictures]
    lanes = [network.lane(stream) for stream in (1, 2)]
    for lane, picture, score in zip(lanes, pictures, scores, strict=True):
        lane.bind({"image": picture.ctypes.data, "person": score.ctypes.data})
    for stream, lane in enumerate(lanes, start=1):
        lane.enqueue(stream)
    for level, score in zip((20, 140), scores, strict=True):
        np.testing.assert_allclose(score, expected(level), atol=1e-5)
    lanes[0].close()
    lanes[1].enqueue(2)


def test_it_is_not_captured(model: ModelFile) -> None:
    assert OrtNetwork(model, device="cpu").lane(1).capturable is False


def test_a_tensor_without_an_address_is_named(model: ModelFile) -> None:
    lane = OrtNetwork(model, device="cpu").lane(1)
    with pytest.raises(ModelError, match=r"tiny\.onnx: no device address for person"):
        lane.bind({"image": 4096})


def test_its_info_has_every_side_and_the_file(tmp_path: Path) -> None:
    graph = network()
    free = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, None, None, 3])
    graph.graph.input[0].CopyFrom(free)
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    model = load_model(save(tmp_path / "free.onnx", graph, spec_for()))
    info = OrtNetwork(model, device="cpu").info
    assert [(i.name, i.shape, i.dtype) for i in info.inputs] == [("image", (1, 24, 32, 3), "uint8")]
    assert [(o.name, o.shape, o.dtype) for o in info.outputs] == [
        ("person", (1, 1, 24, 32), "float32")
    ]
    assert (info.name, info.file, info.sha256) == (
        "onnxruntime-cuda",
        str(model.path),
        model.sha256,
    )


def test_outputs_as_long_as_what_is_found_are_refused(tmp_path: Path) -> None:
    graph = network()
    node = helper.make_node
    graph.graph.node.extend(
        [
            node("ReduceMean", ["scores"], ["row"], axes=[0, 1, 3], keepdims=0),
            node("Greater", ["row", "half"], ["rows"]),
            node("Compress", ["person", "rows"], ["people"], axis=2),
        ]
    )
    graph.graph.initializer.append(helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]))
    graph.graph.output[0].name = "people"
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    output = spec_for().outputs[0].model_copy(update={"name": "people"})
    spec = spec_for(outputs=(output,))
    model = load_model(save(tmp_path / "rows.onnx", graph, spec))
    with pytest.raises(
        ModelError, match=r"rows\.onnx: the size of its outputs depends on the picture; use --back"
    ):
        fixed_tensors(model)


class Deferred:
    """A network whose runs wait in the fake driver's streams, as a GPU's do."""

    def __init__(self, network: DeviceNetwork) -> None:
        self.network = network
        self.info = network.info
        self.close = network.close

    def lane(self, stream: int) -> DeviceLane:
        return DeferredLane(self.network.lane(stream))


class DeferredLane:
    def __init__(self, lane: DeviceLane) -> None:
        self.lane = lane
        self.capturable = lane.capturable
        self.close = lane.close

    def bind(self, addresses: Mapping[str, int]) -> None:
        self.lane.bind(addresses)

    def enqueue(self, stream: int) -> None:
        put(stream, lambda: self.lane.enqueue(stream))


@pytest.mark.parametrize("name", ["portrait-sinet", "driving-icnet", "instances"])
def test_shipped_models_give_what_they_give_on_the_cpu(name: str) -> None:
    model, driver = load_model(name), FakeDriver()
    backend = GpuBackend(model.spec, Deferred(OrtNetwork(model, device="cpu")), driver, lanes=2)
    rng = np.random.default_rng(1)
    picture = {model.spec.input.name: rng.integers(0, 256, model.spec.input.shape, np.uint8)}
    found, wanted = backend.infer(picture), OrtBackend(model).infer(picture)
    assert list(found) == list(wanted)
    for output, values in wanted.items():
        np.testing.assert_allclose(
            np.asarray(found[output], np.float32), np.asarray(values, np.float32), atol=1e-4
        )
    assert NetworkSegmenter(model.spec, backend).name == name
    backend.close()
    assert driver.leaks == []


def test_options_of_the_cuda_provider() -> None:
    options = cuda_options(gpu=1, stream=4096, fp16=False)
    assert options["device_id"] == "1"
    assert options["user_compute_stream"] == "4096"
    assert (options["use_tf32"], options["prefer_nhwc"]) == ("0", "0")
    assert cuda_options(gpu=0, stream=1, fp16=True)["prefer_nhwc"] == "1"
    assert all(isinstance(value, str) for value in options.values())


def test_int8_and_a_dla_are_refused(model: ModelFile) -> None:
    with pytest.raises(ConfigError, match=r"^int8 on onnxruntime-cuda runs in float: use --backen"):
        open_backend(model, kind="onnxruntime-cuda", options=BackendOptions(precision="int8"))
    with pytest.raises(ConfigError, match=r"^model\.dla: onnxruntime-cuda runs on the GPU"):
        open_backend(model, kind="onnxruntime-cuda", options=BackendOptions(dla=0))


@pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
def test_a_build_without_cuda_says_what_to_install(model: ModelFile) -> None:
    with pytest.raises(
        BackendUnavailable, match=r"has no CUDAExecutionProvider .* pip install 'edgeseg\[gpu\]'$"
    ):
        open_backend(model, kind="onnxruntime-cuda")


class TestMissingLibraries:
    """ONNX Runtime takes a provider it cannot start out of the list, says much, and runs on."""

    @pytest.fixture(autouse=True)
    def gpu_build(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """Plays the GPU build of a machine without CUDA."""
        ort = import_ort()
        real = ort.InferenceSession

        def falls_back(data: bytes, options: Any, providers: list[Any], **more: Any) -> Any:
            assert [name for name, _ in providers] == ["CUDAExecutionProvider"]
            assert more == {"enable_fallback": 0}  # it would print, and try again without
            return real(data, options, providers=["CPUExecutionProvider"])

        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
        monkeypatch.setattr(ort, "InferenceSession", falls_back)
        monkeypatch.setattr(ort, "__file__", str(tmp_path / "__init__.py"))
        monkeypatch.setattr(ort_gpu, "fixed_tensors", lambda model: ((), ()))
        (tmp_path / "capi").mkdir()
        return tmp_path / "capi"

    def test_the_library_is_named(self, model: ModelFile, gpu_build: Path) -> None:
        (gpu_build / "libonnxruntime_providers_cuda.so").write_bytes(b"junk")
        (gpu_build / "libonnxruntime_providers_tensorrt.so").write_bytes(b"not asked for")
        with pytest.raises(
            BackendUnavailable,
            match=r"^onnxruntime 1\.\S+ cannot load its CUDAExecutionProvider: .*_cuda\.so: .*; "
            r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'$",
        ):
            OrtNetwork(model).lane(1)

    def test_another_reason_is_noticed(self, model: ModelFile) -> None:
        with pytest.raises(
            BackendUnavailable,
            match=r"^asked onnxruntime for CUDAExecutionProvider, it runs on CPUExecutionProvider$",
        ):
            OrtNetwork(model).lane(1)


def test_what_preloading_prints_is_kept_from_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ort = import_ort()
    monkeypatch.setattr(ort, "preload_dlls", lambda: sys.stdout.write("no cuDNN"), raising=False)
    ort_gpu.load_cuda_libraries()
    assert capsys.readouterr().out == ""
    monkeypatch.delattr(ort, "preload_dlls")
    ort_gpu.load_cuda_libraries()


def test_a_network_that_fails_is_one_line(model: ModelFile) -> None:
    network = OrtNetwork(model, device="cpu")
    lane = network.lane(1)
    small = replace(network.info.outputs[0], shape=(1, 1, 2, 2))
    network._info = replace(network.info, outputs=(small,))
    lane = network.lane(1)
    picture, scores = np.zeros((1, 24, 32, 3), np.uint8), np.zeros((1, 1, 2, 2), np.float32)
    lane.bind({"image": picture.ctypes.data, "person": scores.ctypes.data})
    with pytest.raises(ModelError, match=r"tiny\.onnx: the network failed: ") as caught:
        lane.enqueue(1)
    assert "\n" not in str(caught.value)


needs_gpu = pytest.mark.skipif(
    not (HAS_CUDA and gpus()), reason="needs onnxruntime-gpu and an NVIDIA GPU"
)


def compare_with_cpu(model: ModelFile, kind: str, options: BackendOptions, *, off: float) -> None:
    """Outputs are the CPU's, up to a share of their largest value; three runs, two threads."""
    rng = np.random.default_rng(1)
    picture = {model.spec.input.name: rng.integers(0, 256, model.spec.input.shape, np.uint8)}
    wanted = OrtBackend(model).infer(picture)
    backend = open_backend(model, kind=kind, options=options)
    try:
        backend.warm_up()
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda _: backend.infer(picture), range(6)):
                for output, values in wanted.items():
                    true = np.asarray(values, np.float32)
                    given = np.asarray(found[output], np.float32)
                    np.testing.assert_allclose(given, true, atol=off * float(np.abs(true).max()))
    finally:
        backend.close()


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", ["portrait", "driving", "driving-icnet", "instances"])
@pytest.mark.parametrize("kind", ["onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_on_a_gpu_it_gives_what_the_cpu_gives(name: str, kind: str) -> None:
    if kind == "onnxruntime-tensorrt" and find_spec("tensorrt") is None:
        pytest.skip("tensorrt is not installed")
    if kind == "onnxruntime-rtx" and find_spec(RTX_MODULE) is None:
        pytest.skip(f"{RTX_MODULE} is not installed")
    compare_with_cpu(load_model(name), kind, BackendOptions(workers=2), off=2e-3)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("name", ["portrait", "driving"])
def test_on_a_gpu_fp16_is_close_to_the_cpu(name: str, tmp_path: Path) -> None:
    from edgeseg.precision.fp16 import to_fp16

    model = load_model(shutil.copy(load_model(name).path, tmp_path / "net.onnx"))
    (tmp_path / "net.fp16.onnx").write_bytes(to_fp16(model))
    options = BackendOptions(workers=2, precision="fp16")
    compare_with_cpu(model, "onnxruntime-cuda", options, off=2e-2)
