"""What every sink keeps to, whatever it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
from sink_helpers import decoded, output_info, rendered, source_info

from edgeseg.errors import SinkRefused
from edgeseg.protocols import InteractiveSink, Sink
from edgeseg.types import Size
from edgeseg.video.coco_sink import CocoSink
from edgeseg.video.csv_sink import CsvSink
from edgeseg.video.file_sink import FileSink
from edgeseg.video.image_sink import ImageSequenceSink
from edgeseg.video.masks_sink import MasksSink
from edgeseg.video.null_sink import NullSink
from edgeseg.video.window import WindowSink, why_no_window

Make = Callable[[Path], Sink]

FILES: dict[str, Make] = {
    "mp4": lambda folder: FileSink(f"{folder}/out.mp4"),
    "mov": lambda folder: FileSink(f"{folder}/out.mov"),
    "mkv": lambda folder: FileSink(f"{folder}/out.mkv"),
    "webm": lambda folder: FileSink(f"{folder}/out.webm"),
    "png": lambda folder: ImageSequenceSink(f"{folder}/out/"),
    "jpg": lambda folder: ImageSequenceSink(f"{folder}/f_%06d.jpg"),
    "masks": lambda folder: MasksSink(f"{folder}/labels/"),
    "csv": lambda folder: CsvSink(f"{folder}/out.csv"),
    "coco": lambda folder: CocoSink(f"{folder}/out.json"),
}
SINKS: dict[str, Make] = FILES | {"null": lambda folder: NullSink()}
if why_no_window() is None:
    SINKS["window"] = lambda folder: WindowSink()

every_sink = pytest.mark.parametrize("make", SINKS.values(), ids=SINKS)
every_file = pytest.mark.parametrize("make", FILES.values(), ids=FILES)


def count(folder: Path) -> int:
    """Frames in whatever a sink left in ``folder``."""
    total = 0
    for path in folder.rglob("*.*"):
        if path.suffix in {".mp4", ".mov", ".mkv", ".webm"}:
            total += len(decoded(path))
        elif path.suffix in {".png", ".jpg"}:
            total += cv2.imread(str(path)) is not None
        elif path.name == "out.csv":
            total += len(path.read_text().splitlines()) - 1
        elif path.name == "out.json":
            total += len(json.loads(path.read_text())["images"])
    return total


@every_sink
@pytest.mark.parametrize("size", [Size(64, 48), Size(101, 67), Size(48, 200)])
def test_open_write_close(make: Make, tmp_path: Path, size: Size) -> None:
    sink = make(tmp_path)
    assert isinstance(sink, Sink)
    assert sink.uri
    sink.open(output_info(source_info(size)))
    for i in range(7):
        sink.write(rendered(i, size=size, pts=Fraction(i, 30)))
    sink.close()
    sink.close()
    if make in FILES.values():
        assert count(tmp_path) == 7


@every_sink
def test_close_without_open(make: Make, tmp_path: Path) -> None:
    make(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


@every_sink
def test_open_and_close_without_a_frame_leave_nothing(make: Make, tmp_path: Path) -> None:
    sink = make(tmp_path)
    sink.open(output_info())
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


@every_sink
def test_making_one_touches_nothing(make: Make, tmp_path: Path) -> None:
    make(tmp_path)
    assert list(tmp_path.iterdir()) == []


@every_file
def test_a_second_run_needs_overwrite(make: Make, tmp_path: Path) -> None:
    for overwrite in (False, True):
        sink = make(tmp_path)
        sink.open(output_info(overwrite=overwrite))
        sink.write(rendered(0, pts=Fraction(0)))
        sink.close()
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    sink = make(tmp_path)
    with pytest.raises(SinkRefused, match=r"exists already.*--overwrite"):
        sink.open(output_info())
    sink.close()
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before
    assert count(tmp_path) == 1


@every_file
def test_a_missing_folder_is_refused_with_what_to_do(make: Make, tmp_path: Path) -> None:
    sink = make(tmp_path / "no" / "where")
    with pytest.raises(SinkRefused, match="mkdir -p"):
        sink.open(output_info())
    sink.close()
    assert list(tmp_path.iterdir()) == []


@every_file
def test_the_picture_may_be_drawn_over_after_write(make: Make, tmp_path: Path) -> None:
    sink = make(tmp_path)
    sink.open(output_info())
    item = rendered(0, pts=Fraction(0))
    sink.write(item)
    for plane in (item.picture.y, item.picture.u, item.picture.v):
        plane[:] = 0
    sink.close()
    assert count(tmp_path) == 1


def test_only_the_window_is_interactive(tmp_path: Path) -> None:
    assert isinstance(WindowSink(), InteractiveSink)
    for make in FILES.values():
        assert not isinstance(make(tmp_path), InteractiveSink)
