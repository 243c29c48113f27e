"""A DeviceNetwork that runs ONNX Runtime on the CPU, bound to addresses that are host memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnxruntime
from fake_driver import put

from edgeseg.backends import OrtBackend
from edgeseg.model_file import ModelFile, load_model
from edgeseg.protocols import BackendInfo, TensorInfo
from edgeseg.spec import OutputSpec


class OrtNetwork:
    """Real results without a GPU. opened, closed: lanes so far. bound: addresses of each."""

    def __init__(
        self,
        model: ModelFile | str,
        *,
        capturable: bool = True,
        put_on: Callable[[int, Callable[[], None]], None] = put,
    ) -> None:
        """put_on: puts a call on a stream of whatever stands for the GPU."""
        file = load_model(model) if isinstance(model, str) else model
        backend = OrtBackend(file)
        self.info: BackendInfo = backend.info
        self.session = onnxruntime.InferenceSession(
            file.data, _quiet(), providers=["CPUExecutionProvider"]
        )
        self.outputs: tuple[OutputSpec, ...] = file.spec.outputs
        self.capturable = capturable
        self.put_on = put_on
        self.opened = self.closed = 0
        self.bound: list[Mapping[str, int]] = []
        self.gone = False
        backend.close()

    def lane(self, stream: int) -> OrtLane:
        self.opened += 1
        return OrtLane(self, stream)

    def close(self) -> None:
        assert self.opened == self.closed, "the network was closed before its lanes"
        self.gone = True


class OrtLane:
    """Runs once per enqueue, when the stream's work is done."""

    def __init__(self, network: OrtNetwork, stream: int) -> None:
        self._network = network
        self._stream = stream
        self._binding: Any = network.session.io_binding()

    @property
    def capturable(self) -> bool:
        return self._network.capturable

    def bind(self, addresses: Mapping[str, int]) -> None:
        info = self._network.info
        self._network.bound.append(addresses)
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        for tensor in info.inputs:
            self._binding.bind_input(*self._place(tensor, addresses[tensor.name]))
        for output in self._network.outputs:
            tensor = next(t for t in info.outputs if t.name == output.name)
            self._binding.bind_output(*self._place(tensor, addresses[tensor.name]))

    def _place(self, tensor: TensorInfo, address: int) -> tuple[Any, ...]:
        return tensor.name, "cpu", 0, tensor.dtype, tensor.shape, address

    def enqueue(self, stream: int) -> None:
        assert stream == self._stream, "a lane runs on its own stream"
        self._network.put_on(
            stream, lambda: self._network.session.run_with_iobinding(self._binding)
        )

    def close(self) -> None:
        assert not self._network.gone, "a lane was closed after its network"
        self._network.closed += 1


def _quiet() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options
