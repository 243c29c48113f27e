"""The timer: models take turns, ratios are to the first, mistakes are one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from time_models import main, table  # noqa: E402


def test_ratios_are_to_the_first_model() -> None:
    rows = table({"a": [10.0, 20.0, 40.0], "b": [5.0, 11.0, 4.0]})
    assert rows["a"]["ratio_of_medians"] == rows["a"]["median_of_ratios"] == 1.0
    assert rows["b"]["median_ms"] == 5.0
    assert rows["b"]["min_ms"] == 4.0
    assert rows["b"]["ratio_of_medians"] == 0.25
    assert rows["b"]["median_of_ratios"] == 0.5


def test_shipped_models_are_timed_in_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "T.json"
    names = ["portrait", "portrait-sinet"]
    assert main([*names, "--rounds", "3", "--json", str(path)]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert list(report["models"]) == names
    assert (report["threads"], report["rounds"]) == (1, 3)
    assert report["device"]
    for row in report["models"].values():
        assert 0 < row["min_ms"] <= row["median_ms"]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["model", *names]


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (["portrai"], "unknown model 'portrai'; did you mean 'portrait'?"),
        (["{tmp}/none.onnx"], "none.onnx: no such model file"),
        (["{tmp}/text.onnx"], "text.onnx: "),
        (["portrait", "portrait"], "two models have the same file name"),
    ],
)
def test_mistakes_are_one_line(
    models: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.onnx").write_text("not a model", encoding="utf-8")
    assert main([name.format(tmp=tmp_path) for name in models]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert len(err.splitlines()) == 1
