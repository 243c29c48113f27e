"""Time every shipped model in FP32 and INT8, on ONNX Runtime and OpenVINO: one run, in turns.

python tools/time_precisions.py [MODEL ...] [--threads 1 2] [--rounds 100] [--data DIR] [--json J]
Without models all shipped ones; what is not there (no INT8 file, no OpenVINO) is left out and said.
Ratios are to FP32 on ONNX Runtime. The gate's figures come along; with --data, the folder of the
data sets that the gates name, every backend and precision is scored on them again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from time_models import table

from edgeseg.backends import BackendOptions, open_backend
from edgeseg.builder.judge import LabelJudge
from edgeseg.device import describe_device
from edgeseg.errors import BackendUnavailable, EdgesegError
from edgeseg.evaluate import DataChoice
from edgeseg.model_file import ModelFile, load_model, load_variant, shipped_models
from edgeseg.protocols import Backend, Tensor

WARM_UP = 5
BACKENDS = ("onnxruntime", "openvino")
PRECISIONS: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")

Report = dict[str, Any]


def open_all(
    model: ModelFile, threads: int, stack: ExitStack
) -> tuple[dict[str, Backend], list[str]]:
    """Every backend and precision of a model that opens here, and why the others do not."""
    opened: dict[str, Backend] = {}
    missing = []
    for precision in PRECISIONS:
        if precision == "int8" and load_variant(model, "int8") is None:
            missing.append(f"{model.name}: no INT8 file")
            continue
        for name in BACKENDS:
            options = BackendOptions(threads=threads, precision=precision)
            try:
                backend = open_backend(model, kind=name, options=options)
            except BackendUnavailable as error:
                missing.append(f"{model.name}: {name} {precision}: {error}")
                continue
            stack.callback(backend.close)
            opened[f"{name} {precision}"] = backend
    return opened, missing


def measure(
    opened: dict[str, Backend], feeds: dict[str, Tensor], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of every call by name; the backends take turns."""
    times: dict[str, list[float]] = {name: [] for name in opened}
    for turn in range(rounds + WARM_UP):
        for name, backend in opened.items():
            began = time.perf_counter()
            backend.infer(feeds)
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def scores_of(model: ModelFile) -> Report:
    """What the gate of the INT8 file found, empty where there is none."""
    int8 = load_variant(model, "int8")
    gate = {} if int8 is None or int8.spec.build is None else int8.spec.build.gate
    return {key: gate[key] for key in ("passed", "drop", "data", "scores") if key in gate}


def rescored(model: ModelFile, data: Path) -> dict[str, Any]:
    """The score of every backend and precision on the data of the model's gate."""
    named = scores_of(model).get("data", {})
    if named.get("kind") != "accuracy":
        return {}
    judge = LabelJudge(model.spec, DataChoice(data / named["data"], named["split"]))
    with ExitStack() as stack:
        opened, _ = open_all(model, 1, stack)
        return {name: judge.score(backend).figures() for name, backend in opened.items()}


def timed(
    model: ModelFile, threads: Sequence[int], rounds: int
) -> tuple[dict[str, Any], list[str]]:
    """Figures of a model by number of threads, and what could not be timed."""
    picture = model.spec.input
    pixels = np.random.default_rng(0).random(picture.shape) * 255
    feeds: dict[str, Tensor] = {picture.name: pixels.astype(picture.dtype)}
    found: dict[str, Any] = {}
    missing: list[str] = []
    for count in threads:
        with ExitStack() as stack:
            opened, absent = open_all(model, count, stack)
            found[str(count)] = table(measure(opened, feeds, rounds))
            missing += [line for line in absent if line not in missing]
    return found, missing


def show(name: str, found: dict[str, Any]) -> None:
    """Prints a model's figures."""
    for threads, rows in found.items():
        for what, row in rows.items():
            print(
                f"{name:16} {threads:>2} thread{'s' if int(threads) > 1 else ' '} {what:18} "
                f"{row['median_ms']:9.2f} ms median {row['min_ms']:9.2f} least "
                f"x{1 / row['median_of_ratios']:.2f}"
            )


def main(words: list[str] | None = None) -> int:
    """Measure, print, optionally write JSON. The exit code: 0, or 2 for a bad model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    models: dict[str, Report] = {}
    missing: list[str] = []
    try:
        for name in given.models or shipped_models():
            model = load_model(name)
            found, absent = timed(model, given.threads, given.rounds)
            missing += absent
            models[model.name] = {"threads": found, "gate": scores_of(model)}
            show(model.name, found)
            if given.data:
                models[model.name]["scores"] = scores = rescored(model, given.data)
                for what, score in scores.items():
                    print(f"{model.name:16} {what:18} {score}")
    except EdgesegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for line in missing:
        print(f"not timed: {line}", file=sys.stderr)
    if given.json:
        report = {
            "device": describe_device(),
            "rounds": given.rounds,
            "date": datetime.date.today().isoformat(),
            "models": models,
            "not_timed": missing,
        }
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
