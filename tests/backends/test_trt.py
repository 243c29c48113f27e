"""TensorRT as a backend: every version's engine gives the results of ONNX Runtime."""

from __future__ import annotations

import gc
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_kit import EVERY, driver_of, install, tiny
from fake_driver import FakeDriver
from fake_tensorrt import RTX

from edgeseg.backends import trt
from edgeseg.backends.gpu import GpuBackend
from edgeseg.backends.options import BackendOptions
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.trt import open_tensorrt
from edgeseg.errors import BackendUnavailable, ModelError, SpecMismatch
from edgeseg.model_file import ModelFile, load_model
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Tensor
from edgeseg.types import Frame, Size


@pytest.fixture(autouse=True)
def own_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(
    patch: pytest.MonkeyPatch, version: str, model: ModelFile, **options: Any
) -> tuple[GpuBackend, FakeDriver]:
    install(patch, version)
    driver = driver_of()
    patch.setattr(trt, "open_driver", lambda kind, gpu: driver)
    backend = open_tensorrt(model, BackendOptions(**options), rtx=version == RTX)
    assert isinstance(backend, GpuBackend)
    return backend, driver


def picture(size: Size, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (1, size.height, size.width, 3), np.uint8)


def assert_same(found: Tensor, wanted: Tensor, *, within: float = 1e-6) -> None:
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), atol=within)


@pytest.mark.parametrize("version", EVERY)
def test_an_engine_gives_what_onnx_runtime_gives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    model = tiny(tmp_path)
    backend, driver = opened(monkeypatch, version, model, workers=2)
    feeds = {"image": picture(model.spec.input.size)}
    wanted = OrtBackend(model).infer(feeds)["person"]
    assert_same(backend.infer(feeds)["person"], wanted)
    backend.warm_up()
    backend.close()
    backend.close()
    assert driver.leaks == []


@pytest.mark.parametrize("version", ["8.6.1", "11.4.0.106", RTX])
def test_a_frame_goes_in_and_a_mask_comes_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    model = tiny(tmp_path)
    backend, driver = opened(monkeypatch, version, model)
    bgr = np.zeros((48, 64, 3), np.uint8)
    bgr[:, 32:] = 255
    for _ in range(3):
        outputs, _ = backend.infer_frame(Frame(from_bgr(bgr), 0, 0.0))
    assert driver.graph_launches > 0, "an engine runs inside a CUDA graph"
    assert outputs["person"].dtype == np.uint8
    mask = outputs["person"].reshape(24, 32).astype(int)
    assert (mask[:, :15] < 10).all()
    assert (mask[:, 17:] > 245).all()
    backend.close()


def test_threads_get_their_own_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny(tmp_path)
    backend, driver = opened(monkeypatch, "10.3.0", model, workers=3)
    pictures = [picture(model.spec.input.size, seed) for seed in range(24)]
    wanted = [OrtBackend(model).infer({"image": one})["person"] for one in pictures]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda one: backend.infer({"image": one})["person"], pictures))
    for mine, theirs in zip(found, wanted, strict=True):
        assert_same(mine, theirs)
    backend.close()
    assert driver.leaks == []


def test_it_says_what_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend, _ = opened(monkeypatch, "10.3.0", tiny(tmp_path))
    info = backend.info
    assert (info.name, info.device, info.precision) == ("tensorrt", "cuda", "fp32")
    assert info.inputs[0].shape == (1, 24, 32, 3)
    assert (info.inputs[0].dtype, info.outputs[0].dtype) == ("uint8", "float32")
    assert Path(info.file).suffix == ".engine"
    assert len(info.sha256) == 64
    backend.close()


def test_free_axes_are_fixed_by_the_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import onnx
    from tiny_onnx import embed, network, save, spec_for

    loaded = network()
    loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    loaded.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(loaded)
    model = load_model(save(tmp_path / "free.onnx", embed(loaded, spec_for())))
    backend, _ = opened(monkeypatch, "10.3.0", model)
    feeds = {"image": picture(model.spec.input.size)}
    wanted = OrtBackend(model).infer(feeds)["person"]
    assert_same(backend.infer(feeds)["person"], wanted)
    backend.close()


def engine_of(folder: Path) -> Path:
    (path,) = (folder / "cache" / "edgeseg" / "engines").glob("*.engine")
    return path


def test_an_engine_tensorrt_refuses_is_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny(tmp_path)
    backend, _ = opened(monkeypatch, "10.3.0", model)
    backend.close()
    engine = engine_of(tmp_path)
    _replace_engine(engine, b"not what TensorRT wrote")
    with caplog.at_level(logging.WARNING):
        backend, _ = opened(monkeypatch, "10.3.0", model)
    assert "is refused by TensorRT 10.3.0 (magic tag does not match)" in caplog.text
    backend.close()
    _replace_engine(engine, b"not what TensorRT wrote")
    with pytest.raises(ModelError, match=r"is refused by .*--no-rebuild refuses to replace it"):
        opened(monkeypatch, "10.3.0", model, rebuild=False)


def _replace_engine(path: Path, data: bytes) -> None:
    """Puts bytes in an engine's place, with the checksum that belongs to them."""
    import hashlib

    manifest = json.loads(path.with_suffix(".json").read_text())
    manifest["engine_sha256"] = hashlib.sha256(data).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(manifest))
    path.write_bytes(data)


def test_a_failure_closes_the_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "10.3.0", faults=("memory",))
    driver = driver_of()
    monkeypatch.setattr(trt, "open_driver", lambda kind, gpu: driver)
    with pytest.raises(ModelError, match="not enough GPU memory"):
        open_tensorrt(tiny(tmp_path), BackendOptions(), rtx=False)
    assert driver.closed
    assert driver.leaks == []


