from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceNotFound
from edgeseg.ops.planes import from_bgr
from edgeseg.types import U8, Frame, Size
from edgeseg.video.images import ImageSource, read_bgr


def drawing(size: Size, shade: int = 200) -> U8:
    """Grey, with a blue patch in the upper left quarter."""
    image: U8 = np.full((size.height, size.width, 3), shade, np.uint8)
    image[: size.height // 2, : size.width // 2] = (220, 40, 30)
    return image


def save(path: Path, image: Any) -> Path:
    assert cv2.imwrite(filename=str(path), img=image)
    return path


def read_all(uri: Path | str, **settings: Any) -> tuple[ImageSource, list[Frame]]:
    source = ImageSource(SourceConfig(uri=str(uri), **settings))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return source, frames


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "ppm"])
@pytest.mark.parametrize("size", [Size(1, 1), Size(101, 67), Size(64, 48)], ids=str)
def test_formats_and_sizes(tmp_path: Path, suffix: str, size: Size) -> None:
    path = save(tmp_path / f"a.{suffix}", drawing(size))
    source, frames = read_all(path)
    assert source.info.size == size
    assert source.info.frames == 1
    assert not source.info.live
    (frame,) = frames
    expected = from_bgr(drawing(size))
    tolerance = {"jpg": 12, "webp": 12}.get(suffix, 0)
    assert abs(frame.planes.y.astype(int) - expected.y).mean() <= tolerance
    assert abs(frame.planes.u.astype(int) - expected.u).mean() <= tolerance
    assert frame.planes.u.shape == (size.chroma.height, size.chroma.width)
    assert not frame.planes.y.flags.writeable


def test_folder_with_pictures_of_different_sizes(tmp_path: Path) -> None:
    sizes = [Size(40, 30), Size(30, 40), Size(33, 21)]
    for i, size in enumerate(sizes):
        save(tmp_path / f"p{i + 8}.png", drawing(size))  # p8, p9, p10
    source, frames = read_all(tmp_path)
    assert [f.size for f in frames] == sizes
    assert [f.index for f in frames] == [0, 1, 2]
    assert [f.cut for f in frames] == [False, True, True]
    assert {f.pts for f in frames} == {None}
    assert source.info.fps is None
    assert source.info.frames == 3


def test_a_rate_gives_exact_times(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png", drawing(Size(8, 8)))
    source, frames = read_all(tmp_path / "*.png", fps=29.97, loop=True, max_frames=7)
    rate = source.info.fps
    assert rate is not None
    assert rate == Fraction(2997, 100)
    assert [f.pts for f in frames] == [i / rate for i in range(7)]


def test_sixteen_bits_grey_and_alpha(tmp_path: Path) -> None:
    deep = drawing(Size(20, 10)).astype(np.uint16) * 257
    np.testing.assert_array_equal(read_bgr(save(tmp_path / "16.png", deep)), drawing(Size(20, 10)))
    grey = np.full((10, 20), 77, np.uint8)
    assert (read_bgr(save(tmp_path / "grey.png", grey)) == 77).all()
    alpha = np.dstack([drawing(Size(20, 10)), np.full((10, 20), 9, np.uint8)])
    np.testing.assert_array_equal(read_bgr(save(tmp_path / "a.png", alpha)), drawing(Size(20, 10)))


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1))])
def test_exif_orientation_is_applied(
    tmp_path: Path, orientation: int, corner: tuple[int, int]
) -> None:
    path = save(tmp_path / "phone.jpg", drawing(Size(64, 32)))
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\x00\x2a" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    segment = b"Exif\x00\x00" + tiff
    plain = path.read_bytes()
    path.write_bytes(
        plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
    )

    bgr = read_bgr(path)

    assert bgr.shape == ((32, 64, 3) if orientation != 6 else (64, 32, 3))
    blue = bgr[corner]
    assert int(blue[0]) > 180 > 80 > int(blue[2]), "the blue patch is in the wrong corner"


def test_unreadable_pictures_are_named(tmp_path: Path) -> None:
    save(tmp_path / "1.png", drawing(Size(8, 8)))
    (tmp_path / "2.png").write_text("no picture")
    source = ImageSource(SourceConfig(uri=str(tmp_path)))
    assert source.read() is not None
    with pytest.raises(
        SourceNotFound, match=r"2\.png: not a picture that OpenCV can read"
    ) as found:
        source.read()
    assert found.value.exit_code == 2
    source.close()
    (tmp_path / "0.png").touch()
    with pytest.raises(SourceNotFound, match=r"0\.png: the file is empty"):
        ImageSource(SourceConfig(uri=str(tmp_path)))
    with pytest.raises(SourceNotFound, match=r"gone\.png: cannot be read: No such file"):
        read_bgr(tmp_path / "gone.png")
    with pytest.raises(SourceNotFound, match="no pictures here"):
        ImageSource(SourceConfig(uri=str(tmp_path / "*.bmp")))


def test_frames_bear_the_names_of_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        save(tmp_path / name, drawing(Size(4, 4)))
    monkeypatch.chdir(tmp_path)
    for uri, names in {
        "*/x.png": ["a/x.png", "b/x.png"],
        "a": ["x.png"],
        "b/x.png": ["x.png"],
    }.items():
        assert [frame.name for frame in read_all(uri)[1]] == names
    looped = read_all("a", loop=True, max_frames=2)[1]
    assert [frame.name for frame in looped] == ["x.png", "x.png"]
