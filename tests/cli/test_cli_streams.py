"""Streams nobody reads: closed, full, or left in the middle."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
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


def test_picture_libraries_keep_quiet(tmp_path: Path) -> None:
    """libpng and OpenCV print to stderr by themselves when a picture is damaged."""
    good = cv2.imencode(ext=".png", img=np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    cv2.imwrite(filename=str(tmp_path / "float.tiff"), img=np.zeros((4, 4), np.float32))
    for name in ("cut.png", "float.tiff"):
        code, _, err = shell(f"{EDGESEG} run {name} -o null://", tmp_path)
        line = f"edgeseg: {name}: not a picture that OpenCV can read, or damaged\n"
        assert (code, err) == (2, line)
