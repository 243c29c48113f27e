"""What doctor says of GPUs, TensorRT and the packages around them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fake_tensorrt import RTX, FakeGpu, make_tensorrt

from edgeseg import device
from edgeseg.cuda import GpuInfo
from edgeseg.cuda.libcuda import Probe
from edgeseg.doctor import Finding, extras, gpu, models
from edgeseg.engine import library
from edgeseg.errors import BackendUnavailable

ORIN = GpuInfo(0, "Orin", (8, 7), 8 << 30, (12, 6))
Machine = Callable[..., list[Finding]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Looks at a machine made of these parts; nothing of the real one shows."""

    def look(
        *gpus: GpuInfo,
        tensorrt: str = "",
        packages: dict[str, str] | None = None,
        l4t: str = "",
        card: str | None = None,
        broken: dict[str, Exception] | None = None,
        compiler: str = "",
    ) -> list[Finding]:
        def compile_for(gpu: GpuInfo, source: str) -> bytes:
            if compiler:
                raise BackendUnavailable(compiler)
            return b"cubin"

        monkeypatch.setattr(gpu, "compile_for", compile_for)
        have, failing = packages or {}, broken or {}
        modules: dict[str, ModuleType] = {}
        if tensorrt:
            made = make_tensorrt(tensorrt, FakeGpu())
            modules[made.__name__] = made

        def load(name: str) -> Any:
            if name in failing:
                raise failing[name]
            if name in modules or name in gpu.PYTHON_DRIVERS.values():
                return modules.get(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(
            gpu, "probe", lambda: Probe(gpus, "" if gpus else "no NVIDIA driver: x is missing")
        )
        monkeypatch.setattr(gpu, "find_spec", lambda name: modules.get(name) or failing.get(name))
        monkeypatch.setattr(gpu, "import_module", load)
        monkeypatch.setattr(library, "import_module", load)
        monkeypatch.setattr(library, "SYSTEM_PACKAGES", "/nowhere/*")
        monkeypatch.setattr(gpu, "l4t_release", lambda: l4t)
        monkeypatch.setattr(device, "package_version", have.get)
        monkeypatch.setattr(device, "gpu_name", lambda: card)
        return list(gpu.gpu())

    return look


def named(findings: list[Finding], name: str) -> Finding:
    return next(found for found in findings if found.name == name)


def test_a_machine_without_a_gpu_is_fine(machine: Machine) -> None:
    (only,) = machine()
    assert (only.status, only.detail) == ("ok", "no NVIDIA GPU: runs on the processor")


def test_a_card_without_its_driver_is_a_note(machine: Machine) -> None:
    (only,) = machine(card="NVIDIA GeForce RTX 3060")
    assert only.status == "note"
    assert "RTX 3060, but no NVIDIA driver" in only.detail
    assert "--gpus all" in only.mend


def test_a_complete_jetson(machine: Machine) -> None:
    found = machine(ORIN, tensorrt="10.3.0", packages={"pycuda": "2024.1"}, l4t="36.4.3")
    assert [(f.name, f.status) for f in found] == [
        ("NVIDIA 0", "ok"),
        ("TensorRT", "ok"),
        ("pycuda", "ok"),
        ("CUDA kernels", "ok"),
        ("JetPack", "ok"),
    ]
    assert named(found, "NVIDIA 0").detail == "Orin, sm_87, 8 GiB, driver runs CUDA up to 12.6"
    assert "6.1, 6.2 (L4T 36.4.3): TensorRT 10.3.0, CUDA 12.6" in named(found, "JetPack").detail


def test_a_gpu_without_packages_names_the_extra(machine: Machine) -> None:
    found = machine(ORIN)
    for name in ("TensorRT", "CUDA in Python"):
        assert named(found, name).status == "note"
        assert "edgeseg[tensorrt]" in named(found, name).mend


def test_a_gpu_too_old_for_tensorrt(machine: Machine) -> None:
    old = GpuInfo(0, "Xavier", (7, 2), 8 << 30, (13, 0))
    found = named(machine(old, tensorrt="11.4.0.106"), "TensorRT")
    assert found.status == "note"
    assert "it needs sm_75 or newer and Xavier is sm_72" in found.detail


def test_a_tensorrt_for_a_newer_driver(machine: Machine) -> None:
    found = machine(ORIN, tensorrt="10.13.3.9", packages={"tensorrt_cu13": "10.13.3.9"})
    said = named(found, "TensorRT").detail
    assert "tensorrt_cu13 is for CUDA 13 and the driver runs CUDA 12.6" in said


def test_a_tensorrt_of_the_wrong_major(machine: Machine) -> None:
    error = ImportError("libnvinfer.so.10: cannot open shared object file")
    found = named(machine(ORIN, broken={"tensorrt": error}), "TensorRT")
    assert found.status == "note"
    assert "wants libnvinfer.so.10, which is not here" in found.detail
    assert found.mend


def test_rtx_without_a_gpu_only_builds(machine: Machine) -> None:
    found = named(machine(tensorrt=RTX), "TensorRT-RTX")
    assert (found.status, found.detail) == ("ok", "1.7.1.116 (needs a GPU to run)")


def test_a_driver_package_that_does_not_load(machine: Machine) -> None:
    error = ImportError("libcurand.so.10: cannot open shared object file")
    found = machine(ORIN, packages={"pycuda": "2024.1"}, broken={"pycuda.driver": error})
    assert "does not load: libcurand.so.10" in named(found, "pycuda").detail
    assert named(found, "pycuda").mend == "pip install --force-reinstall pycuda"
    assert named(found, "CUDA in Python").status == "note"


def test_no_compiler_for_the_kernels_is_told(machine: Machine) -> None:
    said = "cannot compile the CUDA kernels for Orin (sm_87): nvcc: not on PATH. Install NVIDIA's"
    found = named(machine(ORIN, compiler=said), "CUDA kernels")
    assert found.status == "note"
    assert found.detail.endswith("nvcc: not on PATH")
    assert found.mend == "Install NVIDIA's"


def test_the_default_model_runs_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.backends import choice

    def no_gpu() -> list[str]:
        raise AssertionError("an engine may be built for minutes")

    monkeypatch.setattr(choice, "usable_gpu_backends", no_gpu)
    assert " on onnxruntime cpu, " in models.run_default_model().detail


def test_old_jetpacks_are_told(machine: Machine) -> None:
    for l4t, said in (("32.7.4", "older than edgeseg knows"), ("35.4.1", "too old for edgeseg")):
        found = named(machine(ORIN, l4t=l4t), "JetPack")
        assert found.status == "note"
        assert said in found.detail
        assert "JetPack 6" in found.mend


def test_extras_that_are_missing_say_what_they_bring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(device, "package_version", lambda name: None)
    found = list(extras.extras())
    assert named(found, "onnx").mend == "pip install 'edgeseg[build]'"
    assert "COCO AP" in named(found, "pycocotools").detail
    assert named(found, "pycocotools").mend == "pip install 'edgeseg[eval]'"


def test_the_engine_cache_is_weighed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edgeseg" / "engines"
    assert extras.engines().detail == str(folder)
    folder.mkdir(parents=True)
    (folder / "a.engine").write_bytes(b"\0" * 3_000_000)
    assert extras.engines().detail == f"{folder}: 1 engine(s), 3 MB"
    monkeypatch.setattr(extras, "writable", lambda path: False)
    assert extras.engines().status == "note"
    assert "XDG_CACHE_HOME" in extras.engines().mend


def test_a_folder_below_a_file_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not extras.writable(tmp_path / "file" / "engines")
    assert extras.writable(tmp_path / "not" / "yet")


def test_a_processor_without_int8_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_flags", lambda: frozenset({"avx2"}))
    found = named(list(models.inference()), "INT8")
    assert (found.status, found.mend) == ("note", "nothing to do: FP32 is chosen")


def test_two_builds_of_onnx_runtime_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "version", lambda name: "1.31.1")
    found = named(list(models.inference()), "builds")
    assert "overwrite one another" in found.detail
    assert found.mend.endswith("pip install 'onnxruntime-gpu[cuda,cudnn]'")


@pytest.mark.parametrize("lost", ["pydantic", "numpy", "yaml", "psutil", "onnxruntime"])
def test_half_an_installation_is_looked_at(lost: str) -> None:
    code = (
        f"import sys; sys.modules[{lost!r}] = None\n"
        "from edgeseg.doctor import examine\n"
        "found = examine()\n"
        "assert any(f.name == 'Python' for f in found), found\n"
        "sys.stdout.write(' '.join(f.status for f in found))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "ok" in run.stdout.split()
