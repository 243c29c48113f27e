"""Engines in their cache: whole or not there, built once, replaced when they do not fit."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_kit import driver_of, install, request_of, tiny

from edgeseg.engine import cache
from edgeseg.engine.build import ensure_engine
from edgeseg.engine.cache import EngineFile, keep, manifest_path, slug, unwritable
from edgeseg.engine.request import EngineRequest
from edgeseg.errors import ConfigError, ModelError
from edgeseg.model_file import ModelFile

PROCESS = Path(__file__).with_name("building_process.py")


def build(model: ModelFile, folder: Path, version: str = "10.3.0", **options: Any) -> EngineFile:
    gpu = options.pop("gpu", {})
    return ensure_engine(model, request_of(version, folder, **options), driver=driver_of(**gpu))


def start(model: ModelFile, folder: Path, pause_at: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROCESS), str(model.path), str(folder), pause_at],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "engines").iterdir())


def test_the_second_time_it_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "10.3.0")
    model = tiny(tmp_path)
    first, second = build(model, tmp_path), build(model, tmp_path)
    assert (first.built, second.built) == (True, False)
    assert (second.path, second.data) == (first.path, first.data)
    assert second.manifest == first.manifest
    assert files(tmp_path) == [".bin", ".engine", ".json", ".lock"]


@pytest.mark.parametrize("pause_at", ["build", "rename"])
def test_a_killed_build_leaves_nothing_usable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pause_at: str
) -> None:
    model = tiny(tmp_path)
    process = start(model, tmp_path, pause_at)
    assert line_of(process) == f"at {pause_at}"
    end(process)
    assert ".engine" not in files(tmp_path)
    assert (".part" in files(tmp_path)) == (pause_at == "rename")
    install(monkeypatch, "10.3.0")
    made = build(model, tmp_path)
    assert (made.built, made.reason) == (True, "")
    assert ".part" not in files(tmp_path), "what the killed one left is swept away"


def test_two_builders_at_once_build_once(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    processes = [start(model, tmp_path, "slowly") for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].split()[0] for process in processes)
    assert said == ["built=False", "built=True"]


def test_who_waits_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "engines" / "some.engine"
    monkeypatch.setattr(cache, "POLL_S", 0.01)
    answers = iter([False, False, True])
    monkeypatch.setattr(cache, "try_lock", lambda handle: next(answers))
    with caplog.at_level(logging.WARNING), cache.lock(path):
        pass
    assert caplog.text.count("waiting for another process that is building some.engine") == 1


def damage(made: EngineFile, what: str) -> None:
    if what == "engine":
        made.path.write_bytes(made.data[:-1])
    elif what == "manifest":
        manifest_path(made.path).write_text("{")
    elif what == "keys":
        manifest_path(made.path).write_text('{"schema": 1, "engine": "x"}')
    else:
        manifest_path(made.path).unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("engine", "is damaged: its checksum is not the one in its manifest"),
        ("manifest", "has no usable manifest"),
        ("keys", "has no usable manifest (other keys than a manifest has)"),
        ("no manifest", "has no usable manifest"),
    ],
)
def test_a_damaged_engine_is_built_again_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    what: str,
    said: str,
) -> None:
    install(monkeypatch, "10.3.0")
    model = tiny(tmp_path)
    first = build(model, tmp_path)
    damage(first, what)
    with caplog.at_level(logging.WARNING):
        second = build(model, tmp_path)
    assert second.built
    assert said in second.reason
    assert f"{first.path.name} {said}" in caplog.text
    assert ": building it again" in caplog.text
    assert not build(model, tmp_path).built


def test_another_version_of_tensorrt_builds_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny(tmp_path)
    install(monkeypatch, "8.6.1")
    first = build(model, tmp_path)
    install(monkeypatch, "10.3.0")
    with pytest.raises(ModelError) as refused:
        build(model, tmp_path, rebuild=False)
    difference = "was built with tensorrt 8.6.1, this machine has tensorrt 10.3.0"
    assert f"{first.path} {difference}" in str(refused.value)
    assert "--no-rebuild refuses to replace it" in str(refused.value)
    second = build(model, tmp_path)
    assert second.path == first.path, "an update replaces the old engine"
    assert second.reason.startswith(difference)


def test_options_and_files_that_differ_build_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0")
    model = tiny(tmp_path)
    build(model, tmp_path)
    assert build(model, tmp_path, level=5).reason == (
        "was built with workspace_mib 1024, level 3, wanted is workspace_mib 1024, level 5"
    )


def test_each_gpu_has_an_engine_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny(tmp_path)
    other: dict[str, Any] = {"sm": (8, 6), "name": "NVIDIA RTX A4000"}
    install(monkeypatch, "10.3.0")
    first = build(model, tmp_path)
    install(monkeypatch, "10.3.0", **other)
    second = build(model, tmp_path, gpu=other)
    assert second.path != first.path
    assert "nvidia-rtx-a4000-sm_86" in second.path.name
    assert not build(model, tmp_path, gpu=other).built


def test_boards_with_gpus_of_one_name_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0")
    board = "NVIDIA Jetson Orin Nano Developer Kit (integrated)"
    monkeypatch.setattr("edgeseg.engine.build.l4t_release", lambda: "36.4.3")
    monkeypatch.setattr("edgeseg.engine.build.gpu_name", lambda: board)
    made = build(tiny(tmp_path), tmp_path)
    assert made.manifest.wanted.gpu == board
    assert "nvidia-jetson-orin-nano-developer-kit-integrated" in made.path.name
    assert made.manifest.jetpack == "6.1, 6.2 (L4T 36.4.3)"


def test_an_engine_copied_from_another_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = tiny(tmp_path)
    other: dict[str, Any] = {"sm": (8, 6), "name": "NVIDIA RTX A4000"}
    install(monkeypatch, "10.3.0")
    first = build(model, tmp_path)
    install(monkeypatch, "10.3.0", **other)
    place = first.path.with_name(first.path.name.replace("orin-sm_87", "nvidia-rtx-a4000-sm_86"))
    os.replace(first.path, place)
    os.replace(manifest_path(first.path), manifest_path(place))
    with pytest.raises(ModelError, match=r"for Orin \(sm_87\), this machine has NVIDIA RTX A4000"):
        build(model, tmp_path, gpu=other, rebuild=False)


def test_a_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0")
    model = tiny(tmp_path)
    (tmp_path / "engines").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match=r"engines: engines cannot be written here: .*XDG_CACHE"):
        build(model, tmp_path)


def test_an_engine_in_a_folder_without_a_place_for_locks_is_still_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, "10.3.0")
    model = tiny(tmp_path)
    build(model, tmp_path)

    def refuse(path: Path) -> None:
        raise AssertionError("nothing is locked for an engine that is there")

    monkeypatch.setattr("edgeseg.engine.build.lock", refuse)
    assert not build(model, tmp_path).built


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which is always full")
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = Path.with_name
    monkeypatch.setattr(
        Path,
        "with_name",
        lambda self, name: Path("/dev/full") if name.endswith(".part") else real(self, name),
    )
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(ConfigError, match=r"no space left for an engine of 2\.0 MB: free some"):
        keep(tmp_path / "x.engine", b"\0" * 2_000_000)
    assert "no space left" in str(unwritable(tmp_path, OSError(errno.EDQUOT, "quota"), size=1))


def test_a_folder_without_locks_still_takes_engines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import fcntl

    def no_locks(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    install(monkeypatch, "10.3.0")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert build(tiny(tmp_path), tmp_path).built


def test_without_a_home_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "user_cache_dir", lambda: None)
    with pytest.raises(ConfigError, match="set XDG_CACHE_HOME to a folder"):
        cache.engines_folder(EngineRequest().folder)


def test_names_of_devices_become_file_names() -> None:
    assert slug("NVIDIA GeForce RTX 4090-sm_89") == "nvidia-geforce-rtx-4090-sm_89"
    assert slug("Orin (nvgpu)/../x") == "orin-nvgpu-..-x"
