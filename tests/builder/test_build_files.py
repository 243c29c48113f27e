"""Where files go: whole or not at all, and what was there before comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_onnx import tiny_model

from edgeseg.builder.files import Kept, place_for, staging, write_file
from edgeseg.builder.options import BuildOptions
from edgeseg.errors import ConfigError, SinkRefused
from edgeseg.model_file import ModelFile, builds_of, load_model

FULL = Path("/dev/full")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return load_model(tiny_model(tmp_path / "net.onnx"))


def options(output: Path | None = None, *, overwrite: bool = False) -> BuildOptions:
    return BuildOptions("int8", output=output, overwrite=overwrite)


def test_without_a_name_files_go_to_this_machines_builds(model: ModelFile) -> None:
    place = place_for(model, "int8", options())
    assert place.name == "net.int8.onnx"
    assert place.parent == builds_of(model)
    assert place.parent.is_dir()
    assert not list(place.parent.iterdir()), "trying to write leaves nothing"


def test_a_named_file_is_replaced_only_when_told(model: ModelFile, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert place_for(model, "int8", options(out)) == out
    out.write_bytes(b"old")
    with pytest.raises(ConfigError, match=r"out\.onnx: exists; pass --overwrite"):
        place_for(model, "int8", options(out))
    assert place_for(model, "int8", options(out, overwrite=True)) == out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/out.onnx", "no folder .*no; create it first"),
        (".", "is a folder; name a file such as"),
        ("net.onnx", "is the FP32 model itself"),
    ],
)
def test_places_that_cannot_be(model: ModelFile, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place_for(model, "int8", options(tmp_path / name, overwrite=True))


def test_a_folder_that_cannot_be_made_is_one_line(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(SinkRefused, match="cannot be written: Not a directory; free some space"):
        place_for(model, "int8", options())


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A file system of 64 KiB, in a namespace of its own; the old file and nothing else stays."""
    code = (
        "import sys; from pathlib import Path; from edgeseg.builder.files import write_file\n"
        "from edgeseg.errors import SinkRefused\n"
        "path = Path(sys.argv[1]) / 'net.onnx'; write_file(path, b'old')\n"
        "try: write_file(path, bytes(1 << 20))\n"
        "except SinkRefused as error: print(error)\n"
        "print(path.read_bytes(), [p.name for p in path.parent.iterdir()])\n"
    )
    mount = f"mount -t tmpfs -o size=64k none {tmp_path} && exec {sys.executable} -c "
    run = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", f'{mount} "$0" {tmp_path}', code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    if "No space left" not in run.stdout:
        pytest.skip(f"no file system of our own here: {run.stderr.strip()[-200:]}")
    said, after = run.stdout.splitlines()
    assert "net.onnx: cannot be written: No space left on device; free some space" in said
    assert after == "b'old' ['net.onnx']"


def test_writing_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]
    with pytest.raises(SinkRefused, match="cannot be written: No such file or directory"):
        write_file(tmp_path / "no" / "a.onnx", b"")


def test_undoing_brings_back_what_was_there(tmp_path: Path) -> None:
    old, new = tmp_path / "old.onnx", tmp_path / "new.onnx"
    old.write_bytes(b"before")
    kept = Kept({"int8-trt": old, "int8-trt16": new})
    kept.write({"int8-trt": b"1", "int8-trt16": b"2"})
    kept.write({"int8-trt": b"3", "int8-trt16": b"4"})
    kept.undo()
    assert old.read_bytes() == b"before"
    assert not new.exists()


def test_if_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    old = tmp_path / "old.onnx"
    old.write_bytes(b"before")
    kept = Kept({"int8-trt": old, "int8-trt16": tmp_path / "no" / "new.onnx"})
    with pytest.raises(SinkRefused):
        kept.write({"int8-trt": b"1", "int8-trt16": b"2"})
    assert old.read_bytes() == b"before"


def test_what_is_staged_is_loaded_and_gone_afterwards(model: ModelFile) -> None:
    with staging() as stage:
        first = stage.load(model, "int8", model.data)
        second = stage.load(model, "int8", model.data)
        assert first.path != second.path
        assert first.path.name == "net.int8.onnx"
        assert first.sha256 == model.sha256
    assert not first.path.exists()


def test_no_room_for_files_on_trial_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(SinkRefused, match="cannot be written"), staging():
        pass
