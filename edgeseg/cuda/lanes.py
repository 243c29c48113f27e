"""One frame at a time through a network on a GPU: upload, kernel, network, kernel, download."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np

from edgeseg.cuda.driver import Driver
from edgeseg.cuda.frames import FrameInput
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.memory import Memory
from edgeseg.cuda.results import results_for
from edgeseg.cuda.tensors import byte_count, fixed_shape
from edgeseg.errors import EdgesegError, ModelError
from edgeseg.once import TellOnce
from edgeseg.protocols import DeviceNetwork, Tensor
from edgeseg.spec import ModelSpec
from edgeseg.types import Frame, Geometry


class Lane:
    """A stream, its memory and a network's lane, used by one thread at a time.

    A frame of a size that was seen in the frame before is run as one CUDA graph. Everything is
    allocated once, frames' memory again for a larger frame. Calls make the context current
    themselves, except the constructor and ``close``, which need it.
    """

    def __init__(
        self,
        driver: Driver,
        network: DeviceNetwork,
        spec: ModelSpec,
        kernels: Kernels,
        tell: TellOnce,
    ) -> None:
        """The recipe must describe the network. Raises ModelError for free sides, full memory."""
        self._driver = driver
        self._tell = tell
        self._input = network.info.inputs[0]
        self._outputs = {info.name: info for info in network.info.outputs}
        self._wanted = [output.name for output in spec.outputs]
        self._graph: int | None = None
        self._ready = False
        with ExitStack() as undo:
            self._stream = driver.stream()
            undo.callback(driver.close_stream, self._stream)
            memory = Memory(driver)
            undo.callback(memory.close)
            self._addresses = {
                name: memory.device(byte_count(info)) for name, info in self._outputs.items()
            }
            self._results = results_for(
                driver, kernels, spec, network.info.outputs, self._addresses, tell
            )
            undo.callback(self._results.close)
            self._frame = FrameInput(driver, kernels, spec.input, self._input)
            undo.callback(self._frame.close)
            self._network = network.lane(self._stream)
            undo.callback(self._network.close)
            self._network.bind({self._input.name: self._frame.tensor, **self._addresses})
            self._may_capture = True
            self._undo = undo.pop_all()

    def run(self, frame: Frame) -> tuple[dict[str, Tensor], Geometry]:
        """Returns what ``ModelSpec.decided`` describes, owned by the caller, and the geometry.

        Raises ModelError when the network fails or gives no numbers, BackendUnavailable when the
        GPU does.
        """
        with self._driver.current():
            geometry, moved = self._frame.place(frame, self._stream)
            if moved:
                self._drop_graph()
            try:
                self._go()
            finally:  # the next frame takes the place of what is under way
                self._driver.synchronize(self._stream)
            return self._results.take(), geometry

    def infer(self, tensor: Tensor) -> dict[str, Tensor]:
        """Returns the outputs the recipe names for one input tensor, checked before."""
        given = np.ascontiguousarray(tensor, self._input.dtype)
        shapes = {name: self._outputs[name] for name in self._wanted}
        found = {name: np.empty(fixed_shape(info), info.dtype) for name, info in shapes.items()}
        with self._driver.current():
            try:
                self._driver.upload(self._frame.tensor, given, self._stream)
                self._network.enqueue(self._stream)
                for name, target in found.items():
                    self._driver.download(target, self._addresses[name], self._stream)
            finally:
                self._driver.synchronize(self._stream)
        return found

    def _go(self) -> None:
        """Puts one run on the stream: as a graph from the second of a size on."""
        if self._graph is None and self._ready and self._may_capture and self._network.capturable:
            self._capture()  # some networks, TensorRT-RTX's, become capturable after a while
        if self._graph is not None:
            self._driver.launch_graph(self._graph, self._stream)
            return
        self._enqueue()
        self._ready = True

    def _enqueue(self) -> None:
        self._frame.enqueue(self._results.damaged, self._stream)
        self._network.enqueue(self._stream)
        self._results.enqueue(self._stream)

    def _capture(self) -> None:
        """Records a run as a graph; where that fails, runs stay single launches."""
        self._driver.synchronize(self._stream)  # a recipe's upload is no part of it
        graph: int | None = None
        try:
            self._driver.begin_capture(self._stream)
            try:
                self._enqueue()
            finally:
                graph = self._driver.end_capture(self._stream)
        except EdgesegError as error:
            self._may_capture = False
            if graph is not None:  # of half a run
                self._driver.close_graph(graph)
            self._tell("no CUDA graph, kernels are launched one by one: %s", error)
            return
        self._graph = graph

    def _drop_graph(self) -> None:
        """Forgets the graph: addresses and lengths in it are those of another frame size."""
        self._ready = False
        if self._graph is not None:
            graph, self._graph = self._graph, None
            self._driver.close_graph(graph)

    def close(self) -> None:
        """Frees everything, the network's lane first; the context must be current."""
        self._drop_graph()
        self._undo.close()


def check_tensor(inputs: Mapping[str, Tensor], spec: ModelSpec) -> Tensor:
    """Returns the one input tensor. Raises ModelError for another name, shape or dtype."""
    want = spec.input
    if set(inputs) != {want.name}:
        raise ModelError(f"inputs should be {want.name!r}, got {', '.join(map(repr, inputs))}")
    tensor = inputs[want.name]
    if tensor.shape != want.shape or tensor.dtype != np.dtype(want.dtype):
        shape, expected = ("x".join(map(str, sides)) for sides in (tensor.shape, want.shape))
        raise ModelError(
            f"input {want.name!r} should be {want.dtype} {expected}, got {tensor.dtype} {shape}"
        )
    return tensor
