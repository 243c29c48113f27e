"""Outputs that are refused: one line, exit code 2, nothing touched."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from sink_helpers import numbers, output_info, rendered, source_info, write_all

from edgeseg.errors import SinkRefused
from edgeseg.video.file_sink import FileSink


def refusal(path: Path | str, **info: object) -> str:
    """Opens a sink that must refuse; returns its one line."""
    source = info.pop("source", None)
    sink = FileSink(str(path))
    with pytest.raises(SinkRefused) as caught:
        sink.open(output_info(source, **info))  # type: ignore[arg-type]
    sink.close()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_existing_output(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    assert "out.mp4 exists already; add --overwrite" in refusal(out)
    assert out.read_bytes() == b"precious"


def test_overwrite_replaces_but_not_before_the_first_frame(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious" * 10_000)
    sink = FileSink(str(out))
    sink.open(output_info(overwrite=True))
    sink.close()
    assert out.read_bytes() == b"precious" * 10_000
    sink = FileSink(str(out))
    write_all(sink, output_info(overwrite=True), [rendered(5, pts=Fraction(0))])
    assert numbers(out) == [5]


def test_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    assert "exists already" in refusal(tmp_path / "out.mp4")


@pytest.mark.parametrize("how", ["same", "symlink", "hardlink", "detour"])
def test_the_input_is_never_overwritten(tmp_path: Path, how: str) -> None:
    clip, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    clip.write_bytes(b"the only copy")
    if how == "symlink":
        out.symlink_to(clip)
    elif how == "hardlink":
        os.link(clip, out)
    elif how == "detour":
        (tmp_path / "d").mkdir()
        out = tmp_path / "d" / ".." / "in.mp4"
    else:
        out = clip
    text = refusal(out, source=source_info(path=clip), overwrite=True)
    assert "is the input itself; choose another output name" in text
    assert clip.read_bytes() == b"the only copy"


def test_missing_folder(tmp_path: Path) -> None:
    out = tmp_path / "no" / "where" / "out.mp4"
    assert f"make it first: mkdir -p {out.parent}" in refusal(out)
    assert not (tmp_path / "no").exists()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file is not a folder" in refusal(tmp_path / "file" / "out.mp4")


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    assert "is a folder; for a folder of pictures write" in refusal(tmp_path / "out.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_alpha_where_it_cannot_be(tmp_path: Path, suffix: str) -> None:
    text = refusal(tmp_path / f"out{suffix}", alpha=True)
    assert f"{suffix} cannot carry transparency" in text
    for instead in ("out.mov", "out.webm", "out_%06d.png"):
        assert str(tmp_path / instead) in text
    assert list(tmp_path.iterdir()) == []


def test_unknown_container(tmp_path: Path) -> None:
    assert "expected one of .mp4, .mov, .mkv, .webm, got '.avi'" in refusal(tmp_path / "out.avi")


def test_a_size_the_encoder_does_not_take(tmp_path: Path) -> None:
    from edgeseg.types import Size

    text = refusal(tmp_path / "out.mp4", source=source_info(Size(40_000, 10)))
    assert "no 40000x10 video can be written" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work differently")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_write_protected(tmp_path: Path, what: str) -> None:
    out = tmp_path / "out.mp4"
    if what == "file":
        out.write_bytes(b"precious")
        out.chmod(0o444)
        tmp_path.chmod(0o777)
    else:
        tmp_path.chmod(0o555)
    with unprivileged(tmp_path):
        text = refusal(out, overwrite=True)
    tmp_path.chmod(0o755)
    if what == "file":
        assert f"{out} cannot be replaced (Permission denied)" in text
        assert out.read_bytes() == b"precious"
    else:
        assert f"no file can be made in {tmp_path} (Permission denied)" in text


class unprivileged:  # noqa: N801
    """Root may write everywhere; inside this it is nobody, who may pass to ``path``."""

    def __init__(self, path: Path) -> None:
        self._parents = [p for p in path.parents if p.stat().st_uid == os.geteuid() == 0]
        self._modes = [p.stat().st_mode for p in self._parents]
        self._root = os.geteuid() == 0

    def __enter__(self) -> None:
        if self._root:
            for parent, mode in zip(self._parents, self._modes, strict=True):
                if parent != Path("/"):
                    parent.chmod(mode | 0o011)
            os.seteuid(65_534)

    def __exit__(self, *_: object) -> None:
        if self._root:
            os.seteuid(0)
            for parent, mode in zip(self._parents, self._modes, strict=True):
                if parent != Path("/"):
                    parent.chmod(mode)
