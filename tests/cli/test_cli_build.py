"""``edgeseg build``: what it refuses, one line each, before anything takes long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import SIZE, tiny_model
from tiny_tasks import colors_model

from edgeseg.backends.gpu_choice import has_gpu
from edgeseg.builder import target
from edgeseg.cli import main
from edgeseg.model_file import load_model
from edgeseg.spec import Build


def build(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["build", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, labelled pictures, an empty folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    tiny_model(tmp_path / "net.onnx")
    colors_model(tmp_path / "scenes.onnx", size=SIZE)
    build_of = Build(variant="int8", source_sha256=load_model(tmp_path / "net.onnx").sha256)
    tiny_model(tmp_path / "small.onnx", precision="int8", build=build_of)
    for kind, high in (("images", 255), ("masks", 1)):
        (tmp_path / "people" / kind).mkdir(parents=True)
        pixels = np.zeros((24, 32), np.uint8)
        pixels[:, :16] = high
        assert cv2.imwrite(str(tmp_path / "people" / kind / "a.png"), pixels)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.onnx").write_bytes(b"x")
    (tmp_path / "text.mp4").write_text("no video")
    return tmp_path


INT8 = ("-m", "net.onnx", "--precision", "int8")
FP16 = ("-m", "net.onnx", "--precision", "fp16")
SEEN = (*INT8, "--calibration", "people")
WRONG = {
    ("-m", "net.onnx"): "Missing option '--precision'",
    (*INT8, "--precision", "int9"): "--precision int9: expected one of fp32, fp16, int8; did you",
    (*INT8, "--backend", "tensort"): "did you mean 'tensorrt'?",
    (*INT8, "--method", "median"): "--method median: expected one of percentile, entropy, minmax",
    (*INT8, "--max-drop", "-1"): "--max-drop -1: expected points from 0 to 100",
    (*INT8, "--max-drop", "nan"): "--max-drop nan: expected points from 0 to 100",
    (*INT8, "--images", "0"): "--images 0: expected 1 to",
    (*INT8, "--seed", "-1"): "--seed -1: expected 0 or more",
    (*INT8, "--dla", "0"): "--dla 0: a DLA core is driven by TensorRT only; add --backend tensorrt",
    (*INT8, "--dla", "0", "--backend", "tensorrt"): "a DLA core runs FP16 here, not int8",
    (*INT8, "--backend", "onnxruntime-cuda"): "has no INT8 convolutions; use --precision fp16",
    (*INT8, "--split", "val"): "--split: needs labelled pictures; give --data DIR",
    (*INT8, "--void", "car"): "--void: needs labelled pictures; give --data DIR",
    (*FP16, "--keep-float", "Conv_1"): "--keep-float: is for --precision int8, not fp16",
    (*INT8, "-o", "out.bin"): "-o out.bin: expected a file name ending in .onnx",
    (*SEEN, "-o", "there.onnx"): "-o there.onnx: exists; pass --overwrite to replace it",
    (*SEEN, "-o", "no/out.onnx"): "no folder no; create it first",
    (*SEEN, "-o", "net.onnx", "--overwrite"): "is the FP32 model itself",
    (*INT8, "-o", "a.onnx", "--backend", "tensorrt"): "is not one ONNX file; leave -o out",
    (*INT8, "--json", "no/r.json"): "no folder no; create it first",
    (*SEEN, "-o", "a.onnx", "--json", "a.onnx"): "--json a.onnx: is the model file a.onnx; name",
    (*SEEN, "--json", "net.onnx", "--overwrite"): "--json net.onnx: is the model file ",
    (*SEEN, "--data", "nowhere"): "nowhere: no such folder",
    (*SEEN, "--data", "empty"): "empty",
    (*SEEN, "--data", "people", "--split", "val"): "no split 'val'",
    (*SEEN, "--clip", "people"): "people: a folder; flicker needs the consecutive frames",
    (*SEEN, "--clip", "no.mp4"): "no.mp4: no such file",
    (*SEEN, "-m", "scenes.onnx", "--data", "people"): "person masks (0, 1, 255)",
    ("-m", "small.onnx", "--precision", "int8"): "small.onnx: is INT8 already; name the FP32 model",
    ("-m", "portrat", "--precision", "int8"): "unknown model 'portrat'; did you mean 'portrait'?",
    INT8: "--precision int8: needs pictures like those the model is for",
    (*INT8, "--calibration", "empty"): "empty",
    (*INT8, "--calibration", "nowhere"): "nowhere",
    (*INT8, "--calibration", "text.mp4"): "text.mp4",
    (*INT8, "--calibration", "people"): "one picture; without --data some are held out",
}  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_line_and_exit_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert build(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert WRONG[arguments] in err
    assert len(err.splitlines()) == 1, err
    assert (folder / "there.onnx").read_bytes() == b"x"
    assert not list(folder.glob("**/*.int8*"))


def test_fp32_on_a_cpu_is_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("-m", "net.onnx", "--precision", "fp32", "--backend", "onnxruntime") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "tiny: FP32 on onnxruntime runs net.onnx as it is: nothing to build\n"


def test_without_the_onnx_package_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    assert build(*INT8, "--calibration", "people") == 2
    assert "pip install 'edgeseg[build]'" in capsys.readouterr().err


def test_a_builds_folder_that_cannot_be_made_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "text.mp4"))
    assert build(*INT8, "--calibration", "people") == 2
    err = capsys.readouterr().err
    assert "cannot be written: Not a directory" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt"])
def test_without_a_gpu_nothing_is_made_for_one(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    backend: str,
) -> None:
    if has_gpu():
        pytest.skip("a GPU is here")
    assert build(*INT8, "--calibration", "people", "--backend", backend) == 2
    err = capsys.readouterr().err
    assert "NVIDIA" in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_build_that_is_told_to_end_leaves_nothing(folder: Path, tmp_path: Path, how: str) -> None:
    tiny_model(tmp_path / "net.onnx")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    given = ["-p", "int8", "-m", str(tmp_path / "net.onnx"), "--calibration", str(folder)]
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        [sys.executable, "-m", "edgeseg", "build", *given],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **places},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not list((tmp_path / "tmp").glob("edgeseg-build-*")):
            time.sleep(0.01)
        for _ in range(1 if how == "SIGINT" else 2):  # at once, as timeout(1) does
            process.send_signal(getattr(signal, how))
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err.splitlines()[-1:]) == (130, ["edgeseg: interrupted"]), err
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "home").rglob("builds"))
