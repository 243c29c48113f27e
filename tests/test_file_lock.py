from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg.file_lock import file_lock


def test_only_one_holds_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _ in range(2):  # and it is given back
        with (
            file_lock(path, patience_s=0),
            pytest.raises(TimeoutError, match=r"\.lock: held by another process for 0\.05 s"),
            file_lock(path, patience_s=0.05),
        ):
            pass


def test_a_holder_that_dies_lets_go(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    code = (
        "import os, sys; from pathlib import Path; from edgeseg.file_lock import file_lock\n"
        "with file_lock(Path(sys.argv[1]), patience_s=0): os._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 7
    with file_lock(path, patience_s=0):
        pass


def test_no_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), file_lock(tmp_path / "no" / ".lock", patience_s=0):
        pass
