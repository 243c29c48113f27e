"""The script for a borrowed GPU: its steps, what it skips, and what it writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import bench_gpu  # noqa: E402
import gpu_checks  # noqa: E402
from gpu_checks import Step  # noqa: E402


def test_what_is_run_exists_and_the_rest_is_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    have = {"pycuda": object()}
    monkeypatch.setattr(gpu_checks, "find_spec", have.get)
    found = {step.name: step for step in gpu_checks.steps(tmp_path, seconds=1.0, size="64x48")}
    assert all((ROOT / test).exists() for test in gpu_checks.TESTS)
    assert not found["bench driving onnxruntime-cuda fp16 pycuda"].skipped
    assert found["bench portrait onnxruntime-cuda fp32 cuda-python"].skipped
    assert found["bench driving tensorrt int8 auto"].skipped == "tensorrt is not installed"
    paths = [step.json_file for step in found.values() if step.json_file]
    assert len(set(paths)) == len(paths)


def test_bench_gpu_takes_the_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []

    def bench(args: Any) -> dict[str, object]:
        seen.append(args)
        return {"fps": 1}

    monkeypatch.setattr(bench_gpu, "bench", bench)
    benches = [
        s for s in gpu_checks.steps(tmp_path, seconds=0.5, size="64x48") if "bench" in s.name
    ]
    assert [bench_gpu.main(step.command[2:]) for step in benches] == [0] * len(benches)
    assert seen[0].seconds == 0.5
    assert seen[0].cuda == "pycuda"


def test_everything_is_written_as_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    code = (
        "import pathlib, sys; print('said'); pathlib.Path(sys.argv[1]).write_text('{\"fps\": 2}')"
    )

    def steps(folder: Path, **options: Any) -> Iterator[Step]:
        path = folder / "r.json"
        yield Step("good", [sys.executable, "-c", code, str(path)], path)
        yield Step("away", [], skipped="x is not installed")
        yield Step("bad", [sys.executable, "-c", "raise SystemExit(3)"])
        yield Step("slow", [sys.executable, "-c", "import time; time.sleep(60)"])

    monkeypatch.setattr(gpu_checks, "steps", steps)
    monkeypatch.setattr(gpu_checks, "LIMIT_S", 3)
    assert gpu_checks.main([str(out)]) == 1
    report = json.loads((out / "gpu_checks.json").read_text(encoding="utf-8"))
    good, away, bad, slow = report["steps"]
    assert (good["code"], good["report"], good["said"]) == (0, {"fps": 2}, ["said"])
    assert (away["code"], away["skipped"]) == (None, "x is not installed")
    assert (bad["code"], slow["code"]) == (3, 124)
    assert report["packages"]["numpy"]
    assert "== away: x is not installed" in (out / "gpu_checks.log").read_text(encoding="utf-8")
    assert capsys.readouterr().out.startswith("good: ended with 0 after ")