def test_rtx_keeps_the_kernels_it_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny(tmp_path)
    backend, _ = opened(monkeypatch, RTX, model)
    backend.close()
    kernels = engine_of(tmp_path).with_suffix(".kernels")
    assert kernels.read_bytes() == b"kernels of 1.7.1.116"
    kernels.write_bytes(b"kernels of another")
    backend, _ = opened(monkeypatch, RTX, model)
    backend.close()
    assert kernels.read_bytes() == b"kernels of 1.7.1.116"
    before = kernels.stat().st_mtime_ns
    backend, _ = opened(monkeypatch, RTX, model)
    backend.close()
    assert kernels.stat().st_mtime_ns == before, "the same kernels are not written again"


def test_tensorrt_has_no_kernels_to_keep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend, _ = opened(monkeypatch, "11.4.0.106", tiny(tmp_path))
    backend.close()
    assert not engine_of(tmp_path).with_suffix(".kernels").exists()


def test_an_engine_that_does_not_fit_into_memory_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0", faults=("memory at load",))
    monkeypatch.setattr(trt, "open_driver", lambda kind, gpu: driver_of())
    with pytest.raises(ModelError, match="not enough GPU memory to load the engine"):
        open_tensorrt(tiny(tmp_path), BackendOptions(), rtx=False)


def test_without_a_driver_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="NVIDIA"):
        open_tensorrt(tiny(tmp_path), BackendOptions(), rtx=False)


def test_an_engine_that_is_not_the_recipe_s_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dataclasses import replace

    from tiny_onnx import network

    model = replace(tiny(tmp_path), data=network(dtype="float32").SerializeToString())
    with pytest.raises(SpecMismatch, match="recipe and engine differ"):
        opened(monkeypatch, "10.3.0", model)


def test_one_logger_serves_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TensorRT ignores all but the first, and what it says would be lost."""
    module = install(monkeypatch, "8.6.1", dla_cores=1)
    monkeypatch.setattr(trt, "open_driver", lambda kind, gpu: driver_of(dla_cores=1))
    for dla in (None, 0):
        options = BackendOptions(precision="fp16", dla=dla)
        open_tensorrt(tiny(tmp_path), options, rtx=False).close()
    assert len(module.Builder._world.loggers) == 1


def test_a_lane_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "10.3.0")
    driver, model = driver_of(), tiny(tmp_path)
    request = trt.request_for(BackendOptions(), rtx=False)
    with driver.current():
        network = trt.open_network(model, request, driver)
        lane = network.lane(driver.stream())
        assert lane.capturable
        with pytest.raises(ModelError, match="failed to bind image: address of image is not align"):
            lane.bind({"image": 257})
        with pytest.raises(
            ModelError, match=r"failed to run: no address for \['image', 'person'\]"
        ):
            lane.enqueue(7)
        network.close()


@pytest.mark.parametrize("name", ["portrait", "driving", "instances"])
def test_shipped_models_run(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = load_model(name)
    backend, driver = opened(monkeypatch, "8.6.1", model)
    feeds = {model.spec.input.name: picture(model.spec.input.size)}
    for output, wanted in OrtBackend(model).infer(feeds).items():
        assert_same(backend.infer(feeds)[output], wanted, within=1e-3)
    backend.close()
    assert driver.leaks == []


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106", RTX])
def test_a_shipped_model_in_fp16_gives_the_same_mask(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    model = load_model("portrait")
    backend, _ = opened(monkeypatch, version, model, precision="fp16")
    feeds = {model.spec.input.name: picture(model.spec.input.size)}
    name = model.spec.outputs[0].name
    assert backend.info.precision == "fp16"
    wanted = OrtBackend(model).infer(feeds)[name]
    assert_same(backend.infer(feeds)[name], wanted, within=0.02)
    backend.close()


def test_a_whole_run_on_an_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line, synthetic frames, an FP16 engine, and the report's account of it."""
    from edgeseg.cli import main

    install(monkeypatch, "11.4.0.106")
    driver = driver_of()
    monkeypatch.setattr(trt, "open_driver", lambda kind, gpu: driver)
    report = tmp_path / "report.json"
    source = "synthetic://portrait?size=320x180&frames=6"
    options = ["--backend", "tensorrt", "--precision", "fp16", "--report", str(report)]
    with pytest.raises(SystemExit) as left:
        main(["run", source, "-m", "portrait", "--no-window", "-o", "null://", *options])
    assert left.value.code == 0, capsys.readouterr().err
    told = json.loads(report.read_text())
    assert (told["backend"], told["precision"]) == ("tensorrt", "fp16")
    assert told["frames"]["inferred"] == 6
    assert driver.graph_launches > 0
    assert driver.leaks == []


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
@pytest.mark.parametrize("wrong", ["no tactic", "recipe"])
def test_an_error_keeps_nothing_of_tensorrt_beyond_its_context(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, wrong: str
) -> None:
    from dataclasses import replace

    from tiny_onnx import network

    model = tiny(tmp_path)
    if wrong == "recipe":
        model = replace(model, data=network(dtype="float32").SerializeToString())
    module = install(monkeypatch, version, faults=(wrong,))
    driver = driver_of()
    left: list[str] = []

    def close() -> None:
        held = ("Builder", "OnnxParser", "Runtime", "ICudaEngine")
        kinds = tuple(getattr(module, name) for name in held)
        left.extend(type(each).__name__ for each in gc.get_objects() if type(each) in kinds)
        left.append("closed")

    monkeypatch.setattr(driver, "close", close)
    monkeypatch.setattr(trt, "open_driver", lambda kind, gpu: driver)
    with pytest.raises(ModelError):
        open_tensorrt(model, BackendOptions(), rtx=False)
    assert left == ["closed"]
