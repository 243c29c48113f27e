"""Both drivers on a stub of the driver's library, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from emulation import stub_environment

from edgeseg.cuda import gpus

PACKAGES = {"pycuda": "pycuda", "cuda-python": "cuda"}
HERE = Path(__file__).parent
PATH = os.pathsep.join(map(str, (HERE, HERE.parent, HERE.parent.parent)))


def run_suite(kind: str, environment: dict[str, str]) -> None:
    package = PACKAGES[kind]
    if find_spec(package) is None or (package == "cuda" and find_spec("cuda.bindings") is None):
        pytest.skip(f"{kind} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "driver_kit"]
    path = os.pathsep.join(filter(None, [PATH, environment.get("PYTHONPATH")]))
    environment |= {"EDGESEG_TEST_CUDA": kind, "PYTHONPATH": path}
    run = subprocess.run(
        [*command, *map(str, sorted(HERE.glob("driver_suite*.py")))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]


@pytest.mark.parametrize("kind", list(PACKAGES))
def test_a_driver_on_the_stub(kind: str) -> None:
    run_suite(kind, {**stub_environment(), "EDGESEG_TEST_STUB": "1"})


@pytest.mark.gpu
@pytest.mark.parametrize("kind", list(PACKAGES))
def test_a_driver_on_a_gpu(kind: str) -> None:
    if not gpus():
        pytest.skip("no NVIDIA GPU")
    run_suite(kind, dict(os.environ))
