from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg.atomic import write_whole


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_made_and_replaced(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"one", durable=durable)
    write_whole(path, memoryview(b"second"), durable=durable)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_it_is_readable_for_whom_other_new_files_are(tmp_path: Path) -> None:
    plain, whole = tmp_path / "plain", tmp_path / "whole"
    plain.write_bytes(b"")
    write_whole(whole, b"")
    assert whole.stat().st_mode == plain.stat().st_mode


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    """The operating system refuses files above 4 KiB, as a full disk would."""
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from edgeseg.atomic import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_whole(Path(sys.argv[1]), bytes(1 << 16))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "OSError" in run.stderr
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "no" / "a.bin", b"")
