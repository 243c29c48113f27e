"""One lane of a network on a GPU, with events around what it does."""

from __future__ import annotations

import time

from gpu_figures import Preset, Query

from edgeseg.cuda import Driver
from edgeseg.cuda.memory import Memory
from edgeseg.cuda.tensors import byte_count, fixed_shape
from edgeseg.protocols import DeviceNetwork


class TimedLane:
    """One lane of a network with events around copies and computing."""

    def __init__(self, driver: Driver, network: DeviceNetwork, preset: Preset) -> None:
        self._driver, self._preset = driver, preset
        self.stream = driver.stream()
        self._memory = Memory(driver)
        info = network.info
        tensors = (*info.inputs, *info.outputs)
        self._address = {t.name: self._memory.device(byte_count(t)) for t in tensors}
        self._host = {t.name: self._memory.pinned(fixed_shape(t), t.dtype) for t in tensors}
        self._inputs = [t.name for t in info.inputs]
        self._outputs = [t.name for t in info.outputs]
        for name in self._inputs:
            self._host[name][...] = 128
        self._lane = network.lane(self.stream)
        self._lane.bind(self._address)
        self._events = [driver.event() for _ in range(4)]
        self._graph: int | None = None
        self._enqueued_ms = 0.0
        self.busy = False
        self.capturable = False
        self._prepare()

    def _prepare(self) -> None:
        self._copy_in()
        self._lane.enqueue(self.stream)
        self._driver.synchronize(self.stream)
        self.capturable = self._lane.capturable
        if self._preset.graph and self.capturable:
            self._driver.begin_capture(self.stream)
            self._lane.enqueue(self.stream)
            self._graph = self._driver.end_capture(self.stream)

    def _copy_in(self) -> None:
        for name in self._inputs:
            self._driver.upload(self._address[name], self._host[name], self.stream)

    def start(self) -> None:
        """Puts one run on the stream."""
        driver, events = self._driver, self._events
        driver.record(events[0], self.stream)
        if self._preset.transfers:
            self._copy_in()
        driver.record(events[1], self.stream)
        began = time.perf_counter()
        if self._graph is None:
            self._lane.enqueue(self.stream)
        else:
            driver.launch_graph(self._graph, self.stream)
        self._enqueued_ms = (time.perf_counter() - began) * 1e3
        driver.record(events[2], self.stream)
        if self._preset.transfers:
            for name in self._outputs:
                driver.download(self._host[name], self._address[name], self.stream)
        driver.record(events[3], self.stream)
        self.busy = True

    def finish(self) -> Query:
        """Waits for the run and reads its times."""
        self._driver.synchronize(self.stream)
        self.busy = False
        first, second, third, last = self._events
        between = self._driver.elapsed_ms
        copies = self._preset.transfers
        return Query(
            between(first, second) if copies else 0.0,
            between(second, third),
            between(third, last) if copies else 0.0,
            self._enqueued_ms,
        )

    @property
    def first_event(self) -> int:
        """Recorded before the newest run's first copy."""
        return self._events[0]

    @property
    def last_event(self) -> int:
        """Recorded after the newest run's last copy."""
        return self._events[3]

    def close(self) -> None:
        """Frees everything of this lane."""
        if self._graph is not None:
            self._driver.close_graph(self._graph)
        for event in self._events:
            self._driver.close_event(event)
        self._lane.close()
        self._memory.close()
        self._driver.close_stream(self.stream)
