"""The JSON report of one run; its keys are a contract other programs rely on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeseg import __version__
from edgeseg.atomic import write_whole
from edgeseg.config import RunConfig
from edgeseg.device import describe_device
from edgeseg.errors import ConfigError, SinkError
from edgeseg.meter import Meter
from edgeseg.types import SourceCounters, SourceInfo

SCHEMA = 1


def build_report(
    *,
    config: RunConfig,
    meter: Meter,
    source: SourceInfo,
    counters: SourceCounters,
    running: Mapping[str, Any],
    ended: str,
) -> dict[str, Any]:
    """Returns the report of a run.

    running: model {name, sha256}, backend, precision, threads, workers. ended: ``done``,
    ``interrupted`` or the error's line.
    """
    figures = meter.report(duplicated=counters.duplicated, lost_by_source=counters.dropped)
    return {
        "schema": SCHEMA,
        "edgeseg": __version__,
        "device": describe_device(),
        **running,
        "config": config.model_dump(mode="json"),
        "source": {
            "uri": source.uri,
            "size": list(source.size),
            "fps": None if source.fps is None else round(float(source.fps), 3),
            "live": source.live,
            "damaged": counters.damaged,
            "dropped": counters.dropped,  # also part of frames.dropped, but never captured
            "reconnects": counters.reconnects,
            "notes": list(source.notes),
        },
        "ended": ended,
        **figures,
    }


def check_report_path(path: str, *, overwrite: bool) -> None:
    """Raises ConfigError when a report could not be written here; nothing is created."""
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"report {path}: is a folder; name a file such as report.json")
    if not target.parent.is_dir():
        raise ConfigError(f"report {path}: no folder {target.parent}; create it first")
    if not os.access(target.parent, os.W_OK):
        raise ConfigError(f"report {path}: no permission to write in {target.parent}")
    if target.exists() and not overwrite and not _is_report(target):
        raise ConfigError(
            f"report {path}: exists and is not an edgeseg report; pass --overwrite to replace it"
        )


def _is_report(path: Path) -> bool:
    """Says whether a file is one of our reports, which a newer one may replace."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(loaded, dict) and "edgeseg" in loaded and "schema" in loaded


def write_json(path: str | Path, data: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all. Raises SinkError."""
    target = Path(path)
    try:
        write_whole(target, (json.dumps(data, indent=2) + "\n").encode())
    except OSError as error:
        raise SinkError(f"{target}: cannot write the report: {error.strerror}") from error
