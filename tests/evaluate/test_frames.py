"""Frames of folders and videos, and the flicker of a model's masks on them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import SIZE, tiny_model
from tiny_tasks import colors_model

from edgeseg.assemble import make_sink
from edgeseg.backends import open_backend
from edgeseg.config import RunConfig
from edgeseg.errors import ConfigError, SourceNotFound
from edgeseg.evaluate.frames import first_frames, pictures_of, spread_frames
from edgeseg.evaluate.steadiness import clip_flicker
from edgeseg.model_file import load_model
from edgeseg.ops.planes import from_bgr
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import Frame, OutputInfo, Rendered, Size, SourceInfo

FRAMES = 12


def write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((24, 32, 3), level, np.uint8))


def luma(frame: Frame) -> int:
    return int(frame.planes.y[5, 5])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frame n has luma 16 + 16 n."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    sink = make_sink(str(path), RunConfig())
    info = SourceInfo("list", Size(64, 48), Fraction(25), FRAMES, live=False)
    sink.open(OutputInfo(info, Size(64, 48)))
    for n in range(FRAMES):
        frame = level_frame(n, 16 + 16 * n)
        sink.write(Rendered(frame.planes, frame, None))
    sink.close()
    return path


def level_frame(index: int, level: int) -> Frame:
    planes = from_bgr(np.zeros((48, 64, 3), np.uint8))
    planes.y[...] = level
    return Frame(planes, index, 0.0, pts=Fraction(index, 25))


def test_pictures_are_spread_over_a_folder(tmp_path: Path) -> None:
    for n in range(10):
        write(tmp_path / f"{n}.png", n * 20)
    names = [frame.name for frame in spread_frames(tmp_path, 4)]
    assert names == ["0.png", "2.png", "5.png", "7.png"]
    assert len(spread_frames(tmp_path, 99)) == 10


def test_labels_beside_pictures_are_no_pictures(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / split / "images" / "a.png", 9)
        write(tmp_path / split / "labels" / "a.png", 1)
    assert [p.parent.name for p in pictures_of(tmp_path)] == ["images"] * 2
    assert len(pictures_of(tmp_path / "val")) == 1


def test_frames_are_spread_over_a_video(clip: Path) -> None:
    frames = spread_frames(clip, 4)
    assert [frame.index for frame in frames] == [0, 3, 6, 9]
    assert [luma(frame) for frame in frames] == pytest.approx([16, 64, 112, 160], abs=2)


def test_the_first_frames_are_consecutive(clip: Path) -> None:
    assert [frame.index for frame in first_frames(clip, 5)] == [0, 1, 2, 3, 4]
    assert len(first_frames(clip, 99)) == FRAMES


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pictures in this folder"):
        spread_frames(tmp_path, 4)
    with pytest.raises(ConfigError, match="a folder; flicker needs the consecutive frames"):
        first_frames(tmp_path, 4)
    with pytest.raises(SourceNotFound, match="no such file"):
        first_frames(tmp_path / "none.mp4", 4)


def test_flicker_of_a_model_on_frames(tmp_path: Path) -> None:
    """A person in every second of the frames is all flicker, one in all of them none."""
    model = load_model(tiny_model(tmp_path / "net.onnx"))
    segmenter = NetworkSegmenter(model.spec, open_backend(model))
    assert clip_flicker(segmenter, [level_frame(n, 235) for n in range(4)]) == 0.0
    blinking = [level_frame(n, 235 if n % 2 else 16) for n in range(4)]
    assert clip_flicker(segmenter, blinking) == 1.0
    assert math.isnan(clip_flicker(segmenter, blinking[:1]))


def test_every_class_of_a_scene_counts(tmp_path: Path) -> None:
    """All of the picture changes from class 0 to another: of a scene that is no background."""
    model = load_model(colors_model(tmp_path / "net.onnx", size=SIZE))
    segmenter = NetworkSegmenter(model.spec, open_backend(model))
    red, blue = np.zeros((2, 48, 64, 3), np.uint8)
    red[..., 2], blue[..., 0] = 255, 255
    frames = [Frame(from_bgr(p), n, 0.0) for n, p in enumerate((red, red, blue))]
    assert clip_flicker(segmenter, frames) == pytest.approx((0 + 1) / 2)
