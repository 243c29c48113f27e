from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeseg import doctor
from edgeseg.cli import main
from edgeseg.doctor import models


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "RUN_S", 0.05)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", *arguments])
    assert left.value.code == 0


def test_the_table_names_what_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    out = capsys.readouterr().out
    for text in ("Python", "onnxruntime", "H.264", "portrait", "GStreamer"):
        assert text in out
    assert out.splitlines()[-1] == "everything edgeseg needs is here"


def test_the_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    run("--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["works"]) == (1, True)
    assert report["device"]["cores"] >= 1
    assert {"group", "name", "status", "detail", "mend"} == set(report["findings"][0])


def test_what_is_missing_is_said_first_and_last(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = doctor.Finding("packages", "av", "missing", "not installed", "pip install av[x]")
    monkeypatch.setattr(doctor, "examine", lambda: [wrong])
    run()
    out = capsys.readouterr().out
    assert "-> pip install av[x]" in out
    assert out.splitlines()[-1] == "mend what is missing first"
    run("--json")
    assert json.loads(capsys.readouterr().out)["works"] is False
