"""An open driver whose stub must hold nothing before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from emulation import stub_counts

from edgeseg.cuda import Driver, open_driver

KIND: Any = os.environ["EDGESEG_TEST_CUDA"]
STUB = bool(os.environ.get("EDGESEG_TEST_STUB"))


def nothing_left() -> None:
    if STUB:
        counts = stub_counts()
        assert not any(counts.values()), counts


@pytest.fixture
def driver() -> Iterator[Driver]:
    nothing_left()
    opened = open_driver(KIND)
    with opened.current():
        yield opened
    opened.close()
    opened.close()
    nothing_left()
