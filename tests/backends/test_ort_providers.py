"""ONNX Runtime's TensorRT provider and RTX plug-in: files, options, refusals, one line each."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tiny_onnx import tiny_model

from edgeseg.backends import BackendOptions, open_backend, ort_providers
from edgeseg.backends.ort_providers import RTX, RTX_MODULE, rtx_devices, tensorrt_options
from edgeseg.backends.ort_session import CPU, Provider, import_ort, open_session
from edgeseg.errors import BackendUnavailable, ConfigError
from edgeseg.model_file import ModelFile, load_model, variant_path
from edgeseg.spec import Build, Variant

HAS_TENSORRT = "TensorrtExecutionProvider" in import_ort().get_available_providers()


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    return load_model(tiny_model(tmp_path / "net.onnx"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeseg"


def make(model: ModelFile, variant: Variant) -> Path:
    build = Build(variant=variant, source_sha256=model.sha256)
    precision = "fp16" if variant == "fp16" else "int8"
    path = variant_path(model, variant, model.path.parent)
    return tiny_model(path, precision=precision, build=build)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ModelFile, dict[str, Any]]]:
    """Sees with what OrtBackend would be opened."""
    seen: list[tuple[ModelFile, dict[str, Any]]] = []
    monkeypatch.setattr(
        ort_providers, "OrtBackend", lambda file, **options: seen.append((file, options))
    )
    monkeypatch.setattr(ort_providers, "check_available", lambda ort, providers: None)
    return seen


Seen = list[tuple[ModelFile, dict[str, Any]]]


class TestTensorrt:
    def test_precisions_have_their_files_and_flags(
        self, model: ModelFile, cache: Path, opened: Seen
    ) -> None:
        paths = {"fp32": model.path, "fp16": make(model, "fp16"), "int8": make(model, "int8-trt")}
        flags = {"fp32": ("0", "0"), "fp16": ("1", "0"), "int8": ("1", "1")}
        for precision in ("fp32", "fp16", "int8"):
            open_backend(
                model,
                kind="onnxruntime-tensorrt",
                options=BackendOptions(precision=precision, gpu=1),
            )
            file, given = opened[-1]
            assert file.path == paths[precision]
            first, second = given["providers"]
            assert (first.name, second.name) == (
                "TensorrtExecutionProvider",
                "CUDAExecutionProvider",
            )
            assert first.options["device_id"] == second.options["device_id"] == "1"
            found = first.options["trt_fp16_enable"], first.options["trt_int8_enable"]
            assert found == flags[precision]
            assert (given["name"], given["device"]) == ("onnxruntime-tensorrt", "cuda")

    def test_cuda_is_loaded_and_a_long_start_is_told(
        self,
        model: ModelFile,
        cache: Path,
        opened: Seen,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        loaded: list[str] = []
        monkeypatch.setattr(ort_providers, "load_cuda_libraries", lambda: loaded.append("cuda"))
        open_backend(model, kind="onnxruntime-tensorrt")
        assert loaded == ["cuda"]
        assert "builds an engine at the first start" in caplog.text
        caplog.clear()
        (cache / "onnxruntime-tensorrt" / "a.engine").touch()
        open_backend(model, kind="onnxruntime-tensorrt")
        assert not caplog.text

    def test_engines_are_kept_in_the_cache_folder(self, cache: Path) -> None:
        options = tensorrt_options(BackendOptions())
        folder = cache / "onnxruntime-tensorrt"
        assert folder.is_dir()
        assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
        assert options["trt_engine_cache_enable"] == "1"

    def test_without_a_cache_folder_nothing_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert not [key for key in tensorrt_options(BackendOptions()) if "cache" in key]

    def test_a_dla_takes_fp16(self, cache: Path, model: ModelFile, opened: Seen) -> None:
        make(model, "fp16")
        options = BackendOptions(dla=1, precision="fp16")
        open_backend(model, kind="onnxruntime-tensorrt", options=options)
        given = opened[-1][1]
        assert given["device"] == "dla:1"
        assert given["providers"][0].options["trt_dla_core"] == "1"
        with pytest.raises(ConfigError, match=r"^model\.dla: .* got fp32: --precision fp16$"):
            open_backend(model, kind="onnxruntime-tensorrt", options=BackendOptions(dla=1))

    @pytest.mark.skipif(HAS_TENSORRT, reason="this onnxruntime has TensorRT")
    def test_a_build_without_it_says_what_to_install(self, model: ModelFile) -> None:
        with pytest.raises(
            BackendUnavailable,
            match=r"has no TensorrtExecutionProvider, CUDA.* install .* 'tensorrt-cu13<11'",
        ):
            open_backend(model, kind="onnxruntime-tensorrt")

    def test_an_int8_file_for_cpus_will_not_do(self, model: ModelFile) -> None:
        make(model, "int8")
        with pytest.raises(ConfigError, match=r"no INT8 file of tiny \(net\.int8-trt\.onnx\)"):
            open_backend(
                model, kind="onnxruntime-tensorrt", options=BackendOptions(precision="int8")
            )


def plugin(monkeypatch: pytest.MonkeyPatch, library: str = "/nowhere/librtx.so") -> None:
    module = ModuleType(RTX_MODULE)
    module.get_library_path = lambda: library  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, RTX_MODULE, module)


def device(number: int, name: str = RTX) -> Any:
    return SimpleNamespace(ep_name=name, number=number)


def test_an_older_onnxruntime_takes_no_plug_ins() -> None:
    with pytest.raises(
        BackendUnavailable, match=r"^onnxruntime 1\.20 takes no plug-ins: pip install 'onnxrun"
    ):
        rtx_devices(SimpleNamespace(__version__="1.20"))


@pytest.mark.skipif(
    not hasattr(import_ort(), "register_execution_provider_library"),
    reason="this onnxruntime takes no plug-ins",
)
class TestRtx:
    def test_without_the_plug_in_it_says_what_to_install(
        self, model: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, RTX_MODULE, None)
        with pytest.raises(
            BackendUnavailable,
            match=r"^onnxruntime-rtx is not usable here: .*; pip install onnxruntime-ep-nv-ten",
        ):
            open_backend(model, kind="onnxruntime-rtx")

    def test_a_library_that_does_not_load_is_one_line(
        self, model: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the real plug-in (0.5.0) on a machine without a driver: libcuda.so.1 is missing."""
        plugin(monkeypatch)
        with pytest.raises(
            BackendUnavailable, match=r"^onnxruntime-rtx does not load: .*librtx\.so"
        ) as caught:
            open_backend(model, kind="onnxruntime-rtx")
        assert "\n" not in str(caught.value)

    def test_it_is_registered_once_and_the_gpu_is_chosen(
        self,
        model: ModelFile,
        cache: Path,
        opened: Seen,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        plugin(monkeypatch, "/lib/rtx.so")
        ort, seen = import_ort(), [device(9, "CPUExecutionProvider")]
        registered: list[tuple[str, str]] = []

        def register(name: str, path: str) -> None:
            registered.append((name, path))
            seen.extend([device(0), device(1)])

        monkeypatch.setattr(ort, "register_execution_provider_library", register)
        monkeypatch.setattr(ort, "get_ep_devices", lambda: seen)
        path = make(model, "int8-trt16")
        for _ in range(2):
            options = BackendOptions(gpu=1, precision="int8")
            open_backend(model, kind="onnxruntime-rtx", options=options)
        assert registered == [(RTX, "/lib/rtx.so")]
        file, given = opened[-1]
        assert file.path == path
        (provider,) = given["providers"]
        assert [d.number for d in provider.devices] == [1]
        assert provider.options == {"nv_runtime_cache_path": str(cache / "onnxruntime-rtx")}
        with pytest.raises(BackendUnavailable, match=r"no GPU 2: the plug-in sees 2 RTX GPU\(s\)"):
            open_backend(model, kind="onnxruntime-rtx", options=BackendOptions(gpu=2))

    def test_it_has_no_dla(self, model: ModelFile) -> None:
        with pytest.raises(ConfigError, match=r"^model\.dla: onnxruntime-rtx runs on the GPU"):
            open_backend(model, kind="onnxruntime-rtx", options=BackendOptions(dla=0))


def test_a_provider_is_chosen_by_its_devices(model: ModelFile) -> None:
    """With the one plug-in device every onnxruntime has: its own CPU provider's."""
    ort = import_ort()
    if not hasattr(ort, "get_ep_devices"):
        pytest.skip("this onnxruntime takes no plug-ins")
    devices = [d for d in ort.get_ep_devices() if d.ep_name == CPU]
    session = open_session(model, threads=1, providers=(Provider(CPU, devices=devices),))
    assert session.get_providers() == [CPU]
