"""The JSON report of a build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeseg import __version__
from edgeseg.builder.bench import Bench
from edgeseg.builder.make import Made
from edgeseg.device import describe_device
from edgeseg.report import SCHEMA


def report_of(bench: Bench, made: Made, gate: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the report; ``files`` and ``engines`` are added once they are written."""
    options, model = bench.options, bench.model
    return {
        "schema": SCHEMA,
        "edgeseg": __version__,
        "device": describe_device(),
        "model": {"name": model.name, "sha256": model.sha256},
        "task": model.spec.task,
        "backend": bench.target.backend,
        "precision": options.precision,
        "size": list(model.spec.input.size),
        "calibration": dict(made.calibration),
        "keep_float": list(options.keep_float),
        "gate": dict(gate),
        "search": [dict(step) for step in made.steps],
        "files": [],
        "engines": [],
    }
