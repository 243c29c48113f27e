"""Which pictures calibrate, in which order, and what is said where there are none."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_nets import drawn_folder, scene_spec

from edgeseg.errors import ConfigError
from edgeseg.ops.image import network_input
from edgeseg.ops.planes import from_bgr
from edgeseg.precision.calibrate import calibration_inputs
from edgeseg.precision.pictures import find_pictures
from edgeseg.spec import InputSpec
from edgeseg.types import Frame, Size


def names(source: Path, count: int, seed: int = 0) -> list[str]:
    return [path.name for path in find_pictures(source, count=count, seed=seed).files]


def video(path: Path, frames: int) -> Path:
    """A video in which frame n has brightness 4 n."""
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(filename=str(path), fourcc=fourcc, fps=10, frameSize=(64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 4 * number, np.uint8))
    writer.release()
    return path


def test_the_first_pictures_are_the_same_for_a_larger_count(tmp_path: Path) -> None:
    folder = drawn_folder(tmp_path / "p", 20)
    assert names(folder, 5) == names(folder, 12)[:5]
    assert len(set(names(folder, 12))) == 12
    assert sorted(names(folder, 99)) == [f"{n:03d}.png" for n in range(20)]
    assert names(folder, 12, seed=1) != names(folder, 12)


def test_sub_folders_are_searched(tmp_path: Path) -> None:
    drawn_folder(tmp_path / "p" / "a", 2)
    drawn_folder(tmp_path / "p" / "b" / "c", 3)
    (tmp_path / "p" / "notes.txt").write_text("no picture")
    (tmp_path / "p" / ".hidden.png").write_bytes(b"no picture")
    assert len(names(tmp_path / "p", 99)) == 5


def test_labels_beside_images_are_no_pictures(tmp_path: Path) -> None:
    for split in ("train", "val"):
        drawn_folder(tmp_path / "data" / split / "images", 2)
        drawn_folder(tmp_path / "data" / split / "labels", 2)
    for source in (tmp_path / "data", tmp_path / "data" / "train"):
        found = find_pictures(source, count=99, seed=0).files
        assert {path.parent.name for path in found} == {"images"}
        assert len(found) == 2 * (2 if source.name == "data" else 1)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_the_network_gets_what_it_gets_when_it_runs(tmp_path: Path, layout: str) -> None:
    spec = scene_spec(
        input=InputSpec.model_validate(
            {
                "name": "image",
                "size": "40x40",
                "layout": layout,
                "dtype": "float32",
                "fit": "letterbox",
                "mean": (120, 110, 100),
                "std": (50, 60, 70),
            }
        )
    )
    folder = drawn_folder(tmp_path / "p", 3, size=Size(60, 33))
    paths = find_pictures(folder, count=3, seed=4).files
    inputs = calibration_inputs(spec, folder, count=3, seed=4)
    for path, tensor in zip(paths, inputs, strict=True):
        bgr = cv2.imread(filename=str(path))
        assert bgr is not None
        expected, _ = network_input(Frame(from_bgr(bgr), 0, 0.0), spec.input)
        np.testing.assert_array_equal(tensor, expected)
        assert tensor.shape == spec.input.shape


def test_frames_of_a_video_are_spread_over_its_length(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 60)
    few, many = (find_pictures(path, count=n, seed=0).positions for n in (6, 24))
    assert few is not None
    assert many is not None
    assert many[:6] == few, "the first ones are the same for a larger count"
    assert len(set(many)) == 24
    assert np.diff(sorted(many)).max() <= 6, "no long stretch is left out"
    assert find_pictures(path, count=6, seed=1).positions != few


def test_frames_of_a_video_are_those_asked_for(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 30)
    positions = find_pictures(path, count=8, seed=0).positions
    assert positions is not None
    inputs = calibration_inputs(scene_spec(), path, count=8)
    levels = [float(tensor.mean()) for tensor in inputs]
    np.testing.assert_allclose(levels, [4 * n for n in positions], atol=3)


def test_a_short_video_gives_all_its_frames(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 5)
    assert sorted(find_pictures(path, count=99, seed=0).positions or ()) == [0, 1, 2, 3, 4]


def test_unreadable_pictures_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = drawn_folder(tmp_path / "p", 3)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (folder / "empty.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert len(calibration_inputs(scene_spec(), folder, count=9)) == 3
    assert "broken.jpg: not a readable picture" in caplog.text
    assert "empty.png: not a readable picture" in caplog.text


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such folder or video to calibrate with"):
        calibration_inputs(scene_spec(), tmp_path / "nowhere")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty: no pictures to calibrate with .*100 to 500"):
        calibration_inputs(scene_spec(), tmp_path / "empty")


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"none of its 1 pictures can be read; .* a\.png"):
        calibration_inputs(scene_spec(), tmp_path / "p")


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    with pytest.raises(ConfigError, match=r"v\.mp4: not a video that OpenCV can read"):
        calibration_inputs(scene_spec(), tmp_path / "v.mp4")


def test_no_picture_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one picture, got a count of 0"):
        calibration_inputs(scene_spec(), drawn_folder(tmp_path / "p", 1), count=0)


def test_a_video_is_recognised_anew_when_it_changes(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 20)
    before = find_pictures(path, count=4, seed=0).fingerprint
    assert find_pictures(path, count=4, seed=0).fingerprint == before
    video(path, 21)
    assert find_pictures(path, count=4, seed=0).fingerprint != before
