"""The files of a build, as bytes: FP16, or INT8 with the layers in float that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeseg.builder.bench import Bench
from edgeseg.builder.int8 import Judges, Quantiser, maker_of
from edgeseg.builder.judge import AgreementJudge, Judge, Score
from edgeseg.builder.ranges import Pictures, calibration_for
from edgeseg.spec import Variant

if TYPE_CHECKING:
    from edgeseg.precision.sensitivity import LayerError

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """files: by variant. calibration: what ranges came from. kept: layers that a search left in
    floating point, steps: what it tried, searched_on: which pictures, None without a search.
    """

    files: Mapping[Variant, bytes] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[LayerError, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()
    searched_on: Mapping[str, Any] | None = None


def make_files(
    bench: Bench, judge: Judge | None, fp32: Score | None, pictures: Pictures, tell: Tell
) -> Made:
    """Returns what the target needs; FP32 needs nothing.

    fp32: the reference's score by ``judge``; without them INT8 is made as it comes. Raises
    ConfigError, ModelError.
    """
    if not bench.target.variants:
        return Made()
    if bench.options.precision == "fp16":
        from edgeseg.precision.fp16 import to_fp16

        return Made({"fp16": to_fp16(bench.model)})
    return _int8(bench, judge, fp32, pictures, tell)


def _int8(
    bench: Bench, judge: Judge | None, fp32: Score | None, pictures: Pictures, tell: Tell
) -> Made:
    calibration = calibration_for(bench.model, bench.options, pictures.count)
    for note in calibration.notes:
        tell(note)

    def all_of(layers: tuple[str, ...]) -> dict[Variant, bytes]:
        return {
            variant: maker_of(variant)(bench.model, calibration, float_layers=layers)
            for variant in bench.target.variants
        }

    if judge is None or fp32 is None:
        return Made(all_of(bench.options.keep_float), calibration.data)
    judges = Judges(judge, fp32, _search_judge(bench, pictures), pictures.ranking)
    found = Quantiser(bench, bench.target.variants[0], calibration, judges).run(tell)
    searched_on = dict(judges.search.data) if found.steps else None
    files = all_of(found.float_layers)
    return Made(files, calibration.data, found.kept, tuple(found.steps), searched_on)


def _search_judge(bench: Bench, pictures: Pictures) -> AgreementJudge:
    """Returns what layers are chosen by: FP32's decisions on calibration pictures."""
    backend = bench.reference()
    try:
        spec = bench.model.spec
        return AgreementJudge(spec, pictures.search, backend, source=pictures.name)
    finally:
        backend.close()
