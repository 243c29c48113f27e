"""Time ONNX models against one another: one thread, interleaved rounds, same machine state.

python tools/time_models.py engines/portrait.onnx reference.onnx [--rounds 200] [--json T.json]
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

WARM_UP = 10


def runnable(path: Path) -> bytes:
    """The model without initialisers among its inputs, which would stop constant folding."""
    model = onnx.load(path)
    names = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return bytes(model.SerializeToString())


def open_model(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, NDArray[np.generic]]]:
    """A single-threaded session and one random input for it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        runnable(path), options, providers=["CPUExecutionProvider"]
    )
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
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds + WARM_UP):
        for name, (session, feed) in models.items():
            began = time.perf_counter()
            session.run(None, feed)
            if turn >= WARM_UP:
                times[name].append((time.perf_counter() - began) * 1e3)
    return times


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure and print a table; optionally write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    times = measure(arguments.models, arguments.rounds)
    rows = {
        name: {
            "median_ms": round(float(np.median(values)), 2),
            "p10_ms": round(float(np.percentile(values, 10)), 2),
        }
        for name, values in times.items()
    }
    print(f"{'model':32} {'median ms':>10} {'p10 ms':>8}")
    for name, row in rows.items():
        print(f"{name:32} {row['median_ms']:10.2f} {row['p10_ms']:8.2f}")
    if arguments.json:
        report = {
            "device": processor(),
            "onnxruntime": onnxruntime.__version__,
            "threads": 1,
            "rounds": arguments.rounds,
            "date": datetime.date.today().isoformat(),
            "models": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
