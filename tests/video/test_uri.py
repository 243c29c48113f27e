from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import ConfigError, SourceNotFound
from edgeseg.video.uri import SourceKind, classify, image_paths


def save(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(filename=str(path), img=np.zeros((4, 6, 3), np.uint8))
    return path


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("0", SourceKind.CAMERA),
        ("12", SourceKind.CAMERA),
        ("/dev/video3", SourceKind.CAMERA),
        ("rtsp://user:pw@host/live", SourceKind.STREAM),
        ("HTTP://host/a.ts", SourceKind.STREAM),
        ("https://host/a.m3u8", SourceKind.STREAM),
        ("udp://@239.0.0.1:1234", SourceKind.STREAM),
        ("tcp://host:1", SourceKind.STREAM),
        ("csi://0", SourceKind.GSTREAMER),
        ("gst:videotestsrc ! appsink", SourceKind.GSTREAMER),
        ("synthetic://road?size=640x360", SourceKind.SYNTHETIC),
    ],
)
def test_kind_by_form(uri: str, kind: SourceKind) -> None:
    assert classify(uri) is kind


def test_kind_by_what_the_path_holds(tmp_path: Path) -> None:
    video = tmp_path / "clip.MP4"
    video.write_bytes(b"x")
    image = save(tmp_path / "photos" / "A.PNG")
    assert classify(str(video)) is SourceKind.FILE
    assert classify(str(image)) is SourceKind.IMAGES
    assert classify(str(image.parent)) is SourceKind.IMAGES
    assert classify(str(image.parent / "*.PNG")) is SourceKind.IMAGES
    odd_name = save(tmp_path / "photos" / "what [1]?.png")
    assert classify(str(odd_name)) is SourceKind.IMAGES
    assert image_paths(str(odd_name)) == [odd_name]


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    names = ["f2.png", "f10.png", "F1.png", "g.jpg", "notes.txt"]
    for name in names:
        save(tmp_path / name) if "txt" not in name else (tmp_path / name).touch()
    found = [p.name for p in image_paths(str(tmp_path))]
    assert found == ["F1.png", "f2.png", "f10.png", "g.jpg"]


@pytest.mark.parametrize(
    ("uri", "error", "message"),
    [
        ("", ConfigError, "source: empty; expected a camera such as 0"),
        ("rstp://host/x", ConfigError, r"rstp://host/x: unknown kind .* did you mean 'rtsp'\?"),
        ("zzzzzz://x", ConfigError, "unknown kind of source zzzzzz://; known: csi, gst, http"),
        ("file:///a.mp4", ConfigError, "give the plain path instead of a file:// URL"),
        (
            "{tmp}/holyday.mp4",
            SourceNotFound,
            r"no such file or folder; did you mean 'holiday.mp4'",
        ),
        ("{tmp}/xyz", SourceNotFound, r"xyz: no such file or folder$"),
        ("{tmp}/no/a.mp4", SourceNotFound, r"\(the folder .*no does not exist\)"),
        ("{tmp}/*.bmp", SourceNotFound, r"no file matches this pattern"),
        ("{tmp}/empty.mp4", SourceNotFound, r"the file is empty \(0 bytes\)"),
        ("{tmp}/hollow", SourceNotFound, r"no pictures in this folder \(empty\)"),
        ("{tmp}", SourceNotFound, r"no pictures .* \(it holds empty.mp4, holiday.mp4, hollow\)"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path, uri: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"x")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "hollow").mkdir()
    with pytest.raises(error, match=message) as caught:
        classify(uri.replace("{tmp}", str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert getattr(caught.value, "exit_code", None) == 2


def test_a_folder_nobody_may_list_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # a superuser may list every real folder
    with pytest.raises(SourceNotFound, match="cannot be listed: Permission denied"):
        classify(str(tmp_path))


def test_a_device_is_no_file() -> None:
    with pytest.raises(SourceNotFound, match="/dev/null: a device or pipe; expected a file"):
        classify("/dev/null")
