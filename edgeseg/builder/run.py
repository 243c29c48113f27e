"""``edgeseg build``: make the file, prove what it costs, keep it or say why not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.builder import gate
from edgeseg.builder.bench import Bench
from edgeseg.builder.engines import build_engine
from edgeseg.builder.files import Kept, no_empty_folders, place_for, staging
from edgeseg.builder.judge import AgreementJudge, Judge, LabelJudge, Score
from edgeseg.builder.make import Made, Tell, make_files
from edgeseg.builder.options import BuildOptions, check_options
from edgeseg.builder.ranges import Pictures, drawn_inputs, pictures_for, require_ranges
from edgeseg.builder.report import report_of
from edgeseg.builder.target import Target, require_device, require_onnx, target_for
from edgeseg.errors import ConfigError, ModelError
from edgeseg.evaluate.frames import first_frames
from edgeseg.model_file import ModelFile, load_model
from edgeseg.spec import Precision, Variant
from edgeseg.types import Frame

log = logging.getLogger(__name__)

SHOWN = 8
"""Layers named; the report has all."""
CLIP_FRAMES = 64
"""Consecutive frames on which flicker is measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """files: written, by variant. verdict: None where there was nothing to compare.

    report: as the JSON has it, empty where nothing was to be built. problem: why nothing was kept,
    "" where it was. notes: for the user.
    """

    files: Mapping[Variant, Path]
    verdict: gate.Verdict | None
    report: dict[str, Any]
    problem: str = ""
    notes: tuple[str, ...] = ()


def build_model(model: ModelFile, options: BuildOptions, *, tell: Tell = log.info) -> Outcome:
    """Makes what a precision needs on a backend, scores it, and keeps it if it passes.

    Raises:
        ConfigError: options that mean nothing, data that does not fit, nothing to calibrate with.
        ModelError: a model that is not FP32, a layer that is not in it, a network that fails.
        BackendUnavailable: a package is missing, or the backend cannot run here.
        SinkRefused: a folder that cannot be written to, a full disk.
    """
    check_options(options)
    target = target_for(options)
    _refuse(model, options, target)
    if not target.variants and not target.engine:
        note = (
            f"{model.name}: FP32 on {target.backend} runs {model.path} as it is: nothing to build"
        )
        return Outcome({}, None, {}, notes=(note,))
    require_device(target, options.gpu)
    if target.variants:
        require_onnx()
    if options.precision == "int8" and options.calibration is None:
        stored = require_ranges(model)
        if target.variants == ("int8",) and _adds_nothing(options):
            note = (
                f"{model.name}: {stored.path} is there: nothing to build; --calibration DIR makes "
                "it anew, --data DIR says what it costs here"
            )
            return Outcome({}, None, {}, notes=(note,))
    with no_empty_folders(model), staging() as stage:
        places = {variant: place_for(model, variant, options) for variant in target.variants}
        name, clip = _clip(options)
        bench = Bench(model, target, options, stage, clip, name)
        return _build(bench, Kept(places), tell)


def _adds_nothing(options: BuildOptions) -> bool:
    """Says whether an INT8 file made of a stored one's ranges would be that one, unproven."""
    return options.data is None and not options.keep_float and options.output is None


def _refuse(model: ModelFile, options: BuildOptions, target: Target) -> None:
    if model.spec.precision != "fp32":
        made = model.spec.precision.upper()
        raise ModelError(f"{model.path}: is {made} already; name the FP32 model it was made from")
    if options.output is None:
        return
    if target.engine or len(target.variants) != 1:
        raise ConfigError(
            f"-o {options.output}: {options.precision} on {target.backend} is not one ONNX file; "
            "leave -o out"
        )


def _clip(options: BuildOptions) -> tuple[str, list[Frame]]:
    """Returns a video's name and frames for flicker: of ``--clip``, else of calibration."""
    source = options.clip
    if source is None and options.calibration is not None and options.calibration.is_file():
        source = options.calibration
    return ("", []) if source is None else (source.name, first_frames(source, CLIP_FRAMES))


def _build(bench: Bench, kept: Kept, tell: Tell) -> Outcome:
    options = bench.options
    judge: Judge | None = None
    if options.data is not None:  # what does not fit is said before anything takes long
        judge = LabelJudge(bench.model.spec, options.data)
    wanted = options.precision == "int8" or options.calibration is not None
    pictures = pictures_for(bench.model, options) if wanted else Pictures()
    judge = judge or _agreement(bench, pictures)
    for note in judge.notes if judge is not None else ():
        tell(note)
    fp32 = None if judge is None else bench.reference_score(judge)
    made = make_files(bench, judge, fp32, pictures, tell)
    return _decide(bench, kept, made, judge, fp32)


