"""Commands that are told to end, by ``kill``, ``timeout`` or a closed terminal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TWICE_S = 0.3
"""Signals closer than this are one: ``timeout`` and shells send one twice at once."""


@contextmanager
def ending_as_by_ctrl_c() -> Iterator[None]:
    """Ends a command as Ctrl-C would, so that it leaves no litter; a second signal kills it.

    Signals that are handled otherwise already, as under nohup, are left alone.
    """
    asked_at: list[float] = []

    def end(number: int, stack: object) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            raise KeyboardInterrupt
        if asked_at[-1] - asked_at[0] > TWICE_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    known = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]  # Windows: no SIGHUP
    ours = [n for n in known if n is not None and signal.getsignal(n) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []  # only the main thread may say what signals do
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
