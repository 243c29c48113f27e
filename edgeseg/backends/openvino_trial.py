"""A model's first run in OpenVINO, in a process of its own, since it may crash.

OpenVINO died of a segmentation fault on one INT8 file: no exception to catch. So each new file is
run and timed by ``python -m edgeseg.backends.openvino_trial FILE`` first, which also leaves the
compiled network in the cache folder, and what came of it is remembered by file, version and CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgeseg.backends.remembered import default_cache, recall, remember
from edgeseg.backends.timing import Measured, measure, measured_from_json
from edgeseg.device import available_cores, cpu_name, package_version
from edgeseg.errors import BackendUnavailable, EdgesegError, ModelError
from edgeseg.model_file import ModelFile, load_model

TIMEOUT_S = 120.0
"""A trial that takes longer hangs; the slowest board needs a fraction of it."""
STOPPED = (signal.SIGINT, signal.SIGTERM, 9)
"""Signals by which somebody ended a trial; they say nothing about the file."""


def ensure_works(file: ModelFile, *, cache: Path | None = None) -> None:
    """Tries a file in another process unless that was done before. Raises as ``try_out`` does."""
    path = cache or default_cache()
    known = recall(path, _key(file))
    if isinstance(known, str):
        raise _crash(file, known)
    if known is not True:
        try_out(file, threads=1, cores=1, cache=path)


def try_out(
    file: ModelFile, *, cores: int, threads: int = 0, cache: Path | None = None
) -> Measured:
    """Runs and times a file in another process, and remembers whether it crashes.

    Raises:
        BackendUnavailable: it crashes OpenVINO, now or before, or the process did not start.
        ModelError: OpenVINO refuses it.
    """
    path = cache or default_cache()
    known = recall(path, _key(file))
    if isinstance(known, str):
        raise _crash(file, known)
    done = _run(file, cores, threads)
    if done.returncode < 0 or done.returncode > 2:
        died = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        if -done.returncode not in STOPPED:
            remember(path, _key(file), died)
        raise _crash(file, died)
    told = _last_line(done.stdout)
    measured = measured_from_json(told, disturbed=bool(told.get("disturbed")))
    if measured is None:
        raise ModelError(str(told.get("error") or f"{file.path}: {_tail(done.stderr)}"))
    remember(path, _key(file), True)
    return measured


def _run(file: ModelFile, cores: int, threads: int) -> subprocess.CompletedProcess[str]:
    """Runs this module in another process that finds its modules where this one does."""
    package = Path(__file__).parents[2]
    paths = [str(Path(entry).absolute()) for entry in sys.path if entry]
    command = [sys.executable or "", "-m", __name__, str(file.path.absolute())]
    try:
        return subprocess.run(
            [*command, "--cores", str(cores), "--threads", str(threads)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
            cwd=package,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailable(
            f"could not try {file.path.name} with openvino in another process "
            f"({type(error).__name__}); use --backend onnxruntime"
        ) from error


def _crash(file: ModelFile, died: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"openvino {package_version('openvino')} crashes ({died}) on {file.path}; "
        "use --backend onnxruntime"
    )


def _key(file: ModelFile) -> str:
    version = package_version("openvino")
    return f"{file.sha256} | openvino {version} | {cpu_name()} | works"


def _last_line(text: str) -> dict[str, object]:
    """Returns the JSON object in the last line, empty where there is none."""
    try:
        told = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _tail(text: str) -> str:
    return (text.strip().splitlines() or ["openvino gave no answer"])[-1][:300]


def main(words: list[str] | None = None) -> int:
    """Times a file and tells the figures, or what is wrong with it, as one line of JSON."""
    from edgeseg.backends.openvino import OpenvinoBackend

    parser = argparse.ArgumentParser(prog="python -m edgeseg.backends.openvino_trial")
    parser.add_argument("file")
    parser.add_argument("--cores", type=int, default=available_cores())
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args(words)
    try:
        file = load_model(given.file)
        measured = measure(
            lambda threads, _: OpenvinoBackend(file, threads=threads),
            cores=given.cores,
            threads=given.threads,
            levels=("all",),
            own_time=time.process_time,
        )
    except EdgesegError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return 2
    told = {**measured.to_json(), "disturbed": measured.disturbed}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
