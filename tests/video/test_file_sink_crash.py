"""What is left when the process is killed or the disk is full: a playable file."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media import SMALL, write_clip
from sink_helpers import boxes, decoded, numbers, output_info, packets, rendered, source_info

import edgeseg
from edgeseg.errors import SinkError
from edgeseg.video.file_sink import FileSink

RATE = 30
LOST_S = 3
ROOT = Path(edgeseg.__file__).parents[1]

CHILD = """
import sys, time
from fractions import Fraction
from pathlib import Path
from sink_helpers import output_info, rendered, source_info
from media import SMALL
from edgeseg.config import OutputConfig
from edgeseg.video.file_sink import FileSink
out, preset, clip = sys.argv[1], sys.argv[2], sys.argv[3]
info = source_info(SMALL, path=Path(clip) if clip else None, time_base=Fraction(1, 15360))
sink = FileSink(out, OutputConfig(preset=preset))
sink.open(output_info(info))
for i in range(100_000):
    sink.write(rendered(i, size=SMALL, pts=Fraction(i, 30)))
    print(i, flush=True)
    time.sleep(0.001)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("c") / "in.mp4", frames=400, audio=True)


def killed_run(out: Path, *, preset: str, clip: Path | None, at: int) -> None:
    """Writes frames in another process and kills it after number ``at``."""
    here = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(here)])}
    command = [sys.executable, "-c", CHILD, str(out), preset, str(clip or "")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if int(line) == at:
                    break
        finally:
            child.kill()
    assert child.returncode == -9


@pytest.mark.parametrize(
    ("suffix", "preset"),
    [(".mp4", "ultrafast"), (".mp4", "medium"), (".mov", "ultrafast"), (".mkv", "ultrafast"),
     (".webm", "ultrafast")],
)  # fmt: skip
def test_a_killed_run_leaves_a_playable_file(
    tmp_path: Path, clip: Path, suffix: str, preset: str
) -> None:
    out = tmp_path / f"out{suffix}"
    killed_run(out, preset=preset, clip=None if suffix == ".webm" else clip, at=240)
    got = numbers(out)
    assert got == list(range(len(got)))
    assert len(got) >= 240 - LOST_S * RATE
    if suffix in (".mp4", ".mov"):
        assert b"moof" in boxes(out)
    if suffix != ".webm":
        sound = packets(out)
        assert sound[-1][1] > Fraction(240, RATE) - LOST_S
        assert [data for data, _ in sound] == [data for data, _ in packets(clip)][: len(sound)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_run_killed_in_its_first_second_is_playable(
    tmp_path: Path, clip: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    killed_run(out, preset="ultrafast", clip=clip, at=28)
    got = numbers(out)
    assert got == list(range(len(got)))
    assert len(got) >= 8


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_noise(out: Path, frames: int, *, clip: Path | None = None) -> int:
    """Writes pictures that compress badly until the sink fails; returns how many it took."""
    random = np.random.default_rng(0)
    sink = FileSink(str(out))
    base = Fraction(1, 15_360)
    sink.open(output_info(source_info(SMALL, path=clip, time_base=base), overwrite=True))
    try:
        for i in range(frames):
            item = rendered(i, size=SMALL, pts=Fraction(i, RATE))
            item.picture.u[:] = random.integers(100, 156, item.picture.u.shape)
            sink.write(item)
    finally:
        taken = sink.written
        sink.close()
        sink.close()
    return taken


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_full_disk_keeps_what_fitted(tmp_path: Path, clip: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    write_noise(out, 210, clip=clip)
    whole = out.stat().st_size
    with largest_file(whole * 6 // 10), pytest.raises(SinkError) as caught:
        write_noise(out, 210, clip=clip)
    text = str(caught.value)
    assert text.startswith(f"writing {out} failed: File too large, ")
    assert "MB free there" in text
    assert "frames are kept, less about the last two seconds; free some space" in text
    assert caught.value.exit_code == 3
    got = numbers(out)
    assert got == list(range(len(got)))
    assert len(got) >= 210 * 6 // 10 - LOST_S * RATE


@pytest.mark.parametrize("missing", [2000, 200, 1])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_full_at_the_very_end(tmp_path: Path, clip: Path, suffix: str, missing: int) -> None:
    """The muxer rewrites the head of the file when it ends; without room, the head must stay."""
    out = tmp_path / f"out{suffix}"
    write_noise(out, 150, clip=clip)
    whole = out.stat().st_size
    with largest_file(whole - missing), pytest.raises(SinkError, match="File too large"):
        write_noise(out, 150, clip=clip)
    assert len(decoded(out)) >= 150 - LOST_S * RATE


def test_a_disk_full_at_once_leaves_nothing(tmp_path: Path) -> None:
    with largest_file(500), pytest.raises(SinkError, match="File too large"):
        write_noise(tmp_path / "out.mp4", 150)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk takes root on Linux")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_that_really_is_full(small_disk: Path, suffix: str) -> None:
    out = small_disk / f"out{suffix}"
    with pytest.raises(SinkError, match=r"No space left on device, 0\.\d MB free there"):
        write_noise(out, 2000)
    got = numbers(out)
    assert len(got) > 0
    assert got == list(range(len(got)))


def test_no_room_from_the_start_leaves_nothing(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(512 * 1024))
    with pytest.raises(SinkError, match="No space left"):
        write_noise(small_disk / "out.mp4", 200)
    assert [p.name for p in small_disk.iterdir()] == ["filler"]
