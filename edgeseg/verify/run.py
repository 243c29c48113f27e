"""``edgeseg models verify``: the same frames through every backend and precision present."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from edgeseg.backends import open_backend
from edgeseg.backends.options import BackendOptions
from edgeseg.config import BackendName
from edgeseg.errors import BackendUnavailable, ConfigError, EdgesegError, ModelError
from edgeseg.evaluate.frames import spread_frames
from edgeseg.evaluate.scoring import number
from edgeseg.model_file import ModelFile
from edgeseg.ops.image import network_input
from edgeseg.protocols import Backend, FrameBackend, Tensor
from edgeseg.segment import NetworkSegmenter
from edgeseg.spec import Precision
from edgeseg.types import Frame, Result
from edgeseg.verify.compare import Comparison

log = logging.getLogger(__name__)

REFERENCE: BackendName = "onnxruntime"
BACKENDS: tuple[BackendName, ...] = tuple(n for n in get_args(BackendName) if n != "auto")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TOLERANCE: dict[Precision, float] = {"fp32": 0.5, "fp16": 2.0, "int8": 10.0}
"""Points of 0..100 by which masks may differ from FP32's: of IoU, or of objects' quality."""
OWN_INPUT = 4.0
"""Points more where a GPU resizes the frame itself: it filters otherwise, and thin edges move
(up to 2.4 points measured with the kernels' numpy twins and FP32 networks on driving scenes)."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """data: folder of pictures or a video. frames: at most, evenly spread.

    backends, precisions: those named must be there; empty = all that are. tolerance: points for
    every precision instead of ``TOLERANCE``.
    """

    data: Path
    backends: Sequence[BackendName] = ()
    precisions: Sequence[Precision] = ()
    frames: int = 16
    tolerance: float | None = None
    gpu: int = 0

    def allowed(self, precision: Precision, *, own_input: bool) -> float:
        """Points by which masks may differ; own_input: the backend resizes frames itself."""
        if self.tolerance is not None:
            return self.tolerance
        return TOLERANCE[precision] + (OWN_INPUT if own_input else 0.0)


@dataclass(frozen=True, slots=True)
class Combination:
    """One backend in one precision; problem: why it did not run, or failed, "" where it passed.

    broken: it did not run because its file, which is there, cannot be used.
    """

    backend: BackendName
    precision: Precision
    comparison: Comparison | None
    device: str = ""
    sha256: str = ""
    problem: str = ""
    broken: bool = False

    def figures(self) -> dict[str, Any]:
        """Returns what the report says of it."""
        head = {"backend": self.backend, "precision": self.precision}
        found = self.comparison
        if found is None:
            return {**head, "ran": False, "problem": self.problem}
        outputs = {
            name: {"max": number(scores.largest), "mean": number(scores.mean)}
            for name, scores in found.outputs.items()
        }
        objects = found.objects
        return {
            **head,
            "ran": True,
            "device": self.device,
            "sha256": self.sha256,
            "passed": not self.problem,
            "problem": self.problem,
            "agreement": found.agreement,
            "iou": found.iou,
            "outputs": outputs,
            "objects": None
            if found.task != "instance"
            else {
                "same": objects.same,
                "only_here": objects.ours_only,
                "only_reference": objects.theirs_only,
                "quality": objects.quality,
            },
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """combinations: in the order they were tried. frames: how many were compared.

    missing: those that were asked for by name, or whose file is broken, and could not run.
    """

    model: ModelFile
    frames: int
    combinations: tuple[Combination, ...]
    missing: tuple[Combination, ...] = ()

    @property
    def failed(self) -> tuple[Combination, ...]:
        """Those that ran and differ by more than the tolerance."""
        return tuple(c for c in self.combinations if c.comparison is not None and c.problem)


@dataclass(slots=True)
class _Reference:
    """What FP32 on ONNX Runtime gives: outputs and result of each frame."""

    frames: Sequence[Frame]
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Mapping[str, Tensor]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


class _NoTimes:
    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        """Times are not wanted."""


def verify_model(
    model: ModelFile, options: VerifyOptions, *, on_done: Callable[[Combination], None] = log.debug
) -> Verified:
    """Compares every combination that can run here with FP32 on ONNX Runtime.

    Raises ConfigError for a model that is not FP32, options out of range and a folder without
    pictures; SourceNotFound, SourceError for a video; ModelError when the reference fails.
    """
    _check(model, options)
    reference = _run_reference(model, spread_frames(options.data, options.frames))
    tried: list[Combination] = []
    for backend in options.backends or BACKENDS:
        for precision in options.precisions or PRECISIONS:
            if backend == REFERENCE and precision == "fp32":
                continue
            found, gone = _tried(model, options, backend, precision, reference)
            tried.append(found)
            on_done(found)
            if gone and not options.backends:
                break
    missing = [c for c in tried if c.comparison is None and _named(c, options)]
    return Verified(model, len(reference.frames), tuple(tried), tuple(missing))


def _check(model: ModelFile, options: VerifyOptions) -> None:
    if model.spec.precision != "fp32":
        raise ModelError(
            f"{model.path}: is {model.spec.precision.upper()}; name the FP32 model, its other "
            "files are found"
        )
    if options.frames < 1:
        raise ConfigError(f"--frames {options.frames}: expected 1 or more")
    if options.tolerance is not None and not 0 <= options.tolerance <= 100:
        raise ConfigError(f"--tolerance {options.tolerance:g}: expected points from 0 to 100")


def _named(found: Combination, options: VerifyOptions) -> bool:
    """Says whether the user asked for it: by its backend, and by its precision where some are.

    Where none are, files that are there but broken count, beside FP32.
    """
    by_backend = found.backend in options.backends or found.backend == REFERENCE
    if options.precisions:
        return by_backend and found.precision in options.precisions
    return by_backend and (found.precision == "fp32" or found.broken)


def _run_reference(model: ModelFile, frames: Sequence[Frame]) -> _Reference:
    backend = open_backend(model, kind=REFERENCE, options=BackendOptions())
    try:
        segmenter, reference = NetworkSegmenter(model.spec, backend), _Reference(frames)
        for frame in frames:
            tensor, _ = network_input(frame, model.spec.input)
            reference.inputs.append(tensor)
            reference.outputs.append(backend.infer({model.spec.input.name: tensor}))
            reference.results.append(segmenter.segment(frame, _NoTimes()))
        return reference
    finally:
        backend.close()


def _tried(
    model: ModelFile,
    options: VerifyOptions,
    kind: BackendName,
    precision: Precision,
    reference: _Reference,
) -> tuple[Combination, bool]:
    """Returns what became of a combination, and whether its backend cannot run here at all."""
    wanted = BackendOptions(precision=precision, gpu=options.gpu)
    try:
        backend = open_backend(model, kind=kind, options=wanted)
    except EdgesegError as error:
        gone, broken = isinstance(error, BackendUnavailable), isinstance(error, ModelError)
        return Combination(kind, precision, None, problem=str(error), broken=broken), gone
    try:
        found = _compared(model, backend, reference)
    except EdgesegError as error:
        return Combination(kind, precision, None, problem=str(error), broken=True), False
    finally:
        backend.close()
    lost = 100 * (1 - (found.judged or 0.0))
    allowed = options.allowed(precision, own_input=isinstance(backend, FrameBackend))
    problem = (
        f"masks differ from FP32's by {lost:.2f} points, {allowed:g} are allowed"
        if lost > allowed
        else ""
    )
    info = backend.info
    return Combination(kind, precision, found, info.device, info.sha256, problem), False


def _compared(model: ModelFile, backend: Backend, reference: _Reference) -> Comparison:
    segmenter, found = NetworkSegmenter(model.spec, backend), Comparison(model.spec.task)
    for frame, tensor, outputs, result in zip(
        reference.frames, reference.inputs, reference.outputs, reference.results, strict=True
    ):
        found.add_scores(backend.infer({model.spec.input.name: tensor}), outputs)
        found.add_result(segmenter.segment(frame, _NoTimes()), result)
    return found
