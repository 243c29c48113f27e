from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path

import numpy
import pytest

from edgeseg import device


@pytest.fixture
def cgroup(tmp_path: Path) -> tuple[Path, Path]:
    own = tmp_path / "own"
    own.write_text("0::/app/worker\n")
    inner = tmp_path / "cg" / "app" / "worker"
    inner.mkdir(parents=True)
    return tmp_path / "cg", own


def test_no_quota(cgroup: tuple[Path, Path], tmp_path: Path) -> None:
    assert device.cgroup_quota(*cgroup) is None
    (cgroup[0] / "app" / "worker" / "cpu.max").write_text("max 100000\n")
    assert device.cgroup_quota(*cgroup) is None
    assert device.cgroup_quota(tmp_path / "nowhere", tmp_path / "nothing") is None


def test_the_tightest_quota_of_the_parents_counts(cgroup: tuple[Path, Path]) -> None:
    (cgroup[0] / "app" / "worker" / "cpu.max").write_text("400000 100000\n")
    assert device.cgroup_quota(*cgroup) == 4
    (cgroup[0] / "app" / "cpu.max").write_text("150000 100000\n")
    assert device.cgroup_quota(*cgroup) == 1.5


def test_version_1_quota(cgroup: tuple[Path, Path]) -> None:
    folder = cgroup[0] / "cpu"
    folder.mkdir()
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert device.cgroup_quota(*cgroup) is None
    (folder / "cpu.cfs_quota_us").write_text("250000\n")
    assert device.cgroup_quota(*cgroup) == 2.5


@pytest.mark.parametrize("text", ["", "garbage", "0 0", "max", "1 2 3"])
def test_odd_quota_files_are_ignored(cgroup: tuple[Path, Path], text: str) -> None:
    (cgroup[0] / "cpu.max").write_text(text)
    assert device.cgroup_quota(*cgroup) is None


def test_cores_respect_affinity_and_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    for quota, cores in ((None, 6), (2.0, 2), (1.5, 2), (0.1, 1), (64.0, 6)):
        monkeypatch.setattr(device, "cgroup_quota", lambda quota=quota: quota)
        assert device.available_cores() == cores


def test_the_description_is_plain_json() -> None:
    described = device.describe_device()
    assert json.loads(json.dumps(described)) == described
    assert list(described) == ["cpu", "cores", "memory_gib", "gpu", "os", "python", "versions"]
    assert described["cpu"]
    assert isinstance(described["versions"], dict)
    assert described["versions"]["numpy"] == numpy.__version__
    assert described["versions"]["onnxruntime"]


def test_versions_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"opencv-python-headless": "5.0", "onnxruntime-gpu": "1.31"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    assert device.package_version("opencv-python") == "5.0 (opencv-python-headless)"
    assert device.package_version("onnxruntime") == "1.31 (onnxruntime-gpu)"
    assert device.package_version("av") is None
