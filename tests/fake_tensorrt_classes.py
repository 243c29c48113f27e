"""What a fake TensorRT's builder does; the tables decide which of it a version has."""

from __future__ import annotations

import warnings
from typing import Any

import onnx
from fake_tensorrt import Crashed, need_logger, new, say
from fake_tensorrt_parser import Refused, check_graph


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
            self._world,
            "INetworkDefinition",
            flags=flags,
            typed=typed,
            implicit=implicit,
            model=None,
            name="",
        )

    def create_builder_config(self) -> Any:
        gpu = self._world.module.DeviceType.GPU
        return new(
            self._world,
            "IBuilderConfig",
            enabled={self._world.module.BuilderFlag.TF32},
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

        config._network = network
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
        if self._world.rtx:
            warnings.warn("Deprecated in TensorRT-RTX 1.2.", DeprecationWarning, stacklevel=3)
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


BEHAVIOUR: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Logger,
        Builder,
        IBuilderConfig,
        ITimingCache,
        IOptimizationProfile,
        INetworkDefinition,
        ITensor,
        ILayer,
        OnnxParser,
        ParserError,
        IProgressMonitor,
    )
}
