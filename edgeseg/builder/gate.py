"""The gate: what a file of lower precision costs and gains, and whether that is good enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from edgeseg.builder.bench import Bench
from edgeseg.builder.judge import Judge, Score
from edgeseg.builder.make import Made
from edgeseg.builder.speed import side_by_side_ms
from edgeseg.device import cpu_name, gpu_name, package_version
from edgeseg.evaluate.steadiness import clip_flicker
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend
from edgeseg.segment import NetworkSegmenter
from edgeseg.spec import Precision

FASTER = 1.05
"""FP32's time over its own from which a file counts as faster: less is noise of the measurement."""


@dataclass(frozen=True, slots=True)
class Row:
    """One precision: points lost to FP32, flicker 0..1, milliseconds of a call, size in bytes.

    score, drop, flicker: None where they were not measured.
    """

    precision: Precision
    score: Score | None
    drop: float | None
    flicker: float | None
    ms: float
    size: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """rows: FP32 first. passed: None where nothing was there to judge by."""

    rows: tuple[Row, ...]
    precision: Precision
    max_drop: float
    backend: str

    @property
    def row(self) -> Row:
        """That of what is built."""
        return next(row for row in self.rows if row.precision == self.precision)

    @property
    def passed(self) -> bool | None:
        """Says whether it loses no more than allowed."""
        return None if self.row.drop is None else self.row.drop <= self.max_drop

    @property
    def ratio(self) -> float:
        """FP32's time over its own."""
        return self.rows[0].ms / self.row.ms

    @property
    def faster(self) -> bool:
        """Says whether it is worth choosing here."""
        return self.precision != "fp32" and self.ratio >= FASTER


def measure(
    bench: Bench,
    files: Mapping[Precision, ModelFile | None],
    judge: Judge | None,
    fp32: Score | None,
) -> Verdict:
    """Scores and times what is built beside FP32, all opened at once.

    files: by precision, FP32 first; None where a GPU backend finds its own. fp32: the reference's
    score. Raises what opening and running raise.
    """
    with ExitStack() as stack:
        opened: dict[Precision, Backend] = {}
        for precision, file in files.items():
            opened[precision] = bench.open(precision, file)
            stack.callback(opened[precision].close)
        ms = side_by_side_ms(opened, bench.model.spec.input)
        rows = []
        for precision, backend in opened.items():
            own = fp32 if precision == "fp32" else None
            score = own or (judge.score(backend) if judge is not None else None)
            drop = None if fp32 is None or score is None else fp32.lost_to(score)
            flicker = _flicker(bench, backend)
            file = files[precision]
            size = None if file is None else len(file.data)
            rows.append(Row(precision, score, drop, flicker, ms[precision], size))
        return Verdict(
            tuple(rows), bench.target.precision, bench.options.allowed, _named(opened, bench)
        )


def record(bench: Bench, verdict: Verdict, judge: Judge | None, made: Made) -> dict[str, Any]:
    """Returns what the report and the file's recipe say of the gate; no path is in it."""
    rows = {row.precision: _figures(row) for row in verdict.rows}
    drop = verdict.row.drop
    return {
        "passed": verdict.passed,
        "faster": verdict.faster,
        "drop": None if drop is None else round(drop, 3),
        "max_drop": verdict.max_drop,
        "data": None if judge is None else dict(judge.data),
        "scores": rows,
        "speed": {
            "ratio": round(verdict.ratio, 3),
            "threads": 1,
            "backend": verdict.backend,
        },
        "kept": [
            {"layer": one.layer, "kind": one.kind, "snr_db": round(one.snr_db, 1)}
            for one in made.kept
        ],
        "searched_on": None if made.searched_on is None else dict(made.searched_on),
        "clip": {"file": bench.clip_name, "frames": len(bench.clip)} if bench.clip else None,
        "device": {"cpu": cpu_name(), "gpu": gpu_name()},
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def refusal(model: str, verdict: Verdict, *, kept: int) -> str:
    """Returns why a file is not kept, in one line."""
    row, first = verdict.row, verdict.rows[0]
    before = {} if first.score is None else first.score.judged
    now = {} if row.score is None else row.score.judged
    pairs = ", ".join(f"{name} {value:.4f} -> {now[name]:.4f}" for name, value in before.items())
    drop = row.drop or 0.0
    layers = f", even with {kept} layers in floating point" if kept else ""
    return (
        f"{model}: {row.precision.upper()} loses {drop:.2f} points ({pairs}){layers}; allowed are "
        f"{verdict.max_drop:g}. Nothing was kept. Try more or other --calibration pictures, "
        f"another --method, --keep-float, or --max-drop {math.ceil(drop * 10) / 10:g}"
    )


def _figures(row: Row) -> dict[str, Any]:
    score = {} if row.score is None else row.score.figures()
    flicker = None if row.flicker is None else round(row.flicker, 5)
    drop = None if row.drop is None else round(row.drop, 3)
    return {**score, "drop": drop, "flicker": flicker, "ms": row.ms, "bytes": row.size}


def _flicker(bench: Bench, backend: Backend) -> float | None:
    if len(bench.clip) < 2:
        return None
    return clip_flicker(NetworkSegmenter(bench.model.spec, backend), bench.clip)


def _named(opened: Mapping[Precision, Backend], bench: Bench) -> str:
    info = opened[bench.target.precision].info
    package = {"onnxruntime": "onnxruntime", "openvino": "openvino"}.get(info.name)
    version = package_version(package) if package else None
    return f"{info.name} {version}" if version else info.name
