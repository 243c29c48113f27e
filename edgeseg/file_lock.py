"""One process at a time: locks that the system lets go of when their holder dies."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

POLL_S = 0.02


@contextmanager
def file_lock(path: Path, *, patience_s: float) -> Iterator[None]:
    """Holds a file's lock; it is made if need be, and stays.

    Raises OSError when it cannot be made, TimeoutError when others hold it for longer.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience_s
        while not try_lock(handle):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: held by another process for {patience_s:g} s")
            time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Takes the file's lock if nobody has it; closing the file gives it back."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network folders have no locks; what is locked must bear that
        log.info("no locks in this folder: %s", error)
    return True
