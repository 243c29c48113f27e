"""How far TensorRT's builder is, told to a callback where the version reports it (10.0 on)."""

from __future__ import annotations

import logging
import threading
from typing import Any

from edgeseg.engine.library import Library
from edgeseg.engine.request import Progress

log = logging.getLogger(__name__)


class Phases:
    """Turns nested phases into one share: a phase's part of its parent's step that is under way.

    Phases start and finish on several of TensorRT's threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[str | None, int, int]] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Notes a phase of so many steps within another."""
        with self._lock:
            self._steps[name] = (parent, 0, max(1, steps))

    def step(self, name: str, done: int) -> tuple[str, float]:
        """Notes that step ``done`` (from 0) is finished; returns the outermost phase's share."""
        with self._lock:
            parent, _, steps = self._steps.get(name, (None, 0, 1))
            self._steps[name] = (parent, min(done + 1, steps), steps)
            return self._share(name)

    def finish(self, name: str) -> None:
        """Forgets a phase."""
        with self._lock:
            self._steps.pop(name, None)

    def _share(self, name: str) -> tuple[str, float]:
        share, inner = 0.0, name
        while True:
            parent, done, steps = self._steps[inner]
            share = min(1.0, (done + share) / steps)
            if parent is None or parent not in self._steps:
                return name, share
            inner = parent


def reports_progress(library: Library) -> bool:
    """Says whether this version tells how far a build is, and can be told to end it."""
    return library.has("IBuilderConfig.progress_monitor")


def make_monitor(library: Library, progress: Progress | None) -> Any:
    """Returns an IProgressMonitor that calls ``progress``, None where there is nobody to tell.

    A KeyboardInterrupt of ``progress`` ends the build; TensorRT drops it, so ``interrupted`` says
    it.
    """
    if progress is None or not reports_progress(library):
        return None
    tell: Progress = progress

    class Monitor(library.trt.IProgressMonitor):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            library.trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._phases = Phases()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                tell(*self._phases.step(phase_name, step))
            except KeyboardInterrupt:
                self.interrupted = True
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            self._phases.finish(phase_name)

    return Monitor()
