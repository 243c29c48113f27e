"""What a pipeline does with frames, how they flow, and how a stage is timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgeseg.protocols import Effect, Segmenter, StageTimer
from edgeseg.runtime.mailbox import MailboxPolicy


@dataclass(frozen=True, slots=True)
class Recipe:
    """What workers do with a frame; swapped whole while running, read once per frame."""

    segmenter: Segmenter
    effect: Effect


@dataclass(frozen=True, slots=True)
class Flow:
    """How frames flow: mailbox policy and capacity, number of workers."""

    policy: MailboxPolicy
    capacity: int
    workers: int


@contextmanager
def timed(timer: StageTimer, stage: str) -> Iterator[None]:
    """Records the wall and thread CPU time of what runs inside; nothing when that raises."""
    wall, cpu = time.perf_counter(), time.thread_time()
    yield
    timer.record(stage, time.perf_counter() - wall, time.thread_time() - cpu)
