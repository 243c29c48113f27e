"""What the classes of ``fake_tensorrt`` do; the tables decide which of it a version has."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from fake_driver import put
from fake_tensorrt import Crashed
from fake_tensorrt_parser import Refused, check_graph, element_type

MAGIC = b"fake TensorRT engine\n"
ALIGNMENT = 256


def new(world: Any, kind_name: str, /, **state: Any) -> Any:
    """Makes an object that Python code cannot construct itself."""
    kind = getattr(world.module, kind_name)
    made = kind.__new__(kind)
    made.__dict__.update({f"_{key}": value for key, value in state.items()})
    return made


def say(logger: Any, severity: str, message: str) -> None:
    logger.log(type(logger).Severity[severity], message)


def need_logger(world: Any, logger: Any) -> None:
    if not isinstance(logger, world.module.ILogger):
        raise TypeError("__init__(): incompatible constructor arguments: no ILogger")
    if not logger.__dict__.get("_ready"):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")


class Logger:
    def setup(self, min_severity: Any = None) -> None:
        self._min_severity = min_severity

    def log(self, severity: Any, msg: str) -> None:
        del severity, msg


class Builder:
    _world: Any

    def setup(self, logger: Any) -> None:
        need_logger(self._world, logger)
        if self._world.gpu is None and not self._world.rtx:
            if self._world.version.startswith("11"):
                raise Crashed("segmentation fault in createInferBuilder without a driver")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802
        return self._world.gpu.dla_cores if self._world.gpu else 0

    def create_network(self, flags: int = 0) -> Any:
        flag = self._world.module.NetworkDefinitionCreationFlag
        strong = getattr(flag, "STRONGLY_TYPED", None)
        batch = getattr(flag, "EXPLICIT_BATCH", None)
        asked = strong is not None and bool(flags & 1 << int(strong))
        explicit = batch is None or bool(flags & 1 << int(batch))
        implicit = self._world.version.startswith("8") and not explicit
        typed = asked or batch is None
        return new(
            self._world, "INetworkDefinition", typed=typed, implicit=implicit, model=None, name=""
        )

    def create_builder_config(self) -> Any:
        gpu = self._world.module.DeviceType.GPU
        return new(
            self._world,
            "IBuilderConfig",
            enabled=set(),
            pools={},
            profiles=[],
            timing_cache=None,
            default_device_type=gpu,
            targets={},
        )

    def create_optimization_profile(self) -> Any:
        return new(self._world, "IOptimizationProfile", shapes={})

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        from fake_tensorrt_build import build

        self._world.seen.append(config)
        return build(self._world, self._logger, network, config)


class IBuilderConfig:
    _enabled: set[Any]
    _pools: dict[Any, int]
    _profiles: list[Any]
    _targets: dict[int, Any]
    _world: Any

    def set_flag(self, flag: Any) -> None:
        self._enabled.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self._enabled.discard(flag)

    def get_flag(self, flag: Any) -> bool:
        return flag in self._enabled

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._pools[pool] = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        text = bytes(serialized_timing_cache).decode() or f"{self._world.version} 0"
        version, _, count = text.partition(" ")
        return new(self._world, "ITimingCache", version=version, count=int(count))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache._version != self._world.version and not ignore_mismatch:
            return False
        self._timing_cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._timing_cache

    def can_run_on_DLA(self, layer: Any) -> bool:  # noqa: N802
        return layer._op in ("Conv", "Relu", "Add", "Sigmoid")

    def set_compute_capability(self, compute_capability: Any, index: int) -> bool:
        self._targets[index] = compute_capability
        return True


class ITimingCache:
    _world: Any

    def serialize(self) -> Any:
        text = f"{self._version} {self._count}"  # type: ignore[attr-defined]
        return self._world.module.IHostMemory(text.encode())


class IOptimizationProfile:
    _shapes: dict[str, Any]

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self._shapes[input] = (tuple(min), tuple(opt), tuple(max))


class INetworkDefinition:
    _world: Any
    _model: onnx.ModelProto | None

    @property
    def num_inputs(self) -> int:
        return len(self._model.graph.input) if self._model else 0

    @property
    def num_layers(self) -> int:
        return len(self._model.graph.node) if self._model else 0

    def get_input(self, index: int) -> Any:
        assert self._model is not None
        value = self._model.graph.input[index]
        shape = tuple(d.dim_value or -1 for d in value.type.tensor_type.shape.dim)
        return new(self._world, "ITensor", name=value.name, shape=shape)

    def get_layer(self, index: int) -> Any:
        assert self._model is not None
        node = self._model.graph.node[index]
        name = node.name or f"{node.op_type}_{index}"
        return new(self._world, "ILayer", name=name, op=node.op_type)


class ITensor:
    """Name and shape come from ``new``."""


class ILayer:
    """Name and op come from ``new``."""


class OnnxParser:
    _world: Any

    def setup(self, network: Any, logger: Any) -> None:
        need_logger(self._world, logger)
        self._network, self._logger = network, logger
        self._errors: list[Any] = []
        self._set: set[Any] = set()

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def set_flag(self, flag: Any) -> None:
        self._set.add(flag)

    def set_builder_config(self, builder_config: Any) -> bool:
        self._config = builder_config
        return True

    def parse(self, model: bytes, path: str | None = None) -> bool:
        del path
        try:
            loaded = onnx.load_from_string(bytes(model))
            if self._network._implicit:
                raise Refused(-1, "Network must have an explicit batch dimension")
            check_graph(loaded, self._world, typed=self._network._typed)
        except Refused as error:
            if self._world.version.startswith("8") and "Plugin not found" in str(error):
                # These name no operator in the error, only in the log.
                text = f"No importer registered for op: {error.op}. Attempting to import as plugin."
                say(self._logger, "INFO", text)
            self._errors.append(new(self._world, "ParserError", refused=error))
            return False
        except Exception as error:  # noqa: BLE001  protobuf's and onnx's own
            whole = Refused(-1, f"Failed to parse the ONNX model: {error}")
            self._errors.append(new(self._world, "ParserError", refused=whole))
            return False
        self._network._model = loaded
        return True


class ParserError:
    _refused: Refused

    def desc(self) -> str:
        return str(self._refused)

    def node(self) -> int:
        return self._refused.node

    def node_name(self) -> str:
        return self._refused.name

    def node_operator(self) -> str:
        return self._refused.op


class IProgressMonitor:
    def setup(self) -> None:
        pass


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

    def create_execution_context(self, strategy: Any = None) -> Any:
        del strategy
        return new(self._world, "IExecutionContext", engine=self, addresses={}, shapes={}, runs=0)

    def create_engine_inspector(self) -> Any:
        return new(self._world, "EngineInspector", engine=self)


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
        Logger, Builder, IBuilderConfig, ITimingCache, IOptimizationProfile, INetworkDefinition,
        ITensor, ILayer, OnnxParser, ParserError, IProgressMonitor, Runtime, ICudaEngine,
        EngineInspector, IExecutionContext,
    )
}  # fmt: skip
