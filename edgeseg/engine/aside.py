"""A build of minutes beside the thread that asked for it: time is told, and Ctrl-C is heard.

TensorRT takes an exception raised in a callback for its own, and drops it: a Ctrl-C that met one
was lost (read in its Python bindings, 8.5 to 11). In another thread Python never raises it.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from edgeseg.engine.request import Progress

log = logging.getLogger(__name__)

Made = TypeVar("Made")

POLL_S = 0.1
SAY_S = 15.0
"""How often a build that goes on is spoken of."""
TWICE_S = 0.3
"""``timeout`` and shells send one signal twice at once: that counts as one."""
START_S = 1.0


def build_aside(
    build: Callable[[Progress], Made], *, title: str, stoppable: bool, progress: Progress | None
) -> Made:
    """Returns what ``build`` makes in a thread of its own, or raises what it raises.

    build: gets what to tell its progress to, which raises KeyboardInterrupt once it should stop.
    stoppable: it tells progress at all. A second Ctrl-C ends the process.
    """
    work = _Work(build, progress)
    begun = False
    while True:
        try:
            if not begun:
                begun = True
                work.thread.start()
            work.wait(SAY_S)
            break
        except KeyboardInterrupt:
            if not work.begun.wait(START_S):  # it came before there was a thread
                raise
            work.interrupt("stopping" if stoppable else f"{title} cannot stop a build: waiting")
    if work.asked_at is not None:
        raise KeyboardInterrupt
    return work.result()


class _Work(Generic[Made]):
    """A build under way. It dies with the process: nobody could use what it makes."""

    def __init__(self, build: Callable[[Progress], Made], progress: Progress | None) -> None:
        self.asked_at: float | None = None
        self.begun = threading.Event()
        self._build = build
        self._progress = progress
        self._far: tuple[str, float] | None = None
        self._made: list[Made] = []
        self._error: BaseException | None = None
        self._started = self._spoken = time.monotonic()
        self._ended = threading.Event()  # a Ctrl-C in Thread.join marks it as ended (Python 3.11)
        self.thread = threading.Thread(target=self._run, name="engine build", daemon=True)

    def _run(self) -> None:
        self.begun.set()
        try:
            self._made.append(self._build(self._tell))
        except BaseException as error:  # noqa: BLE001  raised again where the build was asked for
            self._error = error
        finally:
            self._ended.set()

    def _tell(self, phase: str, share: float) -> None:
        if self.asked_at is not None:
            raise KeyboardInterrupt
        self._far = phase, share
        if self._progress is not None:
            self._progress(phase, share)

    def interrupt(self, doing: str) -> None:
        """Asks the build to end; the second time it ends the process."""
        now = time.monotonic()
        if self.asked_at is None:
            self.asked_at = now
            with suppress(KeyboardInterrupt):
                log.warning("%s; Ctrl-C again ends edgeseg at once", doing)
        elif now - self.asked_at > TWICE_S:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    def wait(self, say_s: float) -> None:
        """Waits for the end, and says now and then that it goes on."""
        while not self._ended.wait(POLL_S):
            now = time.monotonic()
            if now - self._spoken >= say_s:
                self._spoken = now
                far = "" if self._far is None else ", {1:.0%} ({0})".format(*self._far)
                log.warning("still building: %.0f s so far%s", now - self._started, far)

    def result(self) -> Made:
        """Returns what was made, or raises what went wrong."""
        if self._error is not None:
            raise self._error
        return self._made[0]
