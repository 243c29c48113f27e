"""From an ONNX file to TensorRT's serialised engine, on one path for every version."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from edgeseg.engine.library import Library
from edgeseg.engine.log import logger_for
from edgeseg.engine.parse import clean, is_out_of_memory, parse_network
from edgeseg.engine.progress import make_monitor
from edgeseg.engine.request import EngineRequest, Progress, Target, Typing, sm_name
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.spec import ModelSpec, one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialised engine.

    flags: names of the BuilderFlags set. timing_cache: for the next build, b"" where there is
    none. reused: timings of earlier builds were taken.
    """

    data: bytes
    flags: tuple[str, ...]
    timing_cache: bytes = b""
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What one build is about. where: the file it is for, in messages. spec: for free axes."""

    request: EngineRequest
    typing: Typing
    target: Target
    spec: ModelSpec
    where: str


def build_plan(
    library: Library,
    data: bytes,
    work: Work,
    *,
    timing_cache: bytes = b"",
    progress: Progress | None = None,
) -> Plan:
    """Builds an engine; the GPU's context must be current unless ``request.target`` is given.

    Raises:
        BackendUnavailable: TensorRT does not start, or not on this GPU.
        ModelError: a node it does not take, no memory, or no reason given but its own.
    """
    logger = logger_for(library.trt)
    builder = open_builder(library, logger)
    network = builder.create_network(network_flags(library, work.typing))
    config = builder.create_builder_config()
    flags = configure(library, config, work)
    parser = library.trt.OnnxParser(network, logger)
    if work.request.dla is not None:
        _prepare_parser_for_dla(library, parser, config)
    parse_network(library, parser, data, logger, where=work.where)
    _add_profile(builder, network, config, work.spec)
    reused = _use_timing_cache(library, config, timing_cache)
    monitor = make_monitor(library, progress)
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.interrupted:
        raise KeyboardInterrupt
    if plan is None:
        raise failure(library, work, list(logger.errors))
    data = bytes(memoryview(plan))
    if library.rtx:
        return Plan(data, flags)
    timings = config.get_timing_cache().serialize()
    return Plan(data, flags, b"" if timings is None else bytes(memoryview(timings)), reused)


def open_builder(library: Library, logger: Any) -> Any:
    """Returns a Builder; network, parser and plan need it alive. Raises BackendUnavailable."""
    try:
        return library.trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # pybind11's word for a null pointer
        said = logger.errors[-1] if logger.errors else one_line(error)
        raise BackendUnavailable(
            f"{library.title} does not start on this machine: {clean(said)}; see: edgeseg doctor"
        ) from error


def network_flags(library: Library, typing: Typing) -> int:
    """Returns the bits of NetworkDefinitionCreationFlag; its values differ between versions."""
    names = ["EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if typing == "strong" else [])]
    found = (library.find(f"NetworkDefinitionCreationFlag.{name}") for name in names)
    return sum(1 << int(flag) for flag in found if flag is not None)


def configure(library: Library, config: Any, work: Work) -> tuple[str, ...]:
    """Sets what this version has of what was asked, and returns the names of the flags set."""
    trt, request = library.trt, work.request
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace)
    if library.has("IBuilderConfig.builder_optimization_level"):
        config.builder_optimization_level = request.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # names layers; costs no speed
    names = wanted_flags(work)
    for name in names:
        config.set_flag(library.find(f"BuilderFlag.{name}"))
    if request.precision == "fp32" and library.has("BuilderFlag.TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # its products keep 10 bits: that is not FP32
    if request.dla is not None:
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = request.dla
    if library.has("ComputeCapability"):
        _set_target(library, config, work)
    return names


def wanted_flags(work: Work) -> tuple[str, ...]:
    """Returns the BuilderFlags to set: weakly typed networks get their precisions by flag."""
    weak = work.typing == "weak"
    names = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8", "FP16")}[work.request.precision]
    dla = ("GPU_FALLBACK",) if work.request.dla is not None else ()
    return (*(names if weak else ()), *dla)


def failure(library: Library, work: Work, errors: list[str]) -> BackendUnavailable | ModelError:
    """Returns the one error that a failed build's log amounts to."""
    text = " ".join(errors)
    if is_out_of_memory(text):
        return ModelError(
            f"{work.where}: not enough GPU memory to build the engine with {library.title}: close "
            "other programs that use the GPU"
        )
    telling = [line for line in errors if "cudaError 35" not in line] or errors
    said = clean(telling[0]) if telling else "no reason given"
    if "is not supported" in text and ("SM" in text or "compute capability" in text):
        title = work.target.title
        return BackendUnavailable(f"{library.title} does not run on {title}: {said}")
    return ModelError(
        f"{work.where}: {library.title} cannot build an engine: {said}; --backend onnxruntime runs "
        "it"
    )


def _set_target(library: Library, config: Any, work: Work) -> None:
    """Has TensorRT-RTX build for one compute capability: the GPU's here, or the one asked for."""
    sm = work.request.target
    capability = library.find(f"ComputeCapability.SM{sm[0]}{sm[1]}" if sm else _CURRENT)
    if capability is None and sm is not None:
        names = library.trt.ComputeCapability.__members__
        known = sorted((name for name in names if name[:2] == "SM"), key=lambda name: int(name[2:]))
        raise BackendUnavailable(
            f"{library.title} builds for {', '.join(known)} without a GPU, not for {sm_name(sm)}"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(capability, 0)


_CURRENT = "ComputeCapability.CURRENT"


def _prepare_parser_for_dla(library: Library, parser: Any, config: Any) -> None:
    """Has the parser shape the network for a DLA, where it can (11.4 on)."""
    flag = library.find("OnnxParserFlag.ADJUST_FOR_DLA")
    if flag is not None:
        parser.set_builder_config(config)
        parser.set_flag(flag)


def _add_profile(builder: Any, network: Any, config: Any, spec: ModelSpec) -> None:
    """Fixes free axes to the size the recipe gives, by a profile of one shape."""
    profile = None
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tuple(tensor.shape):
            profile = profile or builder.create_optimization_profile()
            shape = spec.input.shape
            profile.set_shape(tensor.name, shape, shape, shape)
    if profile is not None:
        config.add_optimization_profile(profile)


def _use_timing_cache(library: Library, config: Any, blob: bytes) -> bool:
    """Returns whether earlier timings are taken; those of another version or GPU are not."""
    if library.rtx:  # its timing happens where the engine first runs
        return False
    cache = config.create_timing_cache(blob)
    if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
        return bool(blob)
    log.info("the timing cache does not fit this TensorRT and GPU: begun anew")
    config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    return False
