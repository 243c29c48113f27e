"""Shared by every test: no thread of ours outlives its test."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Before PyTorch is imported, here and in subprocesses: its threads wait for one another on cores
# that others use, too, and tests take many times longer (training's: 173 s instead of 11 s).
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps tests away from the user's tuning cache and pulled models, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    yield
    alive = [t.name for t in threading.enumerate() if t.name.startswith("edgeseg-")]
    assert not alive, f"threads still running: {alive}"


@pytest.fixture(autouse=True)
def logging_as_in_a_library() -> None:
    """Undoes what an earlier test's command line did to the package's logger."""
    logger = logging.getLogger("edgeseg")
    logger.handlers[:], logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
