"""Calibration ranges and pictures for a build: from a folder, a video, or a file made earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.assemble import open_source
from edgeseg.builder.options import BuildOptions
from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError
from edgeseg.model_file import ModelFile, load_variant
from edgeseg.ops.image import network_input
from edgeseg.protocols import Tensor
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.precision.calibrate import Calibration

HELD_OUT = 32
"""Pictures kept from calibration to compare decisions on, where nothing is labelled."""
DRAWN = 8
"""Pictures of each drawn scene."""
FOR_SEARCH, FOR_RANKING = 48, 6
"""Pictures on which layers are chosen, and on which the error of single ones is measured."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Network inputs of ``--calibration``: how many calibrate, and what they do not see.

    held_out: empty where labelled data judges. search: to choose layers on. name: of their folder.
    """

    count: int = 0
    held_out: Sequence[Tensor] = ()
    search: Sequence[Tensor] = ()
    name: str = ""

    @property
    def ranking(self) -> Sequence[Tensor]:
        """A few, for the errors of single layers."""
        return self.search[:FOR_RANKING]


def pictures_for(model: ModelFile, options: BuildOptions) -> Pictures:
    """Returns the pictures of ``--calibration``; none where it is not given.

    Raises ConfigError for a source without pictures, or with one where some must be held out.
    """
    from edgeseg.precision.calibrate import calibration_inputs

    source, seed = options.calibration, options.seed
    if source is None:
        return Pictures(search=_of_data(model, options), name="data")
    name = source.resolve().name
    if options.data is not None:
        few = calibration_inputs(model.spec, source, count=FOR_SEARCH, seed=seed)
        return Pictures(options.images, (), few, name)
    asked = options.images + HELD_OUT
    inputs = calibration_inputs(model.spec, source, count=asked, seed=seed)
    if source.is_file() and len(inputs) > 1:
        # All frames of a video come in another order than fewer of them, of which some calibrate.
        inputs = calibration_inputs(model.spec, source, count=len(inputs) - 1, seed=seed)
    if len(inputs) < 2:
        raise ConfigError(
            f"--calibration {source}: one picture; without --data some are held out to compare "
            "INT8 with FP32: expected at least 2, better 100 and more"
        )
    held = min(HELD_OUT, max(len(inputs) // 4, 1))
    count = min(options.images, len(inputs) - held)
    return Pictures(count, inputs[-held:], inputs[:count][:FOR_SEARCH], name)


def calibration_for(model: ModelFile, options: BuildOptions, count: int) -> Calibration:
    """Returns the ranges: of the pictures, else those an INT8 file of this model carries.

    Raises as ``require_ranges`` and ``calibrate`` do.
    """
    from edgeseg.precision.calibrate import Calibration, calibrate

    if options.calibration is not None:
        return calibrate(
            model, options.calibration, method=options.method, count=count, seed=options.seed
        )
    return Calibration.from_file(require_ranges(model))


def require_ranges(model: ModelFile) -> ModelFile:
    """Returns the INT8 file whose ranges stand in for pictures. Raises ConfigError without one."""
    stored = load_variant(model, "int8")
    if stored is None:
        raise ConfigError(
            "--precision int8: needs pictures like those the model is for, 100 to 500 of them: "
            "--calibration DIR or VIDEO"
        )
    return stored


def drawn_inputs(spec: InputSpec) -> list[Tensor]:
    """Returns network inputs of a drawn person and a drawn street."""
    inputs = []
    for scene in ("portrait", "road"):
        uri = f"synthetic://{scene}?size=640x360&frames={DRAWN}&speed=5"
        source = open_source(SourceConfig(uri=uri))
        while (frame := source.read()) is not None:
            inputs.append(network_input(frame, spec)[0])
        source.close()
    return inputs


def _of_data(model: ModelFile, options: BuildOptions) -> Sequence[Tensor]:
    """Returns pictures of the labelled data, where there are no others."""
    if options.data is None:
        return ()
    from edgeseg.precision.calibrate import calibration_inputs

    folder: Path = options.data.path / (options.data.split or "")
    if not folder.is_dir():  # a split that the manifest names, not a folder
        folder = options.data.path
    return calibration_inputs(model.spec, folder, count=FOR_SEARCH, seed=options.seed)
