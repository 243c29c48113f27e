from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from scenes import COLORS

from edgeseg.effects.backdrop import ImageBackdrop, cover_planes, to_planes
from edgeseg.effects.backdrop_video import VideoBackdrop
from edgeseg.errors import ConfigError
from edgeseg.ops.planes import to_bgr
from edgeseg.types import BT601, ColorSpace, Frame, Planes, Size

LEVELS = [40, 80, 120, 160, 200]
FPS = 10


def frame(
    size: Size, *, at: Fraction | None = None, clock: float = 0.0, color: ColorSpace = BT601
) -> Frame:
    return Frame(Planes.empty(size).freeze(), 0, clock, at, color)


def write_video(
    path: Path,
    *,
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    codec: str = "libx264",
) -> Path:
    """One flat grey level per picture; the left half of the picture 20 levels darker."""
    size = Size(64, 48)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, pix_fmt
        stream.options = {"crf": "4"} if codec == "libx264" else {}
        if rotation:
            stream.set_display_rotation(-rotation)
        for index, level in enumerate(LEVELS):
            bgr = np.full((size.height, size.width, 3), level, np.uint8)
            bgr[:, : size.width // 2] -= 20
            picture = av.VideoFrame.from_ndarray(bgr, format="bgr24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def level_of(planes: Planes, color: ColorSpace = BT601) -> int:
    """The grey level of the right half."""
    bgr = to_bgr(Planes(planes.y, planes.u, planes.v), color)
    right = bgr[:, bgr.shape[1] * 3 // 4 :]
    return int(np.median(right))


def nearest(level: int) -> int:
    return int(np.abs(np.array(LEVELS) - level).argmin())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.mark.parametrize(
    "tenths",
    [
        [0, 1, 2, 3, 4],
        [0, 0, 4, 5, 6, 9, 10],
        [3, 2, 1, 0],
        [37, 12, 1000003],
        [0.5, 0.99, 1.0, 4.99, 5.0],
    ],
    ids=str,
)
def test_video_follows_stream_time_and_loops(clip: Path, tenths: list[float]) -> None:
    backdrop = VideoBackdrop(clip)
    for tenth in tenths:
        at = Fraction(round(tenth * 100), 1000)
        shown = nearest(level_of(backdrop.planes(frame(Size(32, 24), at=at))))
        assert shown == int(tenth) % len(LEVELS), tenth


def test_video_without_stream_time_follows_the_clock(clip: Path) -> None:
    backdrop = VideoBackdrop(clip)
    shown = [
        nearest(level_of(backdrop.planes(frame(Size(32, 24), clock=500.0 + second))))
        for second in (0.0, 0.11, 0.42, 0.55)
    ]
    assert shown == [0, 1, 4, 0]


def test_video_is_prepared_once_per_picture(clip: Path) -> None:
    backdrop = VideoBackdrop(clip)
    first = backdrop.planes(frame(Size(32, 24), at=Fraction(0)))
    again = backdrop.planes(frame(Size(32, 24), at=Fraction(1, 20)))
    other = backdrop.planes(frame(Size(33, 25), at=Fraction(1, 20)))
    assert first is again
    assert other.size == Size(33, 25)
    assert not first.y.flags.writeable


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize(
    ("pix_fmt", "codec", "suffix"),
    [
        ("yuv420p", "libx264", "mp4"),
        ("yuv444p", "libx264", "mp4"),
        ("yuv420p10le", "libx264", "mkv"),
        ("yuvj420p", "mjpeg", "avi"),
        ("rgb8", "gif", "gif"),
    ],
)
def test_video_formats_in_every_colour_space(
    tmp_path: Path, pix_fmt: str, codec: str, suffix: str, color: ColorSpace
) -> None:
    path = write_video(tmp_path / f"clip.{suffix}", pix_fmt=pix_fmt, codec=codec)
    planes = VideoBackdrop(path).planes(frame(Size(48, 36), at=Fraction(0), color=color))
    assert abs(level_of(planes, color) - LEVELS[0]) <= (20 if codec == "gif" else 6)


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("size", [Size(96, 72), Size(33, 25)], ids=str)
def test_video_keeps_its_colours_larger_and_smaller(
    clip: Path, size: Size, color: ColorSpace
) -> None:
    planes = VideoBackdrop(clip).planes(frame(size, at=Fraction(3, 10), color=color))
    assert planes.size == size
    assert abs(level_of(planes, color) - LEVELS[3]) <= 6


@pytest.mark.parametrize(
    ("rotation", "dark"), [(0, "left"), (90, "top"), (180, "right"), (270, "bottom")]
)
def test_video_is_turned_upright(tmp_path: Path, rotation: int, dark: str) -> None:
    path = write_video(tmp_path / "phone.mp4", rotation=rotation)
    size = Size(64, 48) if rotation % 180 == 0 else Size(48, 64)
    y = VideoBackdrop(path).planes(frame(size, at=Fraction(0))).y.astype(float)
    height, width = y.shape
    sides = {
        "left": y[:, : width // 2],
        "right": y[:, width // 2 :],
        "top": y[: height // 2],
        "bottom": y[height // 2 :],
    }
    assert min(sides, key=lambda side: sides[side].mean()) == dark


def test_video_cut_short_loops_what_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", pix_fmt="yuvj420p", codec="mjpeg")
    content = path.read_bytes()
    movie = content.index(b"movi")
    frames_end = content.index(b"idx1")
    path.write_bytes(content[: movie + (frames_end - movie) * 6 // 10])
    backdrop = VideoBackdrop(path)
    shown = [
        nearest(level_of(backdrop.planes(frame(Size(32, 24), at=Fraction(n, 10)))))
        for n in range(20)
    ]
    length = max(shown) + 1
    assert 2 <= length <= 4
    assert shown == [n % length for n in range(20)]


def test_sound_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ConfigError, match="neither an image nor a video"):
        VideoBackdrop(path)


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("size", [Size(1, 1), Size(3, 2), Size(101, 67), Size(90, 160)], ids=str)
def test_image_fills_the_frame_in_its_colours(
    tmp_path: Path, size: Size, color: ColorSpace
) -> None:
    path = tmp_path / "flat.png"
    assert cv2.imwrite(filename=str(path), img=np.full((40, 60, 3), (200, 90, 30), np.uint8))
    planes = ImageBackdrop(path).planes(frame(size, color=color))
    assert planes.size == size
    assert np.abs(to_bgr(planes, color).astype(int) - [200, 90, 30]).max() <= 3


def test_image_is_prepared_once_per_size_and_colour_space(tmp_path: Path) -> None:
    path = tmp_path / "flat.png"
    assert cv2.imwrite(filename=str(path), img=np.zeros((40, 60, 3), np.uint8))
    backdrop = ImageBackdrop(path)
    first = backdrop.planes(frame(Size(20, 10)))
    assert backdrop.planes(frame(Size(20, 10))) is first
    assert not first.u.flags.writeable
    assert backdrop.planes(frame(Size(20, 10), color=COLORS[3])) is not first
    for width in range(30, 40):
        backdrop.planes(frame(Size(width, 10)))
    assert len(backdrop._prepared) <= 4


@pytest.mark.parametrize(
    ("size", "middle"), [(Size(100, 100), (100, 200)), (Size(300, 50), (0, 300))]
)
def test_covering_keeps_the_middle_and_its_shape(size: Size, middle: tuple[int, int]) -> None:
    """A 300x100 picture whose luma is its column: the cut shows in the values."""
    y = np.tile(np.linspace(0, 255, 300), (100, 1)).astype(np.uint8)
    chroma = np.full((50, 150), 128, np.uint8)
    covered = cover_planes(Planes(y, chroma, chroma), size)
    assert covered.size == size
    first, last = covered.y[0, 0] / 255 * 300, covered.y[0, -1] / 255 * 300
    assert first == pytest.approx(middle[0], abs=4)
    assert last == pytest.approx(middle[1], abs=4)


def test_tiny_and_extreme_shapes_are_covered() -> None:
    planes = to_planes(np.full((3, 200, 3), 90, np.uint8), BT601)
    for size in (Size(1, 100), Size(100, 1), Size(2, 3), Size(1, 1)):
        covered = cover_planes(planes, size)
        assert covered.size == size
        assert np.abs(to_bgr(covered).astype(int) - 90).max() <= 2
