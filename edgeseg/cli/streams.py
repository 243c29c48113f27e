"""Standard streams that are closed, full or left by their reader."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

_STREAM_FAULTS = frozenset({errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG})


class Untroubled:
    """A text stream for people: when nobody can read it any more, the work goes on silently."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes what the stream takes."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: closed
            return len(text)

    def flush(self) -> None:
        """Flushes what the stream takes."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def sturdy_streams() -> Iterator[None]:
    """Makes closed streams (``2>&-``) empty ones, and a broken stderr no reason to end a run."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = before[0] or nowhere
        sys.stderr = cast(TextIO, Untroubled(before[1] or nowhere))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def muted_libraries() -> Iterator[None]:
    """Keeps stderr for our own words: libpng, libjpeg, Qt and others write there unasked.

    They know no other way to be told than that the descriptor leads nowhere. Only where stderr is
    the process's own, not replaced by a test or another program.
    """
    ours = sys.__stderr__
    if ours is None or sys.stderr is not ours:
        yield
        return
    words = open(os.dup(2), "w", encoding=ours.encoding, errors=ours.errors, buffering=1)  # noqa: SIM115
    _redirect(2, os.devnull)
    sys.stderr = words
    try:
        yield
    finally:
        sys.stderr = ours
        os.dup2(words.fileno(), 2)
        with suppress(OSError):  # what nobody could read
            words.close()


def discard_stdout() -> None:
    """Lets what stdout still holds go nowhere, instead of failing again when Python ends."""
    _redirect(sys.stdout.fileno(), os.devnull)


def _redirect(descriptor: int, path: str) -> None:
    target = os.open(path, os.O_WRONLY)
    try:
        os.dup2(target, descriptor)
    finally:
        os.close(target)


def is_stream_fault(error: Exception) -> bool:
    """Says whether an error came from a stream that takes no more, not from a named file."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _STREAM_FAULTS
