"""Does a model have the thresholds that a user changes? Asked before anything opens."""

from __future__ import annotations

from edgeseg.errors import ConfigError
from edgeseg.spec import ModelSpec


def check_thresholds(
    spec: ModelSpec,
    *,
    threshold: float | None,
    score: float | None,
    names: tuple[str, str] = ("model.threshold", "model.score"),
) -> None:
    """Raises ConfigError for a value that the model would ignore; ``names``: as the user knows it.

    Networks that give each pixel its likeliest class have no threshold, only objects have a score.
    """
    if threshold is not None and spec.outputs_as in ("semantic", "labels"):
        raise ConfigError(
            f"{names[0]}: {spec.name} takes the likeliest class of each pixel, whatever its "
            "probability; leave it out"
        )
    if score is not None and spec.task != "instance":
        raise ConfigError(
            f"{names[1]}: {spec.name} classifies pixels, it does not find objects; leave it out"
        )
