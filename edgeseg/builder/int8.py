"""INT8 files within the loss that is allowed: quantise, score, keep the worst layers in float.

Layers are chosen without labels, by how far the file's decisions are from FP32's on calibration
pictures. That is far less a matter of chance than the scores of a few labelled pictures, which a
worse file may improve, and labelled data stays there to judge only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from edgeseg.builder.bench import Bench
from edgeseg.builder.judge import AgreementJudge, Judge, Score
from edgeseg.protocols import Tensor
from edgeseg.spec import Variant

if TYPE_CHECKING:
    from edgeseg.precision.calibrate import Calibration
    from edgeseg.precision.search import Search
    from edgeseg.precision.sensitivity import LayerError, Maker

EVALUATIONS = 8
"""Files that one search may make and score."""
MARGINS = (0.8, 0.55, 0.35, 0.2)
"""Share of the allowed loss a search aims at, as what it sees is an estimate; the later ones are
for when the labelled pictures say no after the one before."""
MOST_KEPT = 0.5
"""Share of the layers that may stay in floating point: with more, little of INT8 is left."""
TINY = 1e-6
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judges:
    """final: decides; fp32 is the reference's score by it. search: layers are chosen by it.

    inputs: of the network, for the errors of single layers.
    """

    final: Judge
    fp32: Score
    search: AgreementJudge
    inputs: Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class Quantised:
    """data: the file. loss: points lost on everything. kept: layers that the search left in float.

    steps: what was tried, as the report lists it.
    """

    data: bytes
    float_layers: tuple[str, ...]
    loss: float
    kept: tuple[LayerError, ...] = ()
    steps: list[dict[str, Any]] = field(default_factory=list)


class Quantiser:
    """Makes one variant of a model and looks for the layers it cannot do without."""

    def __init__(
        self, bench: Bench, variant: Variant, calibration: Calibration, judges: Judges
    ) -> None:
        self._bench, self._variant = bench, variant
        self._calibration, self._judges = calibration, judges
        self._maker = maker_of(variant)
        self._keep = bench.options.keep_float
        self._apart: dict[tuple[str, ...], float] = {}
        self._steps: list[dict[str, Any]] = []

    def run(self, tell: Tell) -> Quantised:
        """Returns the file that loses little enough with the fewest layers found, or the best.

        Raises ModelError for an unknown layer, and what making and scoring raise.
        """
        allowed = self._bench.options.allowed
        plain = self._made(())
        if plain.loss <= allowed:
            return plain
        tell(
            f"INT8 loses {plain.loss:.2f} points, {allowed:g} are allowed: "
            "looking for layers to keep in floating point"
        )
        tried = [plain]
        ranking = self._ranking()
        for share in MARGINS:
            found = self._search(ranking, plain.loss, allowed * share, tell)
            if len(found.kept) == len(tried[-1].kept):
                continue
            tried.append(self._made(found.float_layers, found.kept))
            tell(f"{len(found.kept)} layers kept: INT8 loses {tried[-1].loss:.2f} points")
            if tried[-1].loss <= allowed:
                break
        return min(tried, key=lambda one: one.loss)

    def make(self, layers: Sequence[str]) -> bytes:
        """Returns the file with these layers, and those the user named, in floating point."""
        kept = tuple(dict.fromkeys((*self._keep, *layers)))
        return self._maker(self._bench.model, self._calibration, float_layers=kept)

    def _made(self, layers: tuple[str, ...], kept: tuple[LayerError, ...] = ()) -> Quantised:
        data = self.make(layers)
        score = self._bench.score(self._bench.on_trial(self._variant, data), self._judges.final)
        loss = self._judges.fp32.lost_to(score)
        return Quantised(data, (*self._keep, *layers), loss, kept, self._steps)

    def _ranking(self) -> list[LayerError]:
        from edgeseg.precision.sensitivity import rank_layers

        ranked = rank_layers(
            self._bench.model, self._calibration, self._judges.inputs, make=self._maker
        )
        most = math.ceil(len(ranked) * MOST_KEPT)
        return [error for error in ranked if error.layer not in self._keep][:most]

    def _search(
        self, ranking: Sequence[LayerError], lost: float, max_drop: float, tell: Tell
    ) -> Search:
        """Looks for layers until the loss, taken to shrink as decisions near FP32's, is small.

        lost: points lost with no layer kept.
        """
        from edgeseg.precision.search import search_float_layers

        def loss(layers: tuple[str, ...]) -> float:
            return lost * self._distance(layers, tell) / max(self._distance((), tell), TINY)

        return search_float_layers(ranking, loss, max_drop=max_drop, evaluations=EVALUATIONS)

    def _distance(self, layers: tuple[str, ...], tell: Tell) -> float:
        """Returns the points of IoU by which decisions differ from FP32's."""
        if layers not in self._apart:
            file = self._bench.on_trial(self._variant, self.make(layers))
            score = self._bench.score(file, self._judges.search)
            self._apart[layers] = apart = self._judges.search.perfect.lost_to(score)
            self._steps.append({"float_layers": list(layers), "differs": round(apart, 3)})
            tell(f"  {len(layers)} layers in float: masks differ by {apart:.2f} points of IoU")
        return self._apart[layers]


def maker_of(variant: Variant) -> Maker:
    """Returns what makes an INT8 variant."""
    if variant == "int8":
        from edgeseg.precision.int8_cpu import to_int8

        return to_int8
    from edgeseg.precision.int8_trt import to_int8_trt

    return partial(to_int8_trt, typed="fp16" if variant == "int8-trt16" else "fp32")
