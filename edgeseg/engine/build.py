"""The engine of a model for this device: found, or built once and kept."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edgeseg.cuda.driver import Driver, GpuInfo
from edgeseg.device import gpu_name
from edgeseg.engine.aside import build_aside
from edgeseg.engine.cache import (
    EngineFile,
    engine_path,
    find_engine,
    keep,
    lock,
    store_engine,
    sweep,
    timing_cache_path,
)
from edgeseg.engine.dla import check_core, check_precision, read_placement
from edgeseg.engine.library import Library, load_library
from edgeseg.engine.log import logger_for
from edgeseg.engine.manifest import Manifest, Wanted, wanted_for
from edgeseg.engine.network import NetworkFile, network_file, typing_of
from edgeseg.engine.plan import Plan, Work, build_plan, open_builder
from edgeseg.engine.progress import reports_progress
from edgeseg.engine.request import EngineRequest, Progress, Target, sm_name
from edgeseg.engine.runtime import let_go, open_engine
from edgeseg.engine.support import jetpack_name, l4t_release, minimum_sm
from edgeseg.errors import BackendUnavailable, ConfigError, ModelError
from edgeseg.model_file import ModelFile

log = logging.getLogger(__name__)


def ensure_engine(
    model: ModelFile,
    request: EngineRequest,
    *,
    driver: Driver | None = None,
    progress: Progress | None = None,
    condemned: str = "",
) -> EngineFile:
    """Returns the engine of an FP32 model (or of one of its variants) for a request.

    One that lies in the cache is taken if it was built from and for the same, else replaced, and
    the log says why. A second process waits for the first one's build and takes its engine.

    driver: the GPU to build on; None opens the first one, or none at all for ``request.target``.
    condemned: why the engine in the cache cannot be used although it looks right, after its name.

    While it builds, the log says so now and then; Ctrl-C ends it where TensorRT can (10.0 on).

    Raises:
        BackendUnavailable: no GPU, no TensorRT, or not for this GPU.
        ModelError: a network TensorRT does not take, no INT8 file, or an engine that does not fit
            where ``request.rebuild`` is false.
        ConfigError: what was asked cannot be had here, or the cache cannot be written.
    """
    with _target(request, driver) as (target, current):
        job = plan_job(model, request, target)
        if not condemned:
            found, _ = find_engine(job.place, job.wanted)
            if found is not None:
                return found
        with lock(job.place):
            sweep(job.place)
            found, reason = find_engine(job.place, job.wanted)  # built by another meanwhile?
            if found is not None and not condemned:
                return found
            _may_replace(job, condemned or reason)

            def build(tell: Progress) -> EngineFile:
                with current(), let_go():
                    manifest, data = _build(job, tell)
                store_engine(job.place, manifest, data)
                return EngineFile(job.place, manifest, data, built=True, reason=condemned or reason)

            return build_aside(
                build,
                title=job.library.title,
                stoppable=reports_progress(job.library),
                progress=progress,
            )


def has_engine(model: ModelFile, request: EngineRequest, gpu: GpuInfo) -> bool:
    """Says whether a request's engine is built already and fits; the GPU is not touched.

    Raises as ensure_engine, but for what only building or loading it shows.
    """
    job = plan_job(model, request, _target_of(gpu))
    return find_engine(job.place, job.wanted)[0] is not None


@dataclass(frozen=True, slots=True)
class Job:
    """A request made definite: with which TensorRT, from which file, to which place."""

    library: Library
    work: Work
    source: NetworkFile
    wanted: Wanted
    place: Path


def plan_job(model: ModelFile, request: EngineRequest, target: Target) -> Job:
    """Returns what is to be built; nothing is converted or built yet. Raises as ensure_engine."""
    check_precision(request)
    library = load_library(request.library)
    oldest = minimum_sm(library.name, library.version)
    if target.sm < oldest:
        raise BackendUnavailable(
            f"{target.title} is too old for {library.title}, which needs {sm_name(oldest)} or "
            "newer; use --backend onnxruntime"
        )
    typing = typing_of(library, request)
    source = network_file(model, request, typing)
    wanted = wanted_for(
        model, request, library=library, target=target, typing=typing, source=source
    )
    work = Work(request, typing, target, model.spec, str(model.path))
    return Job(library, work, source, wanted, engine_path(model, request, library, target))


Current = Callable[[], AbstractContextManager[None]]
"""Makes a GPU's context current on the calling thread."""


