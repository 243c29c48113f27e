from __future__ import annotations

import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from sink_helpers import SIZE, flat, output_info, rendered, source_info, write_all

from edgeseg.errors import SinkError, SinkRefused
from edgeseg.ops.planes import color_to_yuv, to_bgr
from edgeseg.types import U8, ColorSpace, Frame, Planes, Rendered, Size
from edgeseg.video.image_sink import ImageSequenceSink
from edgeseg.video.sequence import NumberedFiles


def read(path: Path) -> U8:
    image: U8 | None = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("out/", ["000003.png", "000004.png"]),
        ("out/f_%03d.png", ["f_003.png", "f_004.png"]),
        ("out/%d.jpg", ["3.jpg", "4.jpg"]),
        ("out/a%05db.JPEG", ["a00003b.JPEG", "a00004b.JPEG"]),
    ],
)
def test_names_carry_the_frame_index(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    sink = ImageSequenceSink(f"{tmp_path}/{pattern}")
    write_all(sink, output_info(), [rendered(3), rendered(4)])
    assert names(tmp_path / "out") == expected


@pytest.mark.parametrize("size", [SIZE, Size(101, 67), Size(1, 1), Size(3, 200)])
def test_png_holds_the_very_pixels(tmp_path: Path, size: Size) -> None:
    item = rendered(7, size=size)
    write_all(ImageSequenceSink(f"{tmp_path}/"), output_info(source_info(size)), [item])
    np.testing.assert_array_equal(read(tmp_path / "000007.png"), to_bgr(item.picture))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_colours_are_right_in_every_space(
    tmp_path: Path, suffix: str, matrix: str, full_range: bool
) -> None:
    color = ColorSpace("bt709" if matrix == "bt709" else "bt601", full_range)
    planes = flat(0, SIZE)
    planes.y[:], planes.u[:], planes.v[:] = color_to_yuv((200, 80, 30), color)
    item = Rendered(planes, Frame(planes, 0, 0.0, color=color), None)
    write_all(ImageSequenceSink(f"{tmp_path}/%d.{suffix}"), output_info(), [item])
    bgr = read(tmp_path / f"0.{suffix}")[20, 20]
    np.testing.assert_allclose(bgr[:3].astype(int), (30, 80, 200), atol=4)


@pytest.mark.parametrize("size", [SIZE, Size(101, 67)])
def test_alpha_becomes_rgba(tmp_path: Path, size: Size) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (size.height, size.width), np.uint8)
    item = rendered(0, size=size, alpha=alpha)
    plain = Rendered(Planes(*planes_of(item)), Frame(item.frame.planes, 1, 0.0), None)
    info = output_info(source_info(size), alpha=True)
    write_all(ImageSequenceSink(f"{tmp_path}/"), info, [item, plain])
    image = read(tmp_path / "000000.png")
    np.testing.assert_array_equal(image[..., 3], alpha)
    np.testing.assert_array_equal(image[..., :3], to_bgr(item.picture))
    assert read(tmp_path / "000001.png")[..., 3].min() == 255


def planes_of(item: Rendered) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return item.picture.y, item.picture.u, item.picture.v


def test_pictures_keep_their_own_size(tmp_path: Path) -> None:
    items = [rendered(0), rendered(1, size=Size(31, 20))]
    write_all(ImageSequenceSink(f"{tmp_path}/"), output_info(), items)
    assert read(tmp_path / "000001.png").shape == (20, 31, 3)


def test_one_picture_needs_no_number(tmp_path: Path) -> None:
    info = output_info(source_info(frames=1))
    write_all(ImageSequenceSink(f"{tmp_path}/one.png"), info, [rendered(0)])
    assert names(tmp_path) == ["one.png"]
    with pytest.raises(SinkRefused, match=r"one\.png exists already"):
        ImageSequenceSink(f"{tmp_path}/one.png").open(info)


def refusal(uri: str, **info: object) -> str:
    source = info.pop("source", None)
    with pytest.raises(SinkRefused) as caught:
        ImageSequenceSink(uri).open(output_info(source, **info))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_names_that_cannot_number_are_refused(tmp_path: Path) -> None:
    text = refusal(f"{tmp_path}/one.png", source=source_info(frames=9))
    assert "is one picture, the source has more" in text
    assert f"{tmp_path}/one_%06d.png" in text
    assert "expected one number field, got 2" in refusal(f"{tmp_path}/%d_%d.png")
    for pattern in ("%s.png", "%x_%d.png", "%d/%d.png"):
        assert "expected one number field such as %06d" in refusal(f"{tmp_path}/{pattern}")
    assert "expected one of .png, .jpg, .jpeg, got '.bmp'" in refusal(f"{tmp_path}/%d.bmp")
    assert ".jpg cannot carry transparency; use .png" in refusal(f"{tmp_path}/%d.jpg", alpha=True)


