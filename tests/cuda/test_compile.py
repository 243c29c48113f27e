"""Compiling kernels: NVRTC and nvcc where they are, the cache, and what is said without them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgeseg.cuda import compile as compiling
from edgeseg.cuda.compile import compile_for, default_cache
from edgeseg.cuda.driver import GpuInfo
from edgeseg.cuda.kernels import SOURCE
from edgeseg.cuda.nvrtc import compile_cubin, compile_ptx, libraries, newest_below
from edgeseg.errors import BackendUnavailable

GPU = GpuInfo(0, "Some GPU", (9, 0), 1 << 30, (13, 0))
TINY = 'extern "C" __global__ void nothing() {}'


def working_nvrtc() -> str:
    """A library that compiles, or a skip."""
    for library in libraries(GPU.driver_cuda):
        try:
            compile_cubin(library, TINY, ("--gpu-architecture=sm_90",))
        except BackendUnavailable:
            continue
        return library
    pytest.skip("NVRTC is not installed")


@pytest.mark.parametrize("arch", ["sm_87", "sm_90"])
def test_nvrtc_compiles_the_kernels(arch: str) -> None:
    options = (f"--gpu-architecture={arch}", *compiling.OPTIONS)
    image = compile_cubin(working_nvrtc(), SOURCE.read_text(encoding="utf-8"), options)
    assert image.startswith(b"\x7fELF")
    assert b"i420_to_input" in image


def test_nvrtc_says_what_is_wrong() -> None:
    library = working_nvrtc()
    with pytest.raises(BackendUnavailable, match=r"kernels.cu\(1\): error: .*nonsense"):
        compile_cubin(library, "nonsense", ())
    with pytest.raises(BackendUnavailable, match="gpu-architecture"):
        compile_cubin(library, TINY, ("--gpu-architecture=sm_10",))


NEWER = GpuInfo(0, "GPU of tomorrow", (99, 0), 1 << 30, (13, 9))


def test_a_gpu_newer_than_nvrtc_gets_ptx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = working_nvrtc()
    monkeypatch.setattr(compiling, "libraries", lambda driver: iter([library]))
    monkeypatch.setattr(compiling, "shutil", SimpleNamespace(which=lambda name, path=None: None))
    image = compile_for(NEWER, SOURCE.read_text(encoding="utf-8"), cache=tmp_path)
    assert b".target sm_" in image
    assert b"i420_to_input" in image
    assert image.endswith(b"\0")
    with pytest.raises(BackendUnavailable, match=r"knows no GPU older than sm_90"):
        compile_ptx(library, TINY, (9, 0), ())


@pytest.mark.usefixtures("no_nvrtc")
def test_a_gpu_newer_than_nvcc_gets_ptx(tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    image = compile_for(NEWER, SOURCE.read_text(encoding="utf-8"), cache=tmp_path)
    assert b".target sm_" in image
    assert image.endswith(b"\0")


def test_the_newest_gpu_below() -> None:
    assert newest_below([75, 80, 90, 121], (12, 2)) == 121
    assert newest_below([75, 80, 90], (8, 9)) == 80
    assert newest_below([75, 80, 90], (9, 0)) is None
    assert newest_below([75, 80, 90], (7, 0)) is None
    assert newest_below([], (9, 0)) is None


def test_libraries_newer_than_the_driver_come_last() -> None:
    def order(driver: tuple[int, int]) -> list[str]:
        return [name for name in libraries(driver) if "/" not in name]

    assert order((13, 0)) == ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"]
    assert order((12, 6)) == ["libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so.13"]
    assert order((11, 4)) == ["libnvrtc.so.11.2", "libnvrtc.so.13", "libnvrtc.so.12"]


@pytest.fixture
def no_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "libraries", lambda driver: iter(["libnvrtc.so.none"]))


@pytest.mark.usefixtures("no_nvrtc")
def test_nvcc_compiles_where_nvrtc_is_missing(tmp_path: Path) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    image = compile_for(GPU, TINY, cache=tmp_path)
    assert image.startswith(b"\x7fELF")
    with pytest.raises(BackendUnavailable, match=r"nvcc: .*error.*nonsense"):
        compile_for(GPU, "nonsense", cache=tmp_path)


@pytest.mark.usefixtures("no_nvrtc")
def test_no_compiler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "shutil", SimpleNamespace(which=lambda name, path=None: None))
    with pytest.raises(BackendUnavailable) as caught:
        compile_for(GPU, TINY, cache=tmp_path)
    said = str(caught.value)
    assert said.startswith("cannot compile the CUDA kernels for Some GPU (sm_90): libnvrtc.so.none")
    assert "; nvcc: not on PATH. Install NVIDIA's run-time compiler: pip install nvidia-" in said
    assert "\n" not in said
    assert not list(tmp_path.iterdir())


class Counted:
    """Stands for a compiler; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        monkeypatch.setattr(compiling, "_compile", self)

    def __call__(self, gpu: GpuInfo, source: str) -> bytes:
        self.calls += 1
        return f"{gpu.sm} {source}".encode()


def test_an_image_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Counted(monkeypatch)
    first = compile_for(GPU, TINY, cache=tmp_path / "new")
    assert compile_for(GPU, TINY, cache=tmp_path / "new") == first
    assert compiler.calls == 1
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize(
    "other", [replace(GPU, sm=(8, 7)), replace(GPU, driver_cuda=(12, 6))], ids=["sm", "driver"]
)
def test_another_gpu_or_driver_is_compiled_for_anew(
    other: GpuInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Counted(monkeypatch)
    compile_for(GPU, TINY, cache=tmp_path)
    compile_for(other, TINY, cache=tmp_path)
    compile_for(GPU, TINY + " ", cache=tmp_path)
    assert compiler.calls == 3


def test_a_damaged_image_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Counted(monkeypatch)
    first = compile_for(GPU, TINY, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    for damage in (b"", kept.read_bytes()[:-1], b"x" * 100):
        kept.write_bytes(damage)
        assert compile_for(GPU, TINY, cache=tmp_path) == first
    assert compiler.calls == 4


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Counted(monkeypatch)
    blocked = tmp_path / "file"
    blocked.write_text("")
    compile_for(GPU, TINY, cache=blocked / "kernels")
    compile_for(GPU, TINY, cache=blocked / "kernels")
    assert compiler.calls == 2


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "edgeseg" / "kernels"
