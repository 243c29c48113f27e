"""Shared by every test: no thread of ours outlives its test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    yield
    alive = [t.name for t in threading.enumerate() if t.name.startswith("edgeseg-")]
    assert not alive, f"threads still running: {alive}"
