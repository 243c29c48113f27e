from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from sink_helpers import SIZE, half_matte, output_info, rendered, source_info, write_all

from edgeseg.errors import SinkRefused
from edgeseg.ops.labels import label_map
from edgeseg.types import U8, Frame, Geometry, Matte, Rect, Rendered, Size
from edgeseg.video.masks_sink import MasksSink


def read(path: Path) -> U8:
    image: U8 | None = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.dtype == np.uint8
    return image


def disc(size: Size, low: Size) -> tuple[Matte, U8]:
    """A soft disc at low resolution and the same disc drawn at frame size."""

    def distance(width: int, height: int) -> np.ndarray:
        x = (np.arange(width) + 0.5) / width * size.width - size.width * 0.55
        y = (np.arange(height) + 0.5) / height * size.height - size.height * 0.45
        return np.hypot(x[None], y[:, None])

    radius = min(size) * 0.3
    soft = np.clip(0.5 + (radius - distance(*low)) / 20, 0, 1).astype(np.float32)
    geometry = Geometry(size, low, Rect(0, 0, *low))
    return Matte(soft, geometry), (distance(*size) <= radius).astype(np.uint8)


@pytest.mark.parametrize("size", [Size(320, 180), Size(101, 67), Size(67, 301)])
def test_labels_follow_the_matte_at_frame_size(size: Size) -> None:
    matte, want = disc(size, Size(64, 64))
    got = label_map(matte)
    assert got.shape == (size.height, size.width)
    assert got.dtype == np.uint8
    assert set(np.unique(got)) == {0, 1}
    assert (got != want).mean() < 0.01


def test_threshold_itself_is_person() -> None:
    person = np.array([[0.25, 0.5, 0.75]], np.float32)
    geometry = Geometry(Size(3, 1), Size(3, 1), Rect(0, 0, 3, 1))
    assert label_map(Matte(person, geometry)).tolist() == [[0, 1, 1]]
    assert label_map(Matte(person, geometry, threshold=0.75)).tolist() == [[0, 0, 1]]


def test_nobody_present_is_all_background() -> None:
    assert label_map(half_matte(Size(33, 21), present=False)).any() == np.False_


@pytest.mark.parametrize("size", [SIZE, Size(101, 67), Size(1, 1)])
def test_pictures_of_class_numbers(tmp_path: Path, size: Size) -> None:
    item = rendered(12, size=size)
    write_all(MasksSink(f"{tmp_path}/labels/"), output_info(source_info(size)), [item])
    labels = read(tmp_path / "labels" / "000012.png")
    assert labels.shape == (size.height, size.width)
    assert item.result is not None
    np.testing.assert_array_equal(labels, label_map(item.result))
    if size == SIZE:
        assert labels[:, :31].min() == 1
        assert labels[:, 33:].max() == 0


def test_labels_have_the_frames_size_not_the_pictures(tmp_path: Path) -> None:
    item = rendered(0)
    wide = rendered(0, size=Size(128, 48)).picture
    write_all(MasksSink(f"{tmp_path}/"), output_info(), [Rendered(wide, item.frame, item.result)])
    assert read(tmp_path / "000000.png").shape == (48, 64)


def test_the_list_of_frames_gives_their_times(tmp_path: Path) -> None:
    ntsc = Fraction(1001, 30_000)
    items = [rendered(i, pts=i * ntsc) for i in (0, 1, 5)]
    sink = MasksSink(str(tmp_path / "labels"))
    sink.open(output_info())
    for item in items:
        sink.write(item)
    lines = (tmp_path / "labels/frames.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert rows[2] == {
        "index": "5", "file": "000005.png", "pts": "1001/6000", "seconds": "0.166833",
        "source": "",
    }  # fmt: skip
    assert [Fraction(row["pts"]) for row in rows] == [item.frame.pts for item in items]
    assert all((tmp_path / "labels" / row["file"]).is_file() for row in rows)
    sink.close()


def test_no_result_and_no_time(tmp_path: Path) -> None:
    frame = Frame(rendered(0).picture, 0, 0.0)
    write_all(MasksSink(f"{tmp_path}/"), output_info(), [Rendered(frame.planes, frame, None)])
    assert not read(tmp_path / "000000.png").any()
    assert (tmp_path / "frames.csv").read_text().splitlines()[1] == "0,000000.png,,,"


def test_the_list_names_the_pictures(tmp_path: Path) -> None:
    frame = Frame(rendered(0).picture, 0, 0.0, name='trip/a, "b".jpg')
    write_all(MasksSink(f"{tmp_path}/"), output_info(), [Rendered(frame.planes, frame, None)])
    rows = list(csv.DictReader((tmp_path / "frames.csv").read_text().splitlines()))
    assert [row["source"] for row in rows] == ['trip/a, "b".jpg']


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(SinkRefused, match="expected a folder, such as masks:labels/"):
        MasksSink(f"{tmp_path}/out.png")
    with pytest.raises(SinkRefused, match="make it first: mkdir -p"):
        MasksSink(f"{tmp_path}/a/b/").open(output_info())
    write_all(MasksSink(f"{tmp_path}/"), output_info(), [rendered(0)])
    with pytest.raises(SinkRefused, match=r"000000\.png exists already"):
        MasksSink(f"{tmp_path}/").open(output_info())
    (tmp_path / "000000.png").unlink()
    with pytest.raises(SinkRefused, match=r"frames\.csv exists already; add --overwrite"):
        MasksSink(f"{tmp_path}/").open(output_info())
    write_all(MasksSink(f"{tmp_path}/"), output_info(overwrite=True), [rendered(1)])
    assert len((tmp_path / "frames.csv").read_text().splitlines()) == 2


def test_its_name_is_the_one_it_was_asked_for_by() -> None:
    assert MasksSink("labels/").uri == MasksSink("masks:labels/").uri == "masks:labels/"
