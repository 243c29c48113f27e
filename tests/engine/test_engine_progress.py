"""How far a build is, told where the version tells it; Ctrl-C on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_kit import driver_of, install, request_of, tiny

from edgeseg.engine.build import ensure_engine


def test_progress_is_reported_where_the_version_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[str, float]] = []
    install(monkeypatch, "10.3.0")
    ensure_engine(
        tiny(tmp_path),
        request_of("10.3.0", tmp_path),
        driver=driver_of(sm=(8, 7)),
        progress=lambda phase, share: seen.append((phase, share)),
    )
    assert seen == [("Tactic selection", 0.25), ("Tactic selection", 0.5), ("Building Engine", 0.5)]


@pytest.mark.parametrize("version", ["8.5.2", "8.6.1"])
def test_versions_that_report_no_progress_build_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    install(monkeypatch, version)
    seen: list[str] = []
    ensure_engine(
        tiny(tmp_path),
        request_of(version, tmp_path),
        driver=driver_of(),
        progress=lambda phase, share: seen.append(phase),
    )
    assert seen == []


def test_ctrl_c_ends_a_build_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(phase: str, share: float) -> None:
        raise KeyboardInterrupt

    install(monkeypatch, "10.3.0")
    with pytest.raises(KeyboardInterrupt):
        ensure_engine(
            tiny(tmp_path),
            request_of("10.3.0", tmp_path),
            driver=driver_of(sm=(8, 7)),
            progress=interrupt,
        )
    assert {path.suffix for path in (tmp_path / "engines").iterdir()} == {".lock"}