def test_existing_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("000000.png", "000001.png", "other.png", "x000000.png"):
        (tmp_path / name).write_bytes(b"precious")
    text = refusal(f"{tmp_path}/")
    assert "000000.png exists already (2 such files); add --overwrite" in text
    write_all(ImageSequenceSink(f"{tmp_path}/f_%d.png"), output_info(), [rendered(0)])
    write_all(ImageSequenceSink(f"{tmp_path}/"), output_info(overwrite=True), [rendered(0)])
    assert read(tmp_path / "000000.png").shape == (48, 64, 3)
    assert (tmp_path / "000001.png").read_bytes() == b"precious"


@pytest.mark.parametrize("source", ["", "/*.png", "/000000.png"])
def test_input_pictures_are_never_overwritten(tmp_path: Path, source: str) -> None:
    (tmp_path / "000000.png").write_bytes(b"the only copy")
    info = source_info(uri=f"{tmp_path}{source}")
    text = refusal(f"{tmp_path}/", source=info, overwrite=True)
    assert "these are the input pictures; choose another folder" in text


def test_missing_parent_is_refused_and_the_folder_itself_made(tmp_path: Path) -> None:
    text = refusal(f"{tmp_path}/a/b/c/")
    assert f"make it first: mkdir -p {tmp_path}/a/b" in text
    sink = ImageSequenceSink(f"{tmp_path}/a/")
    sink.open(output_info())
    sink.close()
    assert names(tmp_path) == []
    write_all(ImageSequenceSink(f"{tmp_path}/a/"), output_info(), [rendered(0)])
    assert names(tmp_path) == ["a"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_whole_pictures_only(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200)).astype(np.uint8)
    big = flat(0, Size(200, 200))
    big.y[:] = noise
    sink = ImageSequenceSink(f"{tmp_path}/")
    sink.open(output_info())
    sink.write(rendered(0))
    failing = Rendered(big, Frame(big, 1, 0.0), None)
    with largest_file(20_000):
        sink.write(failing)
        with pytest.raises(SinkError) as caught:
            sink.close()
    assert "000001.png failed: File too large" in str(caught.value)
    assert "MB free there; 1 pictures are kept" in str(caught.value)
    assert caught.value.exit_code == 3
    assert names(tmp_path) == ["000000.png"]


def test_a_size_the_format_cannot_hold(tmp_path: Path) -> None:
    wide = flat(0, Size(70_000, 1))
    sink = ImageSequenceSink(f"{tmp_path}/%d.jpg")
    sink.open(output_info())
    sink.write(Rendered(wide, Frame(wide, 0, 0.0), None))
    with pytest.raises(SinkError, match=r"a 70000x1 picture cannot be written as \.jpg"):
        sink.close()


def write_many(sink: ImageSequenceSink) -> None:
    for index in range(1, 100):
        sink.write(rendered(index))


def test_an_error_comes_with_a_later_picture_and_only_once(tmp_path: Path) -> None:
    wide = flat(0, Size(70_000, 1))
    sink = ImageSequenceSink(f"{tmp_path}/%d.jpg")
    sink.open(output_info())
    sink.write(Rendered(wide, Frame(wide, 0, 0.0), None))
    with pytest.raises(SinkError, match="70000x1"):
        write_many(sink)
    sink.close()
    assert "0.jpg" not in names(tmp_path)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("edgeseg-job")]


def test_many_pictures_are_written_side_by_side_and_all_are_right(tmp_path: Path) -> None:
    sink = ImageSequenceSink(f"{tmp_path}/%d.png")
    sink.open(output_info())
    picture = flat(0, SIZE)
    for index in range(40):
        picture.y[:] = 3 * index + 16
        sink.write(Rendered(picture, Frame(picture, index, 0.0), None))
    sink.close()
    assert sink.written == len(names(tmp_path)) == 40
    for index in range(40):
        want = flat(0, SIZE)
        want.y[:] = 3 * index + 16
        np.testing.assert_array_equal(read(tmp_path / f"{index}.png"), to_bgr(want))


def test_a_folder_that_vanishes_troubles_nobody_at_the_end(tmp_path: Path) -> None:
    files = NumberedFiles(f"{tmp_path}/new/")
    files.make_folder()
    shutil.rmtree(tmp_path / "new")
    files.remove_empty_folder()
    files.make_folder()
    (tmp_path / "new" / "kept.png").touch()
    files.remove_empty_folder()
    assert names(tmp_path / "new") == ["kept.png"]
