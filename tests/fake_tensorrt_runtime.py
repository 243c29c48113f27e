"""What a fake TensorRT's runtime does: engines run in ONNX Runtime at the addresses given."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import onnxruntime as ort
from fake_driver import is_captured, need_context, put
from fake_tensorrt import Crashed, need_logger, new, say
from fake_tensorrt_build import MAGIC
from fake_tensorrt_parser import element_type

ALIGNMENT = 256


class Runtime:
    _world: Any

    def setup(self, logger: Any) -> None:
        need_logger(self._world, logger)
        if self._world.gpu is None and not self._world.rtx:
            raise Crashed("segmentation fault in createInferRuntime without a driver")
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        data, world = bytes(serialized_engine), self._world
        if world.gpu is None:
            return say(self._logger, "ERROR", "cudaError 35: CUDA driver version is insufficient")
        need_context()
        if not data.startswith(MAGIC):
            return say(
                self._logger, "ERROR", "Error Code 1: Serialization (magic tag does not match)"
            )
        header, _, model = data[len(MAGIC) :].partition(b"\n")
        plan = json.loads(header)
        if plan["version"] != world.version or plan["rtx"] != world.rtx:
            return say(
                self._logger,
                "ERROR",
                "The engine plan file is not compatible with this version of TensorRT, expecting "
                f"library version {world.version} got {plan['version']}, please rebuild.",
            )
        sm = "{}.{}".format(*world.gpu.sm)
        if plan["sm"] != sm:
            return say(
                self._logger,
                "ERROR",
                "The engine plan file is generated on an incompatible device, expecting compute "
                f"{sm} got compute {plan['sm']}, please rebuild.",
            )
        on_dla = any(layer["LayerType"] == "DLA" for layer in plan["layers"])
        if on_dla and self.__dict__.get("_DLA_core") is None:  # real ones take a core of their own
            return say(self._logger, "ERROR", "no DLA core was chosen for this engine")
        if "memory at load" in world.faults:
            return say(self._logger, "ERROR", "Error Code 2: OutOfMemory (Requested size was 1 B.)")
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return new(world, "ICudaEngine", plan=plan, session=session, logger=self._logger)


class ICudaEngine:
    _world: Any
    _session: ort.InferenceSession
    _plan: dict[str, Any]

    def _io(self) -> list[tuple[Any, str]]:
        inputs = [(node, "INPUT") for node in self._session.get_inputs()]
        return inputs + [(node, "OUTPUT") for node in self._session.get_outputs()]

    def _node(self, name: str) -> tuple[Any, str]:
        return next(entry for entry in ICudaEngine._io(self) if entry[0].name == name)

    @property
    def num_io_tensors(self) -> int:
        return len(ICudaEngine._io(self))

    @property
    def num_layers(self) -> int:
        return len(self._plan["layers"])

    num_aux_streams = 0

    def get_tensor_name(self, index: int) -> str:
        return str(ICudaEngine._io(self)[index][0].name)

    def get_tensor_mode(self, name: str) -> Any:
        return self._world.module.TensorIOMode[ICudaEngine._node(self, name)[1]]

    def get_tensor_dtype(self, name: str) -> Any:
        return self._world.module.DataType[element_type(ICudaEngine._node(self, name)[0].type)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = ICudaEngine._node(self, name)[0].shape
        return tuple(side if isinstance(side, int) else -1 for side in shape)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        del profile_index
        return [tuple(shape) for shape in self._plan["profile"][name]]

    def create_runtime_config(self) -> Any:
        return new(self._world, "IRuntimeConfig", cache=None)

    def create_execution_context(self, strategy: Any = None, runtime_config: Any = None) -> Any:
        del strategy
        need_context()
        if runtime_config is not None and runtime_config._cache is not None:
            runtime_config._cache._blob = f"kernels of {self._world.version}".encode()
        return new(self._world, "IExecutionContext", engine=self, addresses={}, shapes={}, runs=0)

    def create_engine_inspector(self) -> Any:
        return new(self._world, "EngineInspector", engine=self)


class IRuntimeConfig:
    _world: Any
    _cache: Any

    def create_runtime_cache(self) -> Any:
        return new(self._world, "IRuntimeCache", blob=b"")

    def set_runtime_cache(self, cache: Any = None) -> None:
        self._cache = cache


class IRuntimeCache:
    _world: Any

    def deserialize(self, blob: bytes) -> bool:
        self._blob = bytes(blob)
        return self._blob == f"kernels of {self._world.version}".encode()

    def serialize(self) -> Any:
        return self._world.module.IHostMemory(self._blob)


class EngineInspector:
    _engine: Any

    def get_engine_information(self, format: Any) -> str:
        assert format.name == "JSON"
        return json.dumps({"Layers": self._engine._plan["layers"]})


class IExecutionContext:
    _world: Any
    _engine: Any
    _addresses: dict[str, int]
    _shapes: dict[str, tuple[int, ...]]
    _runs: int

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if memory % ALIGNMENT:
            say(self._engine._logger, "ERROR", f"address of {name} is not aligned to {ALIGNMENT}")
            return False
        self._addresses[name] = memory
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self._shapes[name] = tuple(shape)
        return True

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        return profile_index == 0 and stream_handle != 0

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes.get(name) or self._engine.get_tensor_shape(name)

    def is_stream_capturable(self, stream: int) -> bool:
        return stream != 0

    def set_aux_streams(self, aux_streams: Any) -> None:
        self._aux = list(aux_streams)

    def execute_async_v3(self, stream_handle: int) -> bool:
        session = self._engine._session
        nodes = [*session.get_inputs(), *session.get_outputs()]
        unbound = [node.name for node in nodes if node.name not in self._addresses]
        if unbound or not stream_handle:
            reason = f"no address for {unbound}" if unbound else "the default stream is slow"
            say(self._engine._logger, "ERROR", reason)
            return False
        need_context()
        if not self._runs and is_captured(stream_handle):
            say(self._engine._logger, "ERROR", "a context must have run before it is captured")
            return False
        self._runs += 1
        put(stream_handle, lambda: IExecutionContext._run(self))
        return True

    def _run(self) -> None:
        session, at = self._engine._session, self._addresses
        shape_of = IExecutionContext.get_tensor_shape
        feeds = {
            node.name: array_at(at[node.name], shape_of(self, node.name), node)
            for node in session.get_inputs()
        }
        for node, value in zip(session.get_outputs(), session.run(None, feeds), strict=True):
            array_at(at[node.name], value.shape, node)[...] = value


def array_at(address: int, shape: tuple[int, ...], node: Any) -> Any:
    """Returns the host memory at an address as an array."""
    kinds = {"FLOAT": np.float32, "HALF": np.float16, "UINT8": np.uint8}
    dtype: np.dtype[Any] = np.dtype(kinds[element_type(node.type)])
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address))
    return raw.view(dtype).reshape(shape)


BEHAVIOUR: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Runtime,
        ICudaEngine,
        IRuntimeConfig,
        IRuntimeCache,
        EngineInspector,
        IExecutionContext,
    )
}
