from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from edgeseg.config import RunConfig
from edgeseg.errors import ConfigError, SinkError
from edgeseg.meter import Meter
from edgeseg.report import build_report, check_report_path, write_json
from edgeseg.types import Size, SourceCounters, SourceInfo

RUNNING = {
    "model": {"name": "portrait", "sha256": "ab"},
    "backend": "onnxruntime",
    "precision": "fp32",
    "threads": 1,
    "workers": 2,
}


def report() -> dict[str, object]:
    return build_report(
        config=RunConfig(),
        meter=Meter(),
        source=SourceInfo("a.mp4", Size(64, 48), Fraction(30000, 1001), 9, False),
        counters=SourceCounters(damaged=1, duplicated=2, dropped=3, reconnects=4),
        running=RUNNING,
        ended="done",
    )


def test_the_keys_other_programs_rely_on() -> None:
    made = report()
    for key in ("schema", "edgeseg", "device", "model", "backend", "precision", "config"):
        assert key in made
    assert set(made["frames"]) == {  # type: ignore[call-overload]
        "captured",
        "inferred",
        "rendered",
        "written",
        "dropped",
        "duplicated",
    }
    assert set(made["fps"]) == {"captured", "inferred", "rendered", "written"}  # type: ignore[call-overload]
    assert set(made["latency_ms"]) == {"p50", "p90", "p99"}  # type: ignore[call-overload]
    assert list(made["stages_ms"]) == [  # type: ignore[call-overload]
        "decode",
        "preprocess",
        "infer",
        "decode_result",
        "smooth",
        "effect",
        "encode",
    ]
    assert "cpu_ms_per_frame" in made
    json.dumps(made)


def test_what_the_source_noticed_is_counted() -> None:
    made = report()
    assert made["frames"]["dropped"] == 3  # type: ignore[index]
    assert made["frames"]["duplicated"] == 2  # type: ignore[index]
    source = made["source"]
    assert source["damaged"] == 1  # type: ignore[index]
    assert source["dropped"] == 3  # type: ignore[index]
    assert source["reconnects"] == 4  # type: ignore[index]
    assert source["fps"] == 29.97  # type: ignore[index]


def test_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_json(path, report())
    assert json.loads(path.read_text())["model"]["name"] == "portrait"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write the report"):
        write_json(tmp_path / "none" / "r.json", report())


def test_report_paths_are_checked_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        check_report_path(str(tmp_path), overwrite=False)
    with pytest.raises(ConfigError, match="no folder"):
        check_report_path(str(tmp_path / "x" / "r.json"), overwrite=False)
    foreign = tmp_path / "thesis.json"
    foreign.write_text("[1, 2]")
    with pytest.raises(ConfigError, match="is not an edgeseg report"):
        check_report_path(str(foreign), overwrite=False)
    check_report_path(str(foreign), overwrite=True)
    write_json(foreign, report())
    check_report_path(str(foreign), overwrite=False)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="no permission"):
        check_report_path(str(tmp_path / "r.json"), overwrite=False)
