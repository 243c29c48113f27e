"""The demo clip: a playable video with sound, that never leaves the photograph."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np
import pytest

from edgeseg.types import Size

TOOL = Path(__file__).parents[2] / "tools" / "make_demo_clip.py"


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("make_demo_clip", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_clip_is_video_with_sound_and_exact_times(tool: ModuleType, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    tool.main([str(clip), "--seconds", "0.8", "--size", "320x180", "--fps", "30000/1001"])
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 320, 180)
        assert video.average_rate == Fraction(30000, 1001)
        frames = list(container.decode(video))
    assert [f.pts * f.time_base for f in frames] == [Fraction(k * 1001, 30000) for k in range(24)]
    with av.open(str(clip)) as container:
        sound = [f.to_ndarray() for f in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    samples = np.concatenate(sound, axis=1)
    assert abs(samples.shape[1] / rate - 0.8) < 0.1
    assert 0.001 < samples.std() < 0.2
    pictures = np.stack([f.to_ndarray(format="gray") for f in frames]).astype(int)
    assert pictures.std() > 30
    assert abs(pictures[0] - pictures[-1]).mean() > 3  # it moves


def test_the_same_command_gives_the_same_bytes(tool: ModuleType, tmp_path: Path) -> None:
    made = []
    for name in ("a.mp4", "b.mp4"):
        tool.write_clip(tmp_path / name, size=Size(160, 90), fps=Fraction(10), seconds=0.5)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("size", [Size(1280, 720), Size(640, 480), Size(720, 1280)])
def test_the_camera_stays_on_the_photograph_and_on_the_face(tool: ModuleType, size: Size) -> None:
    photo = cv2.imread(filename=str(tool.PHOTO), flags=cv2.IMREAD_COLOR)
    assert photo is not None
    assert photo.shape == (512, 512, 3)
    assert tool.PHOTO.stat().st_size <= 120_000
    for t in np.arange(0, 40, 0.31):
        shot = tool.aim(float(t), photo.shape, size)
        tilt = math.radians(shot.degrees)
        half = np.array([1, size.height / size.width]) * shot.width / 2
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        turn = np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]])
        placed = corners @ turn + (shot.x, shot.y)
        assert placed.min() >= 0
        assert placed.max() <= 512
        eyes = np.array([[200, 100], [248, 102]])
        assert (abs(eyes - (shot.x, shot.y)) < half).all()


def test_nothing_but_photograph_is_filmed(tool: ModuleType) -> None:
    white = np.full((512, 512, 3), 255, np.uint8)
    size = Size(128, 72)
    big = cv2.resize(src=white, dsize=None, fx=2, fy=2)
    for t in (0.0, 3.3, 6.1):
        assert tool.film(big, tool.aim(t, white.shape, size), size).min() == 255


@pytest.mark.parametrize(
    "arguments", [["--size", "321x180"], ["--size", "big"], ["--fps", "0"], ["--seconds", "-1"]]
)
def test_wrong_arguments_are_refused(
    tool: ModuleType, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool.main([str(tmp_path / "x.mp4"), *arguments])
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err
    assert not (tmp_path / "x.mp4").exists()