def _agreement(bench: Bench, pictures: Pictures) -> Judge | None:
    """Returns a judge by FP32's own decisions; None for INT8 without pictures.

    Rounding to FP16 shows on drawn pictures, too; INT8's ranges do not.
    """
    inputs, name, drawn = pictures.held_out, pictures.name, False
    if not inputs:
        if bench.options.precision == "int8":
            return None
        inputs, name, drawn = drawn_inputs(bench.model.spec.input), "drawn scenes", True
    backend = bench.reference()
    try:
        return AgreementJudge(bench.model.spec, inputs, backend, source=name, drawn=drawn)
    finally:
        backend.close()


def _decide(
    bench: Bench, kept: Kept, made: Made, judge: Judge | None, fp32: Score | None
) -> Outcome:
    """Compares, and keeps what passes. For a GPU, files lie in their place while compared."""
    files = _compared(bench, made)
    try:
        if bench.target.on_gpu:
            kept.write(made.files)
        verdict = gate.measure(bench, files, judge, fp32)
    except BaseException:
        kept.undo()
        raise
    found = gate.record(bench, verdict, judge, made)
    report = report_of(bench, made, found)
    if verdict.passed is False:
        kept.undo()
        problem = gate.refusal(bench.model.name, verdict, kept=len(made.kept))
        return Outcome({}, verdict, report, problem)
    return _keep(bench, kept, made, verdict, report)


def _keep(
    bench: Bench, kept: Kept, made: Made, verdict: gate.Verdict, report: dict[str, Any]
) -> Outcome:
    """Writes the files with the gate's record in their recipes, and an engine of the final ones."""
    kept.write({v: _with_gate(bench, v, made, report["gate"]) for v in made.files})
    report["files"] = [
        {"variant": variant, "path": str(path), "sha256": load_model(path).sha256}
        for variant, path in kept.places.items()
    ]
    if bench.target.engine:
        report["engines"] = [build_engine(bench)]
    return Outcome(kept.places, verdict, report, notes=tuple(_notes(bench, verdict, made)))


def _with_gate(bench: Bench, variant: Variant, made: Made, found: dict[str, Any]) -> bytes:
    from edgeseg.precision.recipe import replace_recipe

    data = made.files[variant]
    spec = bench.on_trial(variant, data).spec
    if spec.build is None:
        raise ModelError(f"{bench.model.name}: the {variant} file carries no recipe of its making")
    build = spec.build.model_copy(update={"gate": found})
    own = {"build": build, "metrics": {}}  # what the FP32 model scored is not what this file does
    return replace_recipe(data, spec.model_copy(update=own))


def _compared(bench: Bench, made: Made) -> dict[Precision, ModelFile | None]:
    """Returns the files side by side: FP32, FP16, and what is built."""
    files: dict[Precision, ModelFile | None] = {"fp32": bench.model}
    if bench.options.precision == "int8":
        from edgeseg.precision.fp16 import to_fp16

        files["fp16"] = bench.on_trial("fp16", to_fp16(bench.model))
    for variant in bench.target.variants[:1]:
        files[bench.options.precision] = bench.on_trial(variant, made.files[variant])
    return files


def _notes(bench: Bench, verdict: gate.Verdict, made: Made) -> list[str]:
    """Returns what the user should know about a file that was kept."""
    precision, notes = verdict.precision.upper(), []
    if made.kept:
        shown = [f"{e.layer} ({e.kind}, {e.snr_db:.1f} dB)" for e in made.kept[:SHOWN]]
        shown += [f"{len(made.kept) - SHOWN} more"] if len(made.kept) > SHOWN else []
        notes.append(
            f"kept in floating point: {', '.join(shown)}; in brackets the outputs' signal to "
            "noise with only that layer quantised"
        )
    if verdict.passed is None:
        notes.append(
            f"{precision} was not compared with FP32 in accuracy: give --data, or --calibration"
        )
    if not verdict.faster and precision != "FP32":
        use = "; it is for GPUs" if precision == "FP16" and not bench.target.on_gpu else ""
        notes.append(
            f"{precision} is not faster than FP32 on this device ({verdict.ratio:.2f} times its "
            f"speed), so that --precision auto will not choose it{use}"
        )
    return notes
