"""Streams nobody reads: closed, full, or left in the middle."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import av
import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell and /dev/full")

EDGESEG = f"{shlex.quote(sys.executable)} -m edgeseg"
RUN = f"{EDGESEG} run 'synthetic://portrait?size=64x48&frames=9' --set model.threads=1"


def shell(command: str, cwd: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=cwd, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("end", ["2>&1 | head -1 >/dev/null", "2>/dev/full", "<&- >&- 2>&-"])
def test_a_run_outlives_the_reader_of_its_words(tmp_path: Path, end: str) -> None:
    code, _, err = shell(f"{RUN} -o out.mp4 {end}", tmp_path)
    assert (code, err) == (0, "")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 9


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        (">&-", 0, ""),
        ("| true", 0, ""),
        (">/dev/full", 3, "edgeseg: standard output cannot be written: [Errno 28] No space left"),
    ],
)
def test_data_for_nobody(tmp_path: Path, end: str, code: int, line: str) -> None:
    got, _, err = shell(f"{EDGESEG} models list {end}", tmp_path)
    assert got == code, err
    assert err.startswith(line)
    assert len(err.splitlines()) == bool(line), err
