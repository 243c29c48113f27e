from __future__ import annotations

import csv
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from result_items import item, street, things
from sink_helpers import half_matte, output_info, rendered, source_info, write_all

from edgeseg.errors import SinkError, SinkRefused
from edgeseg.labels import label_set
from edgeseg.types import Rendered, Result, Size
from edgeseg.video.csv_sink import CsvSink


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(path: Path, items: list[Rendered]) -> list[dict[str, str]]:
    write_all(CsvSink(str(path)), output_info(), items)
    return table(path)


def test_a_scenes_areas(tmp_path: Path) -> None:
    scene = street([[0, 0, 1, 2], [0, 0, 0, 2]])
    rows = written(tmp_path / "a.csv", [item(7, scene, pts=Fraction(1001, 30_000))])
    assert rows == [
        {
            "frame": "7", "seconds": "0.033367", "file": "",
            "road": "0.625000", "car, parked": "0.125000", "sky": "0.250000",
        }
    ]  # fmt: skip


def test_areas_add_up_and_absent_classes_are_zero(tmp_path: Path) -> None:
    items = [item(i, street([[0, i % 2]])) for i in range(5)]
    rows = written(tmp_path / "a.csv", items)
    assert [row["frame"] for row in rows] == list("01234")
    assert all(row["seconds"] == "" for row in rows)
    for row in rows:
        assert sum(float(row[name]) for name in ("road", "car, parked", "sky")) == 1
        assert row["sky"] == "0.000000"


def test_a_portraits_area(tmp_path: Path) -> None:
    size = Size(64, 48)
    items = [
        item(0, half_matte(size), pts=Fraction(0)),
        item(1, half_matte(size, present=False), pts=Fraction(1, 2)),
    ]
    rows = written(tmp_path / "a.csv", items)
    frame = {"frame": "0", "seconds": "0.000000", "file": ""}
    assert rows[0] == {**frame, "present": "1", "area": "0.500000"}
    assert rows[1]["present"] == "0"
    assert rows[1]["seconds"] == "0.500000"


def test_pictures_of_a_folder_are_named(tmp_path: Path) -> None:
    plain = item(0, street([[0]]))
    named = replace(plain, frame=replace(plain.frame, name="b/cat, 1.jpg"))
    rows = written(tmp_path / "a.csv", [named, plain])
    assert [row["file"] for row in rows] == ["b/cat, 1.jpg", ""]


def test_a_line_for_each_object(tmp_path: Path) -> None:
    two = things((4, 6, 24, 16), (40.5, 0, 64, 20), classes=[1, 0])
    rows = written(tmp_path / "a.csv", [item(0, two), item(1, things()), item(2, two)])
    assert [row["frame"] for row in rows] == ["0", "0", "2", "2"]
    assert rows[0] == {
        "frame": "0", "seconds": "", "file": "", "id": "", "class": "dog", "score": "0.9500",
        "x": "4.0", "y": "6.0", "width": "20.0", "height": "10.0", "area": "200",
    }  # fmt: skip
    assert rows[1]["class"] == "person"
    assert rows[1]["width"] == "23.5"
    assert int(rows[1]["area"]) == pytest.approx(23.5 * 20, abs=12)


def test_tracked_objects_have_ids(tmp_path: Path) -> None:
    rows = written(tmp_path / "a.csv", [item(0, things((0, 0, 9, 9), (9, 9, 20, 20), ids=[4, 11]))])
    assert [row["id"] for row in rows] == ["4", "11"]


def test_no_objects_at_all_is_an_empty_table(tmp_path: Path) -> None:
    assert written(tmp_path / "a.csv", [item(0, things()), item(1, things())]) == []
    assert (tmp_path / "a.csv").read_text().startswith("frame,seconds,file,id,class,score,x,y,")


def test_a_frame_without_a_result_has_empty_columns(tmp_path: Path) -> None:
    rows = written(tmp_path / "a.csv", [item(0, None), item(1, street([[0]])), item(2, None)])
    assert [row["frame"] for row in rows] == ["1", "2"], "classes are known from the first result"
    assert rows[1]["road"] == rows[1]["sky"] == ""
    rows = written(tmp_path / "b.csv", [item(0, things((0, 0, 9, 9))), item(1, None)])
    assert len(rows) == 1


def test_results_of_another_model_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others: list[Result] = [street([[1]], labels=label_set(("cat", "dog"))), things((0, 0, 9, 9))]
    items = [item(0, street([[0]])), *[item(i, r) for i, r in enumerate(others, 1)]]
    rows = written(tmp_path / "a.csv", [*items, item(3, street([[2]]))])
    assert [row["frame"] for row in rows] == ["0", "3"]
    assert caplog.text.count("results of another model are left out") == 1


def test_whole_lines_are_there_at_any_time(tmp_path: Path) -> None:
    sink = CsvSink(f"csv:{tmp_path}/a.csv")
    sink.open(output_info())
    for index in range(4):
        sink.write(item(index, street([[0]])))
        assert len(table(tmp_path / "a.csv")) == index + 1
    assert sink.written == 4
    sink.close()


def write_frames(sink: CsvSink, count: int) -> None:
    for index in range(count):
        sink.write(item(index, street([[0]])))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    sink = CsvSink(str(tmp_path / "a.csv"))
    sink.open(output_info())
    with largest_file(200), pytest.raises(SinkError) as caught:
        write_frames(sink, 100)
    sink.close()
    text = (tmp_path / "a.csv").read_text()
    assert text.endswith("\n")
    rows = table(tmp_path / "a.csv")
    assert len(rows) == sink.written > 2
    assert all(row["sky"] == "0.000000" for row in rows)
    assert "a.csv failed: File too large" in str(caught.value)
    assert f"the lines of {len(rows)} frames are kept; free some space" in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    sink = CsvSink(str(folder / "a.csv"))
    sink.open(output_info())
    folder.rmdir()
    with pytest.raises(SinkError, match=r"a\.csv failed: No such file or directory.*nothing is"):
        sink.write(item(0, street([[0]])))
    sink.close()


def test_refusals(tmp_path: Path) -> None:
    for name in ("csv:", "csv:folder/"):
        with pytest.raises(SinkRefused, match=r"expected a file, such as csv:areas\.csv"):
            CsvSink(name)
    with pytest.raises(SinkRefused, match="is a folder"):
        CsvSink(str(tmp_path)).open(output_info())
    clip = tmp_path / "clip.csv"
    clip.write_text("not mine")
    info = output_info(source_info(path=clip), overwrite=True)
    with pytest.raises(SinkRefused, match="is the input itself"):
        CsvSink(str(clip)).open(info)
    assert clip.read_text() == "not mine"


def test_overwriting_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old\n" * 100)
    write_all(CsvSink(str(path)), output_info(overwrite=True), [rendered(0)])
    assert len(path.read_text().splitlines()) == 2


def test_its_name_is_the_one_it_was_asked_for_by() -> None:
    assert CsvSink("a.csv").uri == CsvSink("csv:a.csv").uri == "csv:a.csv"
