"""Time ONNX models against one another: one thread, interleaved rounds, same machine state.

python tools/time_models.py engines/driving.onnx engines/driving-icnet.onnx [--json T.json]
Models are files or shipped names; the ratios are to the first one: of the medians, and the median
of the rounds' own ratios, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeseg.device import cpu_name
from edgeseg.errors import ConfigError, EdgesegError, ModelError
from edgeseg.model_file.find import find_model, read_model_bytes
from edgeseg.model_file.graph import without_initialiser_inputs
from edgeseg.spec import one_line

THREADS = 1
WARM_UP = 10


def open_model(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, NDArray[np.generic]]]:
    """A single-threaded session and one random input for it.

    Raises: ModelError when `path` is no model that runs.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            without_initialiser_inputs(read_model_bytes(path), where=str(path)),
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime raises many kinds for a file it cannot run
        raise ModelError(f"{path}: ONNX Runtime cannot run it: {one_line(error)[:160]}") from error
    rng = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in value.shape]
        dtype = np.uint8 if "uint8" in value.type else np.float32
        feed[value.name] = (rng.random(shape) * (255 if dtype is np.uint8 else 1)).astype(dtype)
    return session, feed


def measure(paths: list[Path], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every run by file name; the models take turns."""
    models = {path.stem: open_model(path) for path in paths}
    if len(models) < len(paths):
        raise ConfigError("two models have the same file name; rename or copy one")
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds + WARM_UP):
        for name, (session, feed) in models.items():
            began = time.perf_counter()
            session.run(None, feed)
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def table(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, tenth percentile, least, and the ratios to the first model, by model."""
    first = np.array(next(iter(times.values())))
    rows = {}
    for name, values in times.items():
        each = np.array(values)
        rows[name] = {
            "median_ms": round(float(np.median(each)), 2),
            "p10_ms": round(float(np.percentile(each, 10)), 2),
            "min_ms": round(float(each.min()), 2),
            "ratio_of_medians": round(float(np.median(each) / np.median(first)), 4),
            "median_of_ratios": round(float(np.median(each / first)), 4),
        }
    return rows


def main(words: list[str] | None = None) -> int:
    """Measure and print a table; optionally write JSON. The exit code: 0, or 2 for a bad model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(words)
    try:
        times = measure([find_model(name) for name in arguments.models], arguments.rounds)
    except EdgesegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    rows = table(times)
    print(f"{'model':32} {'median ms':>10} {'p10 ms':>8} {'min ms':>8} {'of first':>9}")
    for name, row in rows.items():
        print(
            f"{name:32} {row['median_ms']:10.2f} {row['p10_ms']:8.2f} {row['min_ms']:8.2f} "
            f"{row['median_of_ratios']:9.3f}"
        )
    if arguments.json:
        report = {
            "device": cpu_name(),
            "onnxruntime": onnxruntime.__version__,
            "threads": THREADS,
            "rounds": arguments.rounds,
            "date": datetime.date.today().isoformat(),
            "models": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
