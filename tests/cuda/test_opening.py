"""Which package drives a GPU, where some of them are broken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fake_driver import FakeDriver

from edgeseg.cuda import cuda_python_driver, opening
from edgeseg.cuda.cuda_python_driver import CudaPythonDriver
from edgeseg.cuda.driver import GpuInfo
from edgeseg.cuda.libcuda import Probe
from edgeseg.errors import BackendUnavailable

GPU = GpuInfo(0, "Orin", (8, 7), 8 << 30, (12, 6))


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libcurand.so.10: cannot open shared object file"),
        AttributeError("module 'numpy' has no attribute 'bool'"),
        RuntimeError("numpy.core.multiarray failed to import"),
        OSError("file too short"),
    ],
)
def test_a_broken_package_is_passed_over(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(gpu: GpuInfo) -> Any:
        raise error

    monkeypatch.setattr(opening, "probe", lambda: Probe((GPU,)))
    monkeypatch.setitem(opening.DRIVERS, "pycuda", broken)
    monkeypatch.setitem(opening.DRIVERS, "cuda-python", lambda gpu: FakeDriver())
    assert isinstance(opening.open_driver(), FakeDriver)
    with pytest.raises(BackendUnavailable) as caught:
        opening.open_driver("pycuda")
    assert str(caught.value).startswith(f"cannot drive Orin: pycuda: {error}; pip install")


def test_a_driver_older_than_its_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(flags: int) -> Any:
        raise RuntimeError('Function "cuInit" not found')

    module = SimpleNamespace(cuInit=lacking)
    monkeypatch.setattr(cuda_python_driver, "_bindings", lambda: module)
    with pytest.raises(
        BackendUnavailable, match=r'^the GPU failed opening the GPU: Function "cuIn'
    ):
        CudaPythonDriver(GPU)
