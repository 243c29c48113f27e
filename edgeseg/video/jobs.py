"""Work handed to other threads, a bounded amount of it, whose outcomes come back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Jobs(Generic[T]):
    """Runs jobs in threads; what they return or raise reaches the thread that hands them in.

    threads: how many work. landed: called with each job's outcome, in the order of ``add``, from
    ``add`` and ``finish``. At most twice as many jobs as threads are under way, so that memory
    stays bounded. For use from one thread.
    """

    def __init__(self, *, threads: int, landed: Callable[[T], None]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="edgeseg-job")
        self._limit = 2 * threads
        self._landed = landed
        self._pending: deque[Future[T]] = deque()
        self._failed = False

    def add(self, job: Callable[[], T]) -> None:
        """Hands in a job; first raises what an earlier job, or ``landed`` on it, raised."""
        while self._pending and (len(self._pending) >= self._limit or self._pending[0].done()):
            self._land()
        self._pending.append(self._pool.submit(job))

    def finish(self) -> None:
        """Waits for all jobs and ends the threads; raises the first error not raised by ``add``."""
        try:
            while self._pending and not self._failed:
                self._land()
        finally:
            self._pool.shutdown(wait=True)

    def _land(self) -> None:
        try:
            self._landed(self._pending.popleft().result())
        except BaseException:
            self._failed = True
            raise
