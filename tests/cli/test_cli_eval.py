from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import tiny_model

from edgeseg.cli import main


def evaluate(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["eval", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "val"
    for name, bright in (("one", 32), ("two", 16)):
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :bright] = 255
        mask = np.zeros((48, 64), np.uint8)
        mask[:, :32] = 255
        for kind, pixels in (("images", image), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)
    rows = [{"file": "one", "source": "a"}, {"file": "two", "source": "b"}]
    (folder.parent / "manifest.json").write_text(json.dumps(rows))
    return folder.parent


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(tiny_model(tmp_path / "tiny.onnx"))


def test_the_report_has_the_promised_keys(
    data: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "r.json", tmp_path / "worst.png"
    code = evaluate(
        "--model", model, "--data", str(data), "--split", "val", "--json", str(out),
        "--worst", str(sheet),
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert printed.out == ""
    for text in ("mean of sources", "255 is taken as person", f"wrote {out}", f"wrote {sheet}"):
        assert text in printed.err
    report = json.loads(out.read_text())
    assert report["schema"] == 1
    assert report["edgeseg"]
    assert report["device"]["cores"] >= 1
    assert report["model"]["name"] == "tiny"
    assert len(report["model"]["sha256"]) == 64
    assert (report["backend"], report["precision"]) == ("onnxruntime", "fp32")
    assert report["images"] == 2
    assert report["iou"]["person"] == pytest.approx(0.75, abs=0.01)
    assert report["iou_macro"] == pytest.approx((1 + 0.5) / 2, abs=0.02)
    assert set(report["sources"]) == {"a", "b"}
    for key in ("miou", "boundary_f", "pixel_accuracy"):
        assert 0 <= report[key] <= 1
    assert report["network_ms"]["p50"] > 0
    assert cv2.imread(str(sheet)) is not None


def test_the_threshold_can_be_given(data: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    arguments = ("--model", model, "--data", str(data / "val"), "--json", str(out))
    assert evaluate(*arguments, "--threshold", "0.9") == 0
    assert json.loads(out.read_text())["config"]["threshold"] == 0.9
    assert evaluate(*arguments, "--threshold", "1.5") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere"), "nowhere: no such folder; expected images/ and masks/ in it"),
        (("--data", "DATA"), "has the splits val; choose one with --split"),
        (("--data", "DATA", "--split", "vla"), "no split 'vla'; it has val"),
        (("--data", "DATA/val", "--model", "portrat"), "unknown model 'portrat'; did you mean"),
        (("--data", "DATA/val", "--json", "no/r.json"), "no folder no; create it first"),
        (("--data", "DATA/val", "--worst", "no/w.png"), "no folder no; create it first"),
        (("--data", "DATA/val", "--worst", "w.jpg"), "--worst w.jpg: expected a .png file"),
        (("--data", "DATA/val", "--worst", "DATA/x.png"), "exists; pass --overwrite to replace it"),
        ((), "Missing option '--data'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    (data / "x.png").write_bytes(b"")
    given = tuple(a.replace("DATA", str(data)) for a in arguments)
    assert evaluate(*given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
