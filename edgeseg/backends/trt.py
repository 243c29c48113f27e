"""TensorRT and TensorRT-RTX: an engine built for this GPU, run on lanes.

Written against NVIDIA's interface of 8.5 to 11.4 and RTX 1.7; never run on a GPU so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeseg.backends.gpu import GpuBackend
from edgeseg.backends.options import BackendOptions
from edgeseg.backends.tensors import check_tensors
from edgeseg.cuda import Driver, open_driver
from edgeseg.engine.build import ensure_engine
from edgeseg.engine.cache import EngineFile
from edgeseg.engine.kernel_cache import KernelCache
from edgeseg.engine.library import load_library
from edgeseg.engine.parse import is_out_of_memory
from edgeseg.engine.request import EngineRequest, Progress
from edgeseg.engine.runtime import OpenEngine, let_go, open_engine
from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend, BackendInfo, TensorInfo
from edgeseg.spec import ModelSpec

_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


def open_tensorrt(model: ModelFile, options: BackendOptions, *, rtx: bool) -> Backend:
    """Opens a model as a TensorRT engine, building that first where it must.

    Raises:
        BackendUnavailable: no driver, GPU or TensorRT, or they do not go together.
        ModelError: the network, or an engine that must not be rebuilt, cannot be used.
        ConfigError: the GPU, DLA or precision asked for is not to be had; no place for engines.
    """
    driver = open_driver(options.cuda, options.gpu)
    try:
        with driver.current(), let_go():
            network = open_network(model, request_for(options, rtx=rtx), driver)
    except BaseException:
        driver.close()
        raise
    return GpuBackend(model.spec, network, driver, lanes=options.workers)


def request_for(options: BackendOptions, *, rtx: bool) -> EngineRequest:
    """Returns the engine that backend options ask for."""
    return EngineRequest(
        precision=options.precision, rtx=rtx, dla=options.dla, rebuild=options.rebuild
    )


def open_network(
    model: ModelFile,
    request: EngineRequest,
    driver: Driver,
    *,
    progress: Progress | None = None,
) -> TensorRtNetwork:
    """Finds or builds a model's engine and loads it; the driver's context must be current.

    An engine that TensorRT refuses to load is built once more. Raises as ``open_tensorrt``.
    """
    file = ensure_engine(model, request, driver=driver, progress=progress)
    library = load_library(request.library)
    reasons: list[str] = []
    opened = open_engine(library, file.data, dla=request.dla, refused=reasons.append)
    if opened is None and is_out_of_memory(reasons[-1]):
        raise ModelError(
            f"{file.path}: not enough GPU memory to load the engine: close other programs that use "
            "the GPU"
        )
    if opened is None and not file.built:
        condemned = f"is refused by {library.title} ({reasons[-1]})"
        file = ensure_engine(model, request, driver=driver, progress=progress, condemned=condemned)
        opened = open_engine(library, file.data, dla=request.dla, refused=reasons.append)
    if opened is None:
        raise ModelError(
            f"{file.path}: {library.title} refuses the engine it just built: {reasons[-1]}"
        )
    return TensorRtNetwork(opened, file, model.spec)


class TensorRtNetwork:
    """An engine on a GPU (DeviceNetwork). Lanes share its weights; each has a context of its own.

    All calls need the GPU's context current.
    """

    def __init__(self, opened: OpenEngine, file: EngineFile, spec: ModelSpec) -> None:
        """Takes over a loaded engine. Raises SpecMismatch when it is not what the recipe says."""
        self._opened = opened
        self._kernels = KernelCache(opened, file.path)
        self._lanes: list[TensorRtLane] = []
        self._shape = {spec.input.name: spec.input.shape}
        wanted = file.manifest.wanted
        self._info = BackendInfo(
            name=wanted.library,
            device="cuda" if wanted.dla is None else f"dla:{wanted.dla}",
            precision=wanted.precision,
            threads=1,
            inputs=self._tensors("INPUT"),
            outputs=self._tensors("OUTPUT"),
            file=str(file.path),
            sha256=file.manifest.engine_sha256,
        )
        check_tensors(spec, self._info, "engine")

    @property
    def info(self) -> BackendInfo:
        """What runs the network, and its tensors."""
        return self._info

    def lane(self, stream: int) -> TensorRtLane:
        """Opens one more execution context. Raises ModelError when there is no memory for it."""
        config = self._kernels.config
        options = {} if config is None else {"runtime_config": config}
        context = self._opened.engine.create_execution_context(**options)
        if context is None:
            raise ModelError(
                f"{self._info.file}: no GPU memory for one more call at once "
                f"({self._opened.last_error or 'no reason given'}): use fewer workers"
            )
        lane = TensorRtLane(self._opened, context, stream, self._shape, self._info)
        self._lanes.append(lane)
        return lane

    def close(self) -> None:
        """Frees the engine and the lanes still open. Idempotent."""
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        self._kernels.save()
        self._kernels.close()
        self._opened.close()

    def _tensors(self, mode: str) -> tuple[TensorInfo, ...]:
        engine = self._opened.engine
        wanted = self._opened.library.trt.TensorIOMode.__members__[mode]
        names = [str(engine.get_tensor_name(i)) for i in range(engine.num_io_tensors)]
        return tuple(
            TensorInfo(name, self._shape_of(name), dtype_name(engine.get_tensor_dtype(name)))
            for name in names
            if engine.get_tensor_mode(name) == wanted
        )

    def _shape_of(self, name: str) -> tuple[int | None, ...]:
        """Returns a tensor's shape; free axes of an input are those of the engine's one profile."""
        shape = tuple(int(side) for side in self._opened.engine.get_tensor_shape(name))
        if -1 in shape and name in self._shape:
            best = self._opened.engine.get_tensor_profile_shape(name, 0)[1]
            return tuple(int(side) for side in best)
        return tuple(side if side >= 0 else None for side in shape)


class TensorRtLane:
    """One execution context (DeviceLane), used by one thread at a time."""

    def __init__(
        self,
        opened: OpenEngine,
        context: Any,
        stream: int,
        shapes: Mapping[str, tuple[int, ...]],
        info: BackendInfo,
    ) -> None:
        """Fixes the shapes of free inputs. Raises ModelError when TensorRT does not take them."""
        self._opened, self._context, self._stream, self._info = opened, context, stream, info
        engine = opened.engine
        free = [n for n in shapes if -1 in tuple(int(s) for s in engine.get_tensor_shape(n))]
        if free:
            self._check(context.set_optimization_profile_async(0, stream), "choose a profile")
        for name in free:
            self._check(context.set_input_shape(name, shapes[name]), f"set the shape of {name}")

    @property
    def capturable(self) -> bool:
        """Whether ``enqueue`` may be captured in a graph; TensorRT-RTX may still be compiling."""
        asks = getattr(self._context, "is_stream_capturable", None)
        return True if asks is None else bool(asks(self._stream))

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Sets where tensors lie on the GPU, aligned to 256 bytes; all must be set once."""
        for name, address in addresses.items():
            self._check(self._context.set_tensor_address(name, address), f"bind {name}")

    def enqueue(self, stream: int) -> None:
        """Puts one run on a stream, which must not be the default one (TensorRT waits there)."""
        self._check(self._context.execute_async_v3(stream), "run")

    def close(self) -> None:
        """Frees the context; its last run must be done. Idempotent."""
        self._context = None

    def _check(self, done: bool, what: str) -> None:
        if not done:
            title = self._opened.library.title
            reason = self._opened.last_error or "no reason given"
            raise ModelError(f"{self._info.file}: {title} failed to {what}: {reason}")


def dtype_name(dtype: Any) -> str:
    """Returns numpy's name for a TensorRT DataType: "float16" for HALF."""
    name = str(dtype.name)
    return _DTYPES.get(name, name.lower())
