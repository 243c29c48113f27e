from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.errors import SinkRefused
from edgeseg.video.sink_uri import SinkKind, classify_sink, parse_sink, refuse_clashes


@pytest.mark.parametrize(
    ("uri", "kind", "path"),
    [
        ("out.mp4", SinkKind.VIDEO, "out.mp4"),
        ("deep/er/OUT.MOV", SinkKind.VIDEO, "deep/er/OUT.MOV"),
        ("a.b.mkv", SinkKind.VIDEO, "a.b.mkv"),
        ("out.webm", SinkKind.VIDEO, "out.webm"),
        ("C:\\clips\\out.mp4", SinkKind.VIDEO, "C:\\clips\\out.mp4"),
        ("folder/", SinkKind.IMAGES, "folder/"),
        ("folder.d/", SinkKind.IMAGES, "folder.d/"),
        ("f_%06d.png", SinkKind.IMAGES, "f_%06d.png"),
        ("x/f_%d.JPG", SinkKind.IMAGES, "x/f_%d.JPG"),
        ("one.jpeg", SinkKind.IMAGES, "one.jpeg"),
        ("masks:labels/", SinkKind.MASKS, "labels/"),
        ("masks:labels", SinkKind.MASKS, "labels"),
        ("csv:deep/areas.csv", SinkKind.CSV, "deep/areas.csv"),
        ("CSV:areas.txt", SinkKind.CSV, "areas.txt"),
        ("coco:objects.json", SinkKind.COCO, "objects.json"),
        ("window://", SinkKind.WINDOW, ""),
        ("null://", SinkKind.NULL, ""),
    ],
)
def test_forms(uri: str, kind: SinkKind, path: str) -> None:
    assert parse_sink(uri) == (kind, path)
    assert classify_sink(uri) is kind


def test_an_existing_folder_needs_no_slash(tmp_path: Path) -> None:
    assert classify_sink(str(tmp_path)) is SinkKind.IMAGES


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("out.mp3", "did you mean '.mp4'"),
        ("out.pgn", "did you mean '.png'"),
        ("windw://", "did you mean 'window://'"),
        ("mask:labels/", "did you mean 'masks:'"),
        ("out", "for a folder of pictures write out/"),
        ("virtualcam://", "known: out.mp4"),
        ("cocoa:file.json", "did you mean 'coco:'"),
        ("cvs:file.csv", "did you mean 'csv:'"),
        ("rtsp://host/x.mp4", "known: out.mp4"),
        ("", "known: out.mp4"),
        ("masks:", "expected a folder after masks:"),
        ("csv:", "expected a file after csv:, such as csv:areas.csv"),
        ("coco:", "expected a file after coco:, such as coco:objects.json"),
        ("window://x", "takes nothing after it, got 'x'"),
        ("null://a.mp4", "takes nothing after it"),
    ],
)
def test_refusals_name_the_nearest_form(uri: str, hint: str) -> None:
    with pytest.raises(SinkRefused) as caught:
        classify_sink(uri)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("sinks", "report"),
    [
        (["a.mp4", "./a.mp4"], None),
        (["f/", "f/%06d.png"], None),
        (["f/", "masks:f"], None),
        (["masks:f", "masks:f/"], None),
        (["a.mp4"], "a.mp4"),
        (["masks:f"], "f/frames.csv"),
        (["csv:a.csv", "csv:./a.csv"], None),
        (["masks:f", "csv:f/frames.csv"], None),
        (["coco:r.json"], "r.json"),
    ],
)
def test_two_outputs_never_write_the_same_files(sinks: list[str], report: str | None) -> None:
    with pytest.raises(SinkRefused, match="writes the same files"):
        refuse_clashes(sinks, inputs=[], report=report)


def test_outputs_side_by_side_are_fine() -> None:
    sinks = ["a.mp4", "a.mkv", "f/", "f/g_%06d.png", "masks:m", "null://", "window://", "null://"]
    refuse_clashes(sinks, inputs=["0", "a.mp4", ""], report="f/r.json")


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_outputs_never_write_what_is_read(tmp_path: Path, link: str) -> None:
    beach, other = tmp_path / "beach.mp4", tmp_path / "other.mp4"
    beach.write_bytes(b"sand")
    getattr(other, link)(beach)
    for sinks, report in (([str(other)], None), ([], str(other)), ([], str(beach))):
        with pytest.raises(SinkRefused, match="this run reads that file"):
            refuse_clashes(sinks, inputs=["0", str(beach)], report=report)
