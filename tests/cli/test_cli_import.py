"""`edgeseg models import` and `pull`, from the command line to a model that runs by name."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeseg import pull
from edgeseg.cli import main
from edgeseg.cli.checkpoints import ARCHITECTURES
from edgeseg.pull import Published

torch = pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")
pytest.importorskip("onnx", reason="export needs the [train] extra (onnx)")


def models(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["models", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A portrait SINet as somebody's training left it."""
    from edgeseg.models.sinet import SINet

    torch.manual_seed(0)
    path = tmp_path / "served" / "SINet.pth"
    path.parent.mkdir()
    state = SINet().state_dict()
    state["encoder.level1.conv.weight"] *= 300.0  # untrained it hardly sees its tiny inputs
    torch.save(state, path)
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def official(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """`sinet` of the table of what can be pulled, served on loopback."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(checkpoint.parent))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    content = checkpoint.read_bytes()
    entry = Published(
        name="sinet",
        arch="sinet",
        url=f"http://127.0.0.1:{server.server_address[1]}/SINet.pth",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        about="made up",
    )
    monkeypatch.setitem(pull.PUBLISHED, "sinet", entry)
    yield entry
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "edgeseg" / "models"


def test_the_help_names_every_architecture() -> None:
    from edgeseg.models import importing

    assert set(ARCHITECTURES.split(", ")) == set(importing.ARCHITECTURES)


def test_import_writes_a_model_that_check_accepts(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "models"
    options = ["--arch", "sinet", "--size", "64x96", "--name", "mine", "-o", str(folder)]
    assert models("import", str(checkpoint), *options) == 0
    out, err = capsys.readouterr()
    path = folder / "mine.onnx"
    assert out == ""
    assert f"{path}: SINet for portraits, official weights, 64x96, 2 classes, 0." in err
    assert err.splitlines()[-1] == f"try it: edgeseg run 0 --model {path}"
    assert models("check", str(path)) == 0
    capsys.readouterr()
    assert models("import", str(checkpoint), *options) == 2
    assert f"edgeseg: {path}: exists already; give --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arch", "sinet", "--size", "big"], "--size: expected WIDTHxHEIGHT such as 256x144"),
        (["--arch", "sinet", "--size", "90x90"], "--size 90x90: sinet takes multiples of 32"),
        (["--arch", "yolact"], "unknown --arch 'yolact'; did you mean 'yolact-resnet"),
        (["--arch", "icnet-resnet50"], "; it is a checkpoint for --arch sinet"),
        ([], "Missing option '--arch'"),
    ],
)
def test_import_refuses_in_one_line(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert models("import", str(checkpoint), "-o", str(tmp_path / "out"), *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_pull_makes_a_model_that_runs_by_name(
    official: Published, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models("pull", "sinet", "--size", "64x64") == 0
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == "try it: edgeseg run 0 --model sinet"
    assert sorted(p.name for p in home.iterdir()) == ["sinet.onnx", "sinet.yaml"]
    assert models("show", "sinet") == 0
    assert official.sha256 in capsys.readouterr().out
    assert models("list") == 0
    listed = capsys.readouterr().out
    assert any(line.split()[:2] == ["sinet", "portrait"] for line in listed.splitlines())

    before = (home / "sinet.onnx").stat().st_mtime_ns
    assert models("pull", "sinet") == 0
    assert "sinet.onnx is there already; --overwrite makes it again" in capsys.readouterr().err
    assert (home / "sinet.onnx").stat().st_mtime_ns == before
    assert models("pull", "sinet", "--size", "64x64", "--overwrite") == 0
    assert (home / "sinet.onnx").stat().st_mtime_ns > before


def test_pull_refuses_a_wrong_hash_and_leaves_nothing(
    official: Published,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dataclasses import replace

    monkeypatch.setitem(pull.PUBLISHED, "sinet", replace(official, sha256="0" * 64))
    assert models("pull", "sinet") == 3
    err = capsys.readouterr().err
    assert f"sha256 is {official.sha256}, expected {'0' * 64}" in err
    assert len(err.splitlines()) == 1
    assert list(home.iterdir()) == []


def test_pull_says_what_the_server_says(
    official: Published, checkpoint: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.unlink()
    assert models("pull", "sinet") == 3
    err = capsys.readouterr().err
    assert err == f"edgeseg: {official.url}: the server says 404 File not found\n"


def test_pull_keeps_a_model_of_that_name_from_elsewhere(
    official: Published, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir(parents=True)
    (home / "sinet.onnx").write_bytes(b"mine")
    assert models("pull", "sinet") == 2
    assert "sinet.onnx: exists already; give --overwrite" in capsys.readouterr().err
    assert (home / "sinet.onnx").read_bytes() == b"mine"


def test_pull_without_a_name_and_with_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert models("pull") == 2
    assert "`edgeseg models pull --list` shows what there is" in capsys.readouterr().err
    assert models("pull", "sinet-city") == 2
    assert "did you mean 'sinet-cityscapes'?" in capsys.readouterr().err


def test_pull_list_shows_terms_and_what_is_there(
    official: Published, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models("pull", "--list") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "sinet-cityscapes" in out
    assert "non-commercial use only" in out


def test_without_pytorch_the_extra_is_named(tmp_path: Path) -> None:
    """In a process where torch is not to be found, as in an installation without [train]."""
    code = (
        "import sys;"
        "from importlib import util;"
        "real = util.find_spec;"
        "util.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a);"
        "from edgeseg.cli import main;"
        "main(['models', *sys.argv[1:]])"
    )
    for arguments in (
        ["import", "x.pth", "--arch", "sinet", "-o", str(tmp_path)],
        ["pull", "sinet"],
    ):
        run = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 2
        assert run.stderr == (
            "edgeseg: importing a checkpoint needs torch, not installed here; install edgeseg "
            "with its [train] extra: pip install 'edgeseg[train]'\n"
        )


def test_the_commands_are_there_without_loading_pytorch() -> None:
    code = (
        "import sys, edgeseg.cli.app;"
        "heavy = {'torch', 'onnx'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
