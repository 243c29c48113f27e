"""``edgeseg run`` as a user types it: real files, the shipped network, every error one line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edgeseg import __version__
from edgeseg.cli import main

SCENE = "synthetic://portrait?size=320x180&fps=30&frames=12&seed=1"
FAST = ["--set", "model.threads=1", "--set", "model.workers=2", "--no-window"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["run", *arguments])
    code = left.value.code
    assert isinstance(code, int)
    return code


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Runs, expects exactly one line on stderr and nothing on stdout; returns code and line."""
    code = run(*arguments)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert lines[0].startswith("edgeseg: ")
    return code, lines[0]


def decode(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def stamps(path: Path) -> list[Fraction]:
    times = []
    for frame in decode(path):
        assert frame.pts is not None
        assert frame.time_base is not None
        times.append(frame.pts * frame.time_base)
    return times


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    assert run(SCENE, "--effect", "none", "-o", str(path), *FAST, "-q") == 0
    return path


def test_a_file_comes_back_whole_with_its_timestamps(clip: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out.mp4", tmp_path / "r.json"
    assert run(str(clip), "-e", "blur", "-o", str(out), "--report", str(report), *FAST) == 0
    assert len(stamps(out)) == 12
    assert stamps(out) == stamps(clip)
    made = json.loads(report.read_text())
    assert made["ended"] == "done"
    assert made["edgeseg"] == __version__
    assert made["frames"]["written"] == made["frames"]["captured"] == 12
    assert made["model"]["name"] == "portrait"
    assert len(made["model"]["sha256"]) == 64
    assert made["config"]["effect"]["name"] == "blur"
    assert made["workers"] == 2


def test_the_summary_says_what_was_measured(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert run(str(clip), "-o", str(out), *FAST) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "12 of 12 frames" in printed.err
    assert re.search(r"CPU-ms by stage: decode \d.*, other threads \d", printed.err)
    assert f"wrote {out}" in printed.err


def test_several_sinks_at_once(clip: Path, tmp_path: Path) -> None:
    sinks = [tmp_path / "a.mkv", tmp_path / "p_%06d.png", f"masks:{tmp_path / 'labels'}/"]
    options = [part for sink in sinks for part in ("-o", str(sink))]
    assert run(str(clip), "-e", "overlay", *options, *FAST, "-q") == 0
    assert len(decode(tmp_path / "a.mkv")) == 12
    assert len(list(tmp_path.glob("p_*.png"))) == 12
    labels = sorted((tmp_path / "labels").glob("*.png"))
    assert len(labels) == 12
    first = cv2.imread(str(labels[0]), cv2.IMREAD_UNCHANGED)
    assert first is not None
    assert set(np.unique(first)) <= {0, 1}


def test_a_name_the_system_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 300 + ".mp4"
    code, line = fails(capsys, SCENE, "-o", name, "--no-window", "-q")
    assert (code, line) == (2, f"edgeseg: {name}: File name too long")


def test_a_window_asked_for_and_forbidden(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = fails(capsys, SCENE, "-o", "window://", "--no-window")
    assert code == 2
    assert "window:// is asked for, and no window (--no-window): leave one out" in line


def test_outputs_that_clash_are_refused_before_anything_is_touched(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = clip.read_bytes(), str(tmp_path / "out.mp4")
    over = ["--overwrite", "--no-window"]
    for options, message in (
        (["--report", str(clip), "-o", out], "this run reads that file"),
        (["-o", out, "--report", out], "writes the same files"),
        (["-o", out, "-o", out], "writes the same files"),
        (["-e", f"side-by-side=replace={clip}", "-o", str(clip)], "this run reads that file"),
    ):
        code, line = fails(capsys, str(clip), *options, *over)
        assert (code, message in line) == (2, True), line
    assert clip.read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_a_folder_of_images_becomes_a_folder_of_images(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(3):
        cv2.imwrite(str(source / f"f{number}.png"), np.full((67, 101, 3), 60 * number, np.uint8))
    target = tmp_path / "out"
    target.mkdir()
    assert run(str(source), "-e", "color=#00ff00", "-o", f"{target}/", *FAST, "-q") == 0
    pictures = sorted(target.glob("*.png"))
    assert len(pictures) == 3
    picture = cv2.imread(str(pictures[0]))
    assert picture is not None
    assert picture.shape == (67, 101, 3)
    assert picture[..., 1].min() > 230, "nobody there: all of it is covered"


def test_a_configuration_file_and_set(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"source: {{uri: {clip}}}\noutput: {{sinks: [out.mp4], crf: 30}}\n")
    report = tmp_path / "r.json"
    code = run("-c", str(path), "--set", "output.crf=35", "--report", str(report), *FAST, "-q")
    assert code == 0
    assert len(decode(tmp_path / "out.mp4")) == 12
    assert json.loads(report.read_text())["config"]["output"]["crf"] == 35


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing_here.mp4"], "nothing_here.mp4"),
        ([SCENE, "--model", "portrat"], "did you mean 'portrait'"),
        ([SCENE, "--effect", "blurr"], "did you mean 'blur'"),
        ([SCENE, "--effect", "replace=none.jpg"], "none.jpg"),
        ([SCENE, "-o", "out.mp5"], "out.mp5"),
        ([SCENE, "--set", "output.cfr=3"], "output.cfr: unknown key; did you mean 'crf'"),
        ([SCENE, "--set", "nonsense"], "expected KEY=VALUE"),
        ([SCENE, "--config", "portrait_webcan"], "did you mean 'portrait_webcam'"),
        ([SCENE, "--modle", "x"], "--modle"),
        (["synthetic://portrat"], "did you mean 'portrait'"),
        ([SCENE, "--report", "/"], "report /: is a folder"),
        (["camera://0"], "camera://0"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = fails(capsys, *arguments, *FAST)
    assert message in line
    assert code == 2


def test_an_existing_output_is_not_overwritten(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    code, line = fails(capsys, str(clip), "-o", str(out), *FAST)
    assert code == 2
    assert "--overwrite" in line
    assert out.read_bytes() == b"precious"
    assert run(str(clip), "-o", str(out), "--overwrite", *FAST, "-q") == 0
    assert len(decode(out)) == 12


def test_no_display_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "linux":
        pytest.skip("a display is always there")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, line = fails(capsys, SCENE)
    assert code == 2
    assert "--no-window" in line


def test_a_failing_source_ends_with_3_and_keeps_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "out.mp4", tmp_path / "r.json"
    arguments = [f"{SCENE}&fail=7", "-o", str(out), "--report", str(report), *FAST, "-q"]
    code, line = fails(capsys, *arguments)
    assert code == 3
    assert len(decode(out)) == 7
    made = json.loads(report.read_text())
    assert made["frames"]["written"] == 7
    assert made["ended"] in line


def test_live_sources_drop_and_say_so(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    live = "synthetic://portrait?size=160x90&fps=400&frames=80&paced=1"
    assert run(live, "-o", "null://", "--report", str(report), *FAST, "-q") == 0
    made = json.loads(report.read_text())
    frames = made["frames"]
    assert frames["captured"] == 80 == frames["written"] + frames["dropped"]
    assert made["source"]["live"]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_finalises_the_output_and_exits_130(tmp_path: Path, how: str) -> None:
    out = tmp_path / "out.mp4"
    endless = "synthetic://portrait?size=160x90&fps=50&paced=1"
    command = [sys.executable, "-m", "edgeseg", "run", endless, "-o", str(out), *FAST]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not (out.exists() and out.stat().st_size > 5000):
            time.sleep(0.1)
        for _ in range(2):  # at once, as timeout(1) does
            process.send_signal(getattr(signal, how))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("edgeseg: interrupted")
    assert len(decode(out)) > 5


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_while_connecting_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(40)
        uri = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "edgeseg", "run", uri, *FAST]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            peer, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        peer.close()
    assert (process.returncode, err) == (130, "edgeseg: interrupted\n")


def test_version_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


def test_an_unknown_command_has_a_near_match(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["rnu", "0"])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "rnu" in err
    assert "run" in err


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="portrat"):
        main(["--debug", "run", SCENE, "--model", "portrat", *FAST])
