"""Pipeline: one capture thread, N workers, and the caller's thread that writes and shows.

    source -> Mailbox -> worker: segment -> (in order) smooth -> effect -> Outbox -> sinks

A frame, its result and its time stay one packet from capture to sink. The first error of any
thread ends the run: frames before it are still written, sinks are finalised, no thread survives,
and the error is raised by ``run``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from edgeseg.errors import Interrupted
from edgeseg.meter import Meter
from edgeseg.protocols import Effect, InteractiveSink, Segmenter, Sink, Smoother, Source
from edgeseg.runtime.closing import close_all
from edgeseg.runtime.mailbox import Closed, Mailbox, Outbox, Turnstile
from edgeseg.runtime.pool import PlanesPool
from edgeseg.runtime.recipe import Flow, Recipe, timed
from edgeseg.types import Frame, OutputInfo, Planes, Rendered, Result

log = logging.getLogger(__name__)

TICK_S = 0.05
JOIN_S = 5.0

T = TypeVar("T")
DrawHud = Callable[[Planes, Frame, Recipe], None]


@dataclass(frozen=True, slots=True)
class _Failed:
    """Stands in the outbox for a frame whose work failed."""

    error: BaseException


class Pipeline:
    """Runs a source through a recipe into sinks. One use: construct, ``run``, done.

    sinks: opened and closed here; interactive ones come last, after ``draw_hud`` drew on the
    picture (``hud_everywhere`` draws before the first sink instead). on_key gets the keys of
    interactive sinks, on_tick is called from ``run``'s thread about 20 times a second.
    """

    def __init__(
        self,
        *,
        source: Source,
        recipe: Recipe,
        smoother: Smoother,
        sinks: Sequence[Sink],
        flow: Flow,
        meter: Meter,
        overwrite: bool = False,
        draw_hud: DrawHud | None = None,
        hud_everywhere: bool = False,
        on_key: Callable[[Pipeline, str], None] = lambda pipeline, key: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.source = source
        self.recipe = recipe
        self.meter = meter
        self.paused = False
        self.last: Rendered | None = None  # what was written last, for snapshots
        self._smoother = smoother
        self._plain = [s for s in sinks if not isinstance(s, InteractiveSink)]
        self._interactive = [s for s in sinks if isinstance(s, InteractiveSink)]
        self._flow = flow
        self._overwrite = overwrite
        self._draw_hud = draw_hud
        self._hud_everywhere = hud_everywhere
        self._on_key = on_key
        self._on_tick = on_tick
        self._inbox: Mailbox[Frame] = Mailbox(capacity=flow.capacity, policy=flow.policy)
        self._turnstile = Turnstile()
        self._outbox: Outbox[Rendered | _Failed] = Outbox(
            capacity=flow.workers + 1, givers=flow.workers
        )
        self._pool = PlanesPool(limit=2 * flow.workers + 2)
        self._source_error: BaseException | None = None
        self._reset_smoother = threading.Event()
        self._interrupted = False
        self._ending = False
        self._resumed_at = 0.0

    # ---- control, from any thread or a signal handler ----

    def interrupt(self) -> None:
        """Ends the run soon and makes ``run`` raise Interrupted after finalising the outputs."""
        self._interrupted = True

    def swap(self, recipe: Recipe) -> None:
        """Puts another model or effect to work from the next frame on."""
        if recipe.segmenter is not self.recipe.segmenter:
            self._reset_smoother.set()
        self.recipe = recipe

    def pause(self, paused: bool) -> None:
        """Stops or goes on taking frames; a live source meanwhile drops, a file waits."""
        self.paused = paused
        self._resumed_at = time.perf_counter()

    def end(self) -> None:
        """Ends the run at the user's wish: what is under way is finished, ``run`` returns."""
        if not self._ending:
            self._ending = True
            self.source.interrupt()
            self.meter.count("dropped", self._inbox.clear())
            self.paused = False

    # ---- the run ----

    def run(self) -> None:
        """Runs to the end of the source. Raises the first error, or Interrupted."""
        threads = [threading.Thread(target=self._capture, name="edgeseg-capture", daemon=True)]
        for number in range(self._flow.workers):
            name = f"edgeseg-worker-{number}"
            threads.append(threading.Thread(target=self._work, name=name, daemon=True))
        try:
            with self._opened_sinks():
                self.meter.start()
                for thread in threads:
                    thread.start()
                try:
                    self._deliver()
                finally:
                    self._stop_threads(threads)
        finally:
            self.meter.stop()  # after the sinks are closed: finishing a file is part of the run
        if self._interrupted:
            raise Interrupted("interrupted; what was processed so far is written")

    def _stop_threads(self, threads: list[threading.Thread]) -> None:
        self.source.interrupt()
        for queue in (self._inbox, self._turnstile, self._outbox):
            queue.abort()
        deadline = time.perf_counter() + JOIN_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.perf_counter()))
            if thread.is_alive():
                log.warning("%s did not end within %.0f s", thread.name, JOIN_S)

    @contextmanager
    def _opened_sinks(self) -> Iterator[None]:
        """Opens every sink or none; closes all, and the source, whatever happens."""
        opened: list[Sink] = []
        error: BaseException | None = None
        try:
            size = self.recipe.effect.output_size(self.source.info.size)
            alpha = self.recipe.effect.alpha
            info = OutputInfo(self.source.info, size, alpha=alpha, overwrite=self._overwrite)
            for sink in (*self._plain, *self._interactive):
                opened.append(sink)
                sink.open(info)
            yield
        except BaseException as first:
            error = first
            raise
        finally:
            close_all([*opened, self.source], quiet=error is not None)

    # ---- capture thread ----

    def _capture(self) -> None:
        try:
            while not self._ending:
                wall, cpu = time.perf_counter(), time.thread_time()
                frame = self.source.read()
                if frame is None:
                    break
                self.meter.record("decode", time.perf_counter() - wall, time.thread_time() - cpu)
                self.meter.count("captured")
                dropped = self._inbox.put(frame)
                if dropped:
                    self.meter.count("dropped", dropped)
        except Closed:
            pass
        except BaseException as error:  # noqa: BLE001  stored here, raised again by run()
            self._source_error = error
        finally:
            self._inbox.finish()

    # ---- worker threads ----

    def _work(self) -> None:
        try:
            while (job := self._inbox.take()) is not None:
                ticket, frame = job
                self._outbox.put(ticket, self._process(ticket, frame))
        except Closed:
            pass
        finally:
            self._outbox.giver_left()

    def _process(self, ticket: int, frame: Frame) -> Rendered | _Failed:
        """Returns the finished frame, or what went wrong with it; the turn is always passed on."""
        recipe = self.recipe
        result = _attempt(lambda: self._segment(recipe.segmenter, frame))
        with self._turnstile.turn(ticket):
            if not isinstance(result, _Failed):
                raw = result
                result = _attempt(lambda: self._smooth(frame, raw))
        if isinstance(result, _Failed):
            return result
        ready = result
        return _attempt(lambda: Rendered(self._render(recipe.effect, frame, ready), frame, ready))

    def _segment(self, segmenter: Segmenter, frame: Frame) -> Result:
        result = segmenter.segment(frame, self.meter)
        self.meter.count("inferred")
        return result

    def _smooth(self, frame: Frame, result: Result) -> Result:
        if frame.cut or self._reset_smoother.is_set():
            self._reset_smoother.clear()
            self._smoother.reset()
        with timed(self.meter, "smooth"):
            return self._smoother.smooth(frame, result)

    def _render(self, effect: Effect, frame: Frame, result: Result) -> Planes:
        with timed(self.meter, "effect"):
            picture = self._pool.take(effect.output_size(frame.size), alpha=effect.alpha)
            effect.render(frame, result, picture)
        self.meter.count("rendered")
        return picture

    # ---- the caller's thread ----

    def _deliver(self) -> None:
        """Writes frames in order until the source is done, someone fails or the user ends it."""
        next_tick = 0.0
        while True:
            now = time.perf_counter()
            if now >= next_tick:
                next_tick = now + TICK_S
                self._tick()
            if self.paused:
                time.sleep(TICK_S)
                continue
            item = self._outbox.take(TICK_S)
            if item is not None:
                self._deliver_one(item)
            elif self._outbox.finished:
                break
        if self._source_error is not None:
            raise self._source_error

    def _deliver_one(self, item: Rendered | _Failed) -> None:
        if isinstance(item, _Failed):
            raise item.error
        self._write(item)
        if self.last is not None:
            self._pool.give_back(self.last.picture)
        self.last = item

    def _tick(self) -> None:
        if self._interrupted:
            self.end()
        self._on_tick()
        for sink in self._interactive:
            for key in sink.poll():
                self._on_key(self, key)

    def _write(self, item: Rendered) -> None:
        with timed(self.meter, "encode"):
            if self._hud_everywhere:
                self._hud(item)
            for sink in self._plain:
                sink.write(item)
            if self._interactive and not self._hud_everywhere:
                self._hud(item)
            for sink in self._interactive:
                sink.write(item)
        self.meter.count("written")
        if item.frame.captured_at >= self._resumed_at:  # not the user's own pause
            self.meter.latency(time.perf_counter() - item.frame.captured_at)

    def _hud(self, item: Rendered) -> None:
        if self._draw_hud is not None:
            self._draw_hud(item.picture, item.frame, self.recipe)


def _attempt(work: Callable[[], T]) -> T | _Failed:
    try:
        return work()
    except BaseException as error:  # noqa: BLE001  travels in order, raised again by run()
        return _Failed(error)