@contextmanager
def _target(request: EngineRequest, driver: Driver | None) -> Iterator[tuple[Target, Current]]:
    """Gives the GPU to build for, and what makes its context current, as it is here."""
    if request.target is not None:
        if not request.rtx:
            raise ConfigError("only TensorRT-RTX builds for a GPU that is not here: rtx=True")
        yield Target("", request.target), nullcontext
        return
    own = driver is None
    used = _open_first_gpu() if driver is None else driver
    try:
        with used.current():
            yield _target_of(used.gpu), used.current
    finally:
        if own:
            used.close()


def _target_of(gpu: GpuInfo) -> Target:
    """Names what tells devices apart: every Orin's GPU is called "Orin", so its board's name."""
    name = (gpu_name() if l4t_release() else None) or gpu.name
    return Target(name, gpu.sm, gpu.driver_cuda)


def _open_first_gpu() -> Driver:
    from edgeseg.cuda import open_driver

    return open_driver()


def _may_replace(job: Job, reason: str) -> None:
    """Says why an engine is built again. Raises ModelError where that was forbidden."""
    if not reason:
        return
    if not job.work.request.rebuild:
        raise ModelError(
            f"{job.place} {reason}; --no-rebuild refuses to replace it: leave that out, or run: "
            f"edgeseg build --backend {job.library.name} --precision {job.wanted.precision}"
        )
    log.warning("%s %s: building it again", job.place.name, reason)


def _build(job: Job, progress: Progress) -> tuple[Manifest, bytes]:
    """Builds an engine; nothing but the timing cache is written."""
    library, work = job.library, job.work
    request, target = work.request, work.target
    if request.dla is not None:
        builder = open_builder(library, logger_for(library.trt))
        check_core(library, builder, request.dla, target)
    data = job.source.read()
    timing = timing_cache_path(request, library, target)
    earlier = _read(timing)
    log.warning(
        "building the %s engine of %s for %s with %s: this may take minutes, once",
        request.precision,
        job.wanted.model,
        target.title,
        library.title,
    )
    started = time.perf_counter()
    plan = build_plan(library, data, work, timing_cache=earlier, progress=progress)
    seconds = time.perf_counter() - started
    log.info("built in %.1f s: %.1f MB", seconds, len(plan.data) / 1e6)
    if plan.timing_cache:
        try:
            keep(timing, plan.timing_cache)
        except ConfigError as error:  # the engine matters, not how soon the next one is built
            log.info("timings not kept: %s", error)
    return _manifest(job, plan, data, seconds), plan.data


def _manifest(job: Job, plan: Plan, onnx: bytes, seconds: float) -> Manifest:
    """Returns the account of an engine that was just built from ``onnx``."""
    request, target, spec = job.work.request, job.work.target, job.work.spec
    timing = timing_cache_path(request, job.library, target)
    return Manifest(
        wanted=job.wanted,
        engine=job.place.name,
        engine_sha256=hashlib.sha256(plan.data).hexdigest(),
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        cuda="{}.{}".format(*target.driver_cuda) if any(target.driver_cuda) else "",
        jetpack=jetpack_name(l4t_release()),
        shapes={spec.input.name: list(spec.input.shape)},
        flags=list(plan.flags),
        timing_cache=timing.name if plan.timing_cache else "",
        reused=plan.reused,
        build_s=round(seconds, 2),
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        placement={} if request.dla is None else _placement(job.library, plan.data, request.dla),
    )


def _read(path: Path) -> bytes:
    """Returns a file of timings, b"" where there is none to be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _placement(library: Library, data: bytes, dla: int) -> dict[str, list[str]]:
    """Returns the layers a new engine has on the DLA and on the GPU, and logs them."""
    opened = open_engine(library, data, dla=dla)
    if opened is None:
        return {}
    placement = read_placement(library, opened.engine)
    opened.close()
    log.warning("layers on %s", placement)
    return {"dla": list(placement.dla), "gpu": list(placement.gpu)}
