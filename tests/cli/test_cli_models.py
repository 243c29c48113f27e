from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from tiny_onnx import network, save, spec_for, tiny_model

from edgeseg.assets import configs_dir
from edgeseg.cli import main
from edgeseg.model_file import load_model, shipped_models
from edgeseg.spec import Build


def models(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["models", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_list_as_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert models("list") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "edgeseg models show" in out
    for name in shipped_models():
        assert name in out
    assert "non-commercial" in out, "terms are said where a model is chosen"
    assert models("list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == list(shipped_models())
    assert rows[0]["sha256"] == load_model(rows[0]["model"]).sha256


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        ({"macro_person_iou": 0.9}, "0.900 IoU"),
        ({"miou": 0.71234}, "0.712 mIoU"),
        ({"ap50": {"mask": 0.625, "box": 0.7}}, "0.625 mask AP50"),
        ({"speed": {"median_ms": 19.87}}, "19.9"),
        ({"ap50": 3}, "tiny"),
    ],
)
def test_list_shows_the_score_a_model_is_judged_by(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    metrics: dict[str, object],
    shown: str,
) -> None:
    from edgeseg.model_file import find

    tiny_model(tmp_path / "tiny.onnx", metrics=metrics)
    monkeypatch.setattr(find, "engines_dir", lambda: tmp_path)
    assert models("list") == 0
    assert shown in capsys.readouterr().out


def test_list_survives_a_broken_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgeseg.model_file import find

    tiny_model(tmp_path / "good.onnx", metrics={"macro_person_iou": 0.9, "parameters": 12345})
    (tmp_path / "bad.onnx").write_bytes(b"x")
    monkeypatch.setattr(find, "engines_dir", lambda: tmp_path)
    assert models("list") == 0
    out = capsys.readouterr().out
    assert "0.900" in out
    assert "0.01 M" in out
    assert "not an ONNX model" in out


def test_show_prints_the_card(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    assert models("show", str(path)) == 0
    out = capsys.readouterr().out
    assert f"# sha256 {load_model(path).sha256}" in out
    assert yaml.safe_load(out)["name"] == "tiny"
    assert models("show", str(path), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["card"]["input"]["name"] == "image"
    assert shown["licence"] == "not stated"


def test_show_names_the_files_made_from_a_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    gate = {"passed": True, "drop": 0.136, "speed": {"ratio": 2.33}}
    made = Build(variant="int8", source_sha256=load_model(path).sha256, gate=gate)
    small = tiny_model(tmp_path / "net.int8.onnx", precision="int8", build=made)
    assert models("show", str(path)) == 0
    out = capsys.readouterr().out
    assert f"# int8: {small}, lost 0.14 points, 2.33 times as fast\n" in out
    assert yaml.safe_load(out)["name"] == "tiny"
    assert models("show", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["variants"]["int8"]["gate"] == gate


def test_check_says_what_is_right(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "net.onnx")
    assert models("check", str(path)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "  ok  the recipe matches the graph" in err
    assert err.splitlines()[-1] == f"{path}: ready for edgeseg run --model {path}"


def test_check_prints_a_card_that_can_be_saved(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = save(tmp_path / "net.onnx", network("pair"))
    assert models("check", str(path)) == 2
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == (
        f"edgeseg: {path}: no recipe: neither in the file nor as net.yaml; "
        "correct the printed card and save it as net.yaml"
    )
    path.with_suffix(".yaml").write_text(out)
    assert models("check", str(path)) == 0


def test_check_names_a_card_that_does_not_match(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = save(tmp_path / "net.onnx", network(), spec_for(dtype="float32"))
    assert models("check", str(path)) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "input.dtype is float32, the file takes uint8" in last


def test_unknown_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("show", "check"):
        assert models(command, "portrat") == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("edgeseg: unknown model 'portrat'; did you mean 'portrait'?")
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "card", sorted((configs_dir() / "cards").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_ready_cards_are_valid(card: Path) -> None:
    from edgeseg.spec import ModelSpec

    assert ModelSpec.from_card(card).input.dtype == "float32"


def test_eighty_columns_hold_every_name_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        main(["models", "list"])
    out = capsys.readouterr().out
    assert all(name in out for name in shipped_models())
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()) <= 80
