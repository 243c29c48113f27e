"""Any network on an NVIDIA GPU, frames in and masks out."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from edgeseg.cuda.driver import Driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.lanes import Lane, check_tensor
from edgeseg.errors import BackendUnavailable, SpecMismatch
from edgeseg.model_file import mismatches
from edgeseg.once import TellOnce
from edgeseg.protocols import BackendInfo, DeviceNetwork, Tensor
from edgeseg.spec import ModelSpec
from edgeseg.types import Frame, Geometry

log = logging.getLogger(__name__)


class GpuBackend:
    """A FrameBackend over a network on a GPU, with so many lanes for as many threads at once.

    It owns network and driver from the call on, also when it fails, and closes lanes, network,
    driver in this order. It was tested on simulated GPUs; README says what ran on a real one.
    """

    def __init__(
        self, spec: ModelSpec, network: DeviceNetwork, driver: Driver, *, lanes: int = 1
    ) -> None:
        """Raises SpecMismatch for another recipe's network, ModelError when memory runs out."""
        self._spec = spec
        self._network = network
        self._driver = driver
        self._warming = threading.Lock()
        with ExitStack() as undo:
            undo.callback(driver.close)
            with driver.current(), ExitStack() as inside:
                inside.callback(network.close)
                _check(network.info, spec)
                kernels, tell, opened = Kernels(driver), TellOnce(log), []
                for _ in range(max(lanes, 1)):
                    opened.append(Lane(driver, network, spec, kernels, tell))
                    inside.callback(opened[-1].close)
                self._inside = inside.pop_all()
            self._undo = undo.pop_all()
        self._lanes = _Pool(opened)
        atexit.register(self.close)  # before the driver's own, which would leave the network behind

    @property
    def info(self) -> BackendInfo:
        """What runs the network, and its tensors."""
        return self._network.info

    @property
    def network(self) -> DeviceNetwork:
        """The network alone, for measurements; its calls need the context current."""
        return self._network

    @property
    def driver(self) -> Driver:
        """The GPU, for measurements."""
        return self._driver

    def infer(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs the network once on host memory and returns the outputs the recipe names.

        Raises ModelError when the input has the wrong name, shape or dtype, or the network fails.
        """
        tensor = check_tensor(inputs, self._spec)
        with self._lanes.one() as lane:
            return lane.infer(tensor)

    def infer_frame(self, frame: Frame) -> tuple[dict[str, Tensor], Geometry]:
        """Runs a frame through the network, resized, converted and decided on the GPU."""
        with self._lanes.one() as lane:
            return lane.run(frame)

    def warm_up(self) -> None:
        """Runs every lane once on a grey picture, so that no frame meets a cold one."""
        grey = np.full(self._spec.input.shape, 128, self._spec.input.dtype)
        with self._warming, ExitStack() as taken:
            for _ in range(len(self._lanes)):
                taken.enter_context(self._lanes.one()).infer(grey)

    def close(self) -> None:
        """Waits for calls in other threads, then frees everything. Idempotent."""
        if self._lanes.close():
            atexit.unregister(self.close)
            with self._undo, self._driver.current():
                self._inside.close()


def _check(info: BackendInfo, spec: ModelSpec) -> None:
    """Raises SpecMismatch where a network is not what the recipe says; its input may be float16."""
    inputs = [replace(i, dtype="float32") if i.dtype == "float16" else i for i in info.inputs]
    found = mismatches(spec, inputs, info.outputs)
    if found:
        where = info.file or spec.name
        raise SpecMismatch(f"{where}: recipe and network differ: {'; '.join(found)}")


class _Pool:
    """Hands a lane to one thread at a time; the others wait."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._idle = list(lanes)
        self._count = len(lanes)
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def one(self) -> Iterator[Lane]:
        """Lends a lane. Raises BackendUnavailable once the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._closed)
            if self._closed:
                raise BackendUnavailable("the model was closed")
            lane = self._idle.pop()
        try:
            yield lane
        finally:
            with self._changed:
                self._idle.append(lane)
                self._changed.notify_all()

    def close(self) -> bool:
        """Waits until every lane is back; True the first time."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._idle) == self._count)
        return first
