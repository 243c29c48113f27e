"""Engines for a DLA: what is asked of TensorRT, what is refused, where layers run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from engine_kit import driver_of, install, request_of, tiny

from edgeseg.engine.build import ensure_engine
from edgeseg.engine.cache import EngineFile
from edgeseg.errors import BackendUnavailable, ConfigError
from edgeseg.precision import fp16


def build(version: str, folder: Path, **options: Any) -> EngineFile:
    request = request_of(version, folder, **{"precision": "fp16", "dla": 0, **options})
    return ensure_engine(tiny(folder), request, driver=driver_of(dla_cores=2))


@pytest.mark.parametrize("version", ["8.5.2", "8.6.1", "10.3.0", "11.4.0.106"])
def test_layers_go_to_the_dla_with_the_gpu_to_fall_back_on(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    version: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = install(monkeypatch, version, dla_cores=2)
    monkeypatch.setattr(fp16, "to_fp16", lambda model: model.data)
    with caplog.at_level(logging.WARNING):
        made = build(version, tmp_path, dla=1)
    weak = version != "11.4.0.106"
    assert made.manifest.flags == (["FP16", "GPU_FALLBACK"] if weak else ["GPU_FALLBACK"])
    assert made.manifest.wanted.dla == 1
    assert ".dla1.engine" in made.path.name
    placement = made.manifest.placement
    assert set(placement) == {"dla", "gpu"}
    assert placement["dla"][0].startswith("Conv")
    assert any("Cast" in name for name in placement["gpu"])
    assert f"layers on DLA: {len(placement['dla'])} layers" in caplog.text
    (config,) = module.Builder._world.seen
    assert config.default_device_type is module.DeviceType.DLA
    assert config.DLA_core == 1


def test_the_newest_parser_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = install(monkeypatch, "11.4.0.106", dla_cores=1)
    monkeypatch.setattr(fp16, "to_fp16", lambda model: model.data)
    parsers: list[Any] = []
    real = module.OnnxParser.parse

    def parse(self: Any, model: bytes, path: str | None = None) -> bool:
        parsers.append(self)
        return bool(real(self, model))

    monkeypatch.setattr(module.OnnxParser, "parse", parse)
    build("11.4.0.106", tmp_path)
    assert parsers[0]._set == {module.OnnxParserFlag.ADJUST_FOR_DLA}
    assert parsers[0]._config is module.Builder._world.seen[0]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_only_fp16_runs_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str
) -> None:
    install(monkeypatch, "10.3.0", dla_cores=2)
    with pytest.raises(ConfigError, match=f"computes in FP16 only, not {precision}: --precision"):
        build("10.3.0", tmp_path, precision=precision)


def test_a_core_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "10.3.0", dla_cores=2)
    with pytest.raises(ConfigError, match=r"--dla 2: Orin \(sm_87\) has DLA cores 0 to 1"):
        build("10.3.0", tmp_path, dla=2)
    install(monkeypatch, "10.3.0", dla_cores=1)
    with pytest.raises(ConfigError, match=r"has DLA core 0$"):
        build("10.3.0", tmp_path, dla=1)


def test_a_device_without_one_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "10.13.3.9")
    with pytest.raises(BackendUnavailable, match=r"no DLA on Orin .* up to 10\.7, and from 11\.4"):
        build("10.13.3.9", tmp_path)
    gpu: dict[str, Any] = {"sm": (9, 0), "name": "NVIDIA H200"}
    install(monkeypatch, "10.3.0", **gpu)
    request = request_of("10.3.0", tmp_path, precision="fp16", dla=0)
    with pytest.raises(BackendUnavailable, match=r"H200 .*: only Jetson Xavier and Orin"):
        ensure_engine(tiny(tmp_path), request, driver=driver_of(**gpu))
