"""GPU figures: trtexec's arithmetic, and the loops on a simulated GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fake_driver import FakeDriver
from ort_network import OrtNetwork

from edgeseg.backends import BackendOptions
from edgeseg.backends.gpu import GpuBackend
from edgeseg.model_file import ModelFile

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import bench_gpu  # noqa: E402
from gpu_figures import (  # noqa: E402
    PRESETS,
    Query,
    frame_figures,
    network_figures,
    percentile,
    summary,
)


@pytest.mark.parametrize(
    ("count", "percent", "index"),
    # max(N - 1 - int((1 - p / 100) * N), 0); in float32 99 / 100 is above 0.99, 90 / 100 below 0.9
    [(1, 99, 0), (10, 90, 8), (10, 99, 9), (100, 99, 99), (200, 95, 189), (1000, 99, 990)],
)
def test_percentiles_are_trtexecs(count: int, percent: float, index: int) -> None:
    values = [float(n) for n in range(count)]
    assert percentile(values[::-1], percent) == index


def test_a_summary_by_hand() -> None:
    found = summary([4.0, 1.0, 3.0, 2.0])
    assert (found["min"], found["max"], found["mean"], found["median"]) == (1, 4, 2.5, 2.5)
    assert (found["p90"], found["p99"]) == (4.0, 4.0)
    assert found["cv"] == pytest.approx(1.118034 / 2.5, abs=1e-4)


def test_network_figures_by_hand() -> None:
    queries = [Query(1.0, 4.0, 0.5, 0.2), Query(1.0, 4.2, 0.5, 0.2), Query(1.0, 3.8, 0.5, 0.2)]
    figures = network_figures(queries, span_ms=12.0)
    assert figures["queries"] == 3
    assert figures["throughput_qps"] == 250.0
    latency = figures["latency_ms"]
    assert isinstance(latency, dict)
    assert latency["median"] == 5.5
    assert figures["unstable_clocks"] is True  # 0.163 / 4 is more than 2.5 %
    assert figures["enqueue_bound"] is False


def test_what_holds_a_gpu_up() -> None:
    steady = [Query(0, 1.0, 0, 0.85), Query(0, 1.01, 0, 0.85)]
    figures = network_figures(steady, span_ms=2.5)
    assert figures["unstable_clocks"] is False
    assert figures["enqueue_bound"] is True


def test_frame_figures() -> None:
    figures = frame_figures([2.0, 4.0], span_s=0.5)
    assert (figures["frames"], figures["fps"]) == (2, 4.0)


def test_presets_print_the_three_settings() -> None:
    ten, eleven = PRESETS["trtexec10"], PRESETS["trtexec11"]
    assert ten.describe(capturable=True).startswith("transfers included: yes, CUDA graph: no, wait")
    assert eleven.describe(capturable=True).startswith("transfers included: no, CUDA graph: yes,")
    assert "(this network cannot be captured)" in eleven.describe(capturable=False)
    assert "(trtexec 11: spin)" in eleven.describe(capturable=True)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[FakeDriver]:
    drivers: list[FakeDriver] = []

    def opened(file: ModelFile, *, kind: str, options: BackendOptions) -> GpuBackend:
        drivers.append(FakeDriver())
        return GpuBackend(file.spec, OrtNetwork(file), drivers[-1], lanes=options.workers)

    monkeypatch.setattr(bench_gpu, "open_backend", opened)
    return drivers


@pytest.mark.parametrize("preset", ["trtexec10", "trtexec11"])
def test_the_loops_on_a_simulated_gpu(
    preset: str,
    simulated: list[FakeDriver],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "R.json"
    command = ["--model", "portrait-sinet", "--size", "320x180", "--seconds", "0.1"]
    assert bench_gpu.main([*command, f"--as-{preset}", "--lanes", "2", "--json", str(path)]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    alone, frames = report["network"], report["frames"]
    assert alone["queries"] >= 10
    assert frames["frames"] >= 10
    assert (alone["h2d_ms"]["max"] > 0) == (preset == "trtexec10")
    assert report["of_network"] == pytest.approx(frames["fps"] / alone["throughput_qps"], abs=1e-3)
    assert report["gpu"]["name"] == "Fake GPU"
    assert "of the network's throughput: " in capsys.readouterr().out
    assert simulated[0].closed
    assert simulated[0].leaks == []


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_gpu.main(["--size", "large"]) == 2
    assert bench_gpu.main(["--model", "portrait", "--backend", "onnxruntime", "--precision", "fp32",
                           "--size", "64x48"]) == 2  # fmt: skip
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("bench_gpu: --size: expected WIDTHxHEIGHT")
    assert said[1] == "bench_gpu: --backend onnxruntime does not take frames on a GPU"
