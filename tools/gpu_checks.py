"""Everything that needs an NVIDIA GPU, in one go, for a machine that is at hand for minutes.

    python tools/gpu_checks.py OUT_FOLDER [--seconds 3] [--size 1920x1080]

Runs the tests marked gpu, has FP16 files made and compared, then bench_gpu.py with every backend
that is installed and both packages that drive a GPU from Python, then one whole run. Nothing is
installed and nothing downloaded; what is missing is noted. Writes OUT_FOLDER/gpu_checks.json and
what each step printed, gpu_checks.log. Ends with 0 if every step that could run ended well.

Needed: Python 3.10 or newer, an NVIDIA driver, numpy, onnxruntime-gpu and CUDA's libraries (pip's
are found wherever this Python has them), pydantic, pyyaml, av, opencv-python-headless, psutil,
typer, rich, pytest, onnx; pycuda or cuda-bindings; NVRTC or nvcc.

This script has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/cuda",
    "tests/backends/test_ort_gpu.py",
    "tests/engine",
    "tests/backends/test_trt.py",
)
PACKAGES = (
    "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "pycuda", "cuda-bindings", "tensorrt",
    "tensorrt-rtx", "nvidia-cuda-nvrtc", "nvidia-cudnn-cu13", "torch",
)  # fmt: skip
MODELS = ("driving", "portrait")
LIMIT_S = 240
"""Seconds a step may take; a first TensorRT build takes the longest."""


@dataclass
class Step:
    """One command. skipped: why it was not run. report: of its JSON file, if it writes one."""

    name: str
    command: list[str]
    json_file: Path | None = None
    skipped: str = ""
    code: int | None = None
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)
    report: object = None


def steps(out: Path, *, seconds: float, size: str) -> Iterator[Step]:
    """Gives what is to be run, the most telling first."""
    python = sys.executable
    yield Step("doctor", [python, "-m", "edgeseg", "doctor"])
    yield Step(
        "tests", [python, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *TESTS]
    )
    for model in MODELS:
        command = [python, "-m", "edgeseg", "build", "-m", model, "-p", "fp16"]
        yield Step(f"build {model}", [*command, "-b", "onnxruntime-cuda"])
    for model in MODELS:
        for backend, cuda, precision in combinations():
            name = f"bench {model} {backend} {precision} {cuda}"
            path = out / f"{name.replace(' ', '-')}.json"
            command = [
                python, str(ROOT / "tools" / "bench_gpu.py"), "--model", model,
                "--backend", backend,
                "--precision", precision, "--cuda", cuda, "--seconds", str(seconds),
                "--size", size, "--json", str(path),
            ]  # fmt: skip
            yield Step(name, command, path, missing(backend, cuda))
    path = out / "run.json"
    source = f"synthetic://road?size={size}&frames=600"
    command = [python, "-m", "edgeseg", "run", source, "-m", "driving", "-b", "onnxruntime-cuda"]
    options = [
        "--no-window",
        "--report",
        str(path),
        "--overwrite",
        "-o",
        "null://",
        "--precision",
        "fp16",
    ]
    yield Step("run", [*command, *options], path, missing("onnxruntime-cuda", ""))


def combinations() -> Iterator[tuple[str, str, str]]:
    """Gives backend, package that drives the GPU, precision."""
    for cuda in ("pycuda", "cuda-python"):
        for precision in ("fp16", "fp32"):
            yield "onnxruntime-cuda", cuda, precision
    for backend in ("tensorrt", "tensorrt-rtx"):
        for precision in ("fp16", "int8", "fp32"):
            yield backend, "auto", precision


def missing(backend: str, cuda: str) -> str:
    """Returns why a combination cannot run here, "" if it might."""
    modules = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx", "pycuda": "pycuda"}
    for name in (backend, cuda):
        if name in modules and find_spec(modules[name]) is None:
            return f"{modules[name]} is not installed"
    if cuda == "cuda-python" and (find_spec("cuda") is None or find_spec("cuda.bindings") is None):
        return "cuda-python is not installed"
    return ""


def environment(cache: Path) -> dict[str, str]:
    """Returns this environment with our package, pip's CUDA libraries and a cache of its own."""
    found = find_spec("nvidia")
    roots = list(found.submodule_search_locations or ()) if found else []
    folders = [str(lib) for root in roots for lib in sorted(Path(root).glob("*/lib"))]
    given = dict(os.environ)
    paths = {"PYTHONPATH": [str(ROOT)], "LD_LIBRARY_PATH": folders, "PATH": ["/usr/local/cuda/bin"]}
    for name, first in paths.items():
        given[name] = os.pathsep.join([*first, *filter(None, [given.get(name)])])
    own = {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(cache / "data")}
    return {**given, **own, "PYTHONUNBUFFERED": "1"}


def run(step: Step, given: dict[str, str]) -> None:
    """Runs a step to its end, or to the limit, and notes what came of it."""
    started = time.perf_counter()
    try:
        ended = subprocess.run(
            step.command,
            cwd=ROOT,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
        step.code, said = ended.returncode, ended.stdout
    except subprocess.TimeoutExpired as error:
        step.code, said = 124, (error.stdout or b"") + b"\nran past its limit"
    step.seconds = round(time.perf_counter() - started, 1)
    step.said = said.decode("utf-8", "replace").splitlines()
    if step.json_file is not None and step.json_file.is_file():
        step.report = json.loads(step.json_file.read_text(encoding="utf-8"))


def installed() -> dict[str, str]:
    """Returns the versions of packages that matter here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", default="1920x1080")
    args = parser.parse_args(arguments)
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    given, done = environment(out / "cache"), []
    with (out / "gpu_checks.log").open("w", encoding="utf-8") as log:
        for step in steps(out, seconds=args.seconds, size=args.size):
            if not step.skipped:
                run(step, given)
            outcome = step.skipped or f"ended with {step.code} after {step.seconds} s"
            print(f"{step.name}: {outcome}", flush=True)
            log.write("\n".join([f"== {step.name}: {outcome}", *step.said, ""]))
            log.flush()
            done.append({**asdict(step), "json_file": None, "said": step.said[-12:]})
            write(out, done)
    return int(any(step["code"] not in (0, None) for step in done))


def write(out: Path, done: Sequence[dict[str, object]]) -> None:
    """Writes what is known so far: a machine may be taken back at any time."""
    report = {"schema": 1, "packages": installed(), "python": sys.version, "steps": done}
    text = json.dumps(report, indent=1, default=str) + "\n"
    (out / "gpu_checks.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
