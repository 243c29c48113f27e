"""Pictures and their times: what goes in comes out of the file again."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from sink_helpers import (
    boxes,
    decoded,
    flat,
    luma,
    numbers,
    output_info,
    rendered,
    source_info,
    times,
    write_all,
)

from edgeseg.config import OutputConfig
from edgeseg.errors import SinkError
from edgeseg.types import BT601, ColorSpace, Frame, OutputInfo, Planes, Rendered, Size
from edgeseg.video.file_sink import FileSink

NTSC = Fraction(30_000, 1001)


def write(path: Path, moments: list[Fraction | None], *, preset: str = "ultrafast", **info) -> None:  # type: ignore[no-untyped-def]
    config = OutputConfig.model_validate({"preset": preset})
    items = (rendered(i, pts=moment) for i, moment in enumerate(moments))
    write_all(FileSink(str(path), config), output_info(source_info(**info)), items)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 15), Fraction(7, 5)])
def test_times_are_exact(tmp_path: Path, suffix: str, preset: str, start: Fraction) -> None:
    moments: list[Fraction | None] = [start + i / NTSC for i in range(70)]
    path = tmp_path / f"out{suffix}"
    write(path, moments, preset=preset, fps=NTSC, time_base=Fraction(1, 90_000))
    assert times(path) == moments
    assert numbers(path) == list(range(70))
    assert b"moof" not in boxes(path)
    assert boxes(path).count(b"moov") == 1


def test_variable_rate_is_kept_exactly(tmp_path: Path) -> None:
    steps = np.random.default_rng(1).integers(1, 9000, 80)
    moments: list[Fraction | None] = [Fraction(int(t), 90_000) for t in np.cumsum(steps)]
    write(tmp_path / "out.mp4", moments, fps=None)
    assert times(tmp_path / "out.mp4") == moments


@pytest.mark.parametrize(
    "base", [Fraction(1, 25), Fraction(1001, 30_000), Fraction(1, 1000), Fraction(1, 12_800)]
)
def test_every_unit_of_time_is_kept(tmp_path: Path, base: Fraction) -> None:
    moments: list[Fraction | None] = [base * i * 40 for i in range(10)]
    write(tmp_path / "out.mp4", moments, fps=Fraction(25), time_base=base)
    assert times(tmp_path / "out.mp4") == moments


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_keeps_milliseconds(tmp_path: Path, suffix: str) -> None:
    moments: list[Fraction | None] = [Fraction(1, 2) + i / NTSC for i in range(40)]
    path = tmp_path / f"out{suffix}"
    write(path, moments, fps=NTSC)
    got = times(path)
    assert len(got) == 40
    assert all(abs(a - b) <= Fraction(1, 1000) for a, b in zip(got, moments, strict=True) if b)
    assert numbers(path) == list(range(40))


@pytest.mark.parametrize("fps", [None, Fraction(24_000, 1001), Fraction(10)])
def test_pictures_without_time_follow_at_their_rate(tmp_path: Path, fps: Fraction | None) -> None:
    write(tmp_path / "out.mp4", [None] * 12, fps=fps)
    assert times(tmp_path / "out.mp4") == [i / (fps or Fraction(25)) for i in range(12)]


def test_live_pictures_without_time_are_stamped_by_the_clock(tmp_path: Path) -> None:
    clock = [100.0, 100.04, 100.2, 100.21, 101.0]
    items = (rendered(i, captured_at=at) for i, at in enumerate(clock))
    write_all(FileSink(str(tmp_path / "o.mp4")), output_info(source_info(live=True)), items)
    got = times(tmp_path / "o.mp4")
    assert got == [Fraction(round((at - 100) * 90_000), 90_000) for at in clock]


def test_a_time_that_does_not_increase_moves_one_tick(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = [0, 3000, 3000, 2000, 6000]
    write(tmp_path / "out.mp4", [Fraction(t, 90_000) for t in ticks])
    assert [t * 90_000 for t in times(tmp_path / "out.mp4")] == [0, 3000, 3001, 3002, 6000]
    assert [r.levelname for r in caplog.records].count("WARNING") == 1


def test_a_source_that_starts_again_goes_on(tmp_path: Path) -> None:
    moments: list[Fraction | None] = [Fraction(i % 60, 30) for i in range(150)]
    write(tmp_path / "out.mp4", moments)
    assert times(tmp_path / "out.mp4") == [Fraction(i, 30) for i in range(150)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("matrix", "tag"), [("bt601", 6), ("bt709", 1)])
def test_colour_is_tagged_as_it_came(
    tmp_path: Path, suffix: str, matrix: str, tag: int, full_range: bool
) -> None:
    color = ColorSpace("bt709" if matrix == "bt709" else "bt601", full_range)
    path = tmp_path / f"out{suffix}"
    items = (rendered(i, pts=Fraction(i, 30), color=color) for i in range(3))
    write_all(FileSink(str(path)), output_info(source_info(color=color)), items)
    frame = decoded(path)[0]
    assert (int(frame.colorspace), int(frame.color_range)) == (tag, 2 if full_range else 1)


def test_planes_arrive_unconverted(tmp_path: Path) -> None:
    planes = flat(235, Size(64, 48))
    planes.u[:], planes.v[:] = 90, 200
    planes.y[:24] = 16
    item = Rendered(planes, Frame(planes, 0, 0.0, Fraction(0)), None)
    config = OutputConfig(crf=1)
    write_all(FileSink(str(tmp_path / "out.mp4"), config), output_info(), [item])
    frame = decoded(tmp_path / "out.mp4")[0]
    assert frame.format.name == "yuv420p"
    for plane, want in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        got = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
        np.testing.assert_allclose(got[:, : plane.width], want, atol=3)


@pytest.mark.parametrize("size", [Size(101, 67), Size(64, 47), Size(1, 1), Size(3, 200)])
def test_odd_sizes_get_one_more_pixel_of_edge(tmp_path: Path, size: Size) -> None:
    items = [rendered(i, size=size, pts=Fraction(i, 30)) for i in range(3)]
    config = OutputConfig(crf=1)
    sink = FileSink(str(tmp_path / "out.mp4"), config)
    write_all(sink, output_info(source_info(size)), items)
    frame = decoded(tmp_path / "out.mp4")[2]
    assert (frame.width, frame.height) == (
        size.width + size.width % 2,
        size.height + size.height % 2,
    )
    got = luma(frame).astype(int)
    want = np.pad(items[2].picture.y, ((0, size.height % 2), (0, size.width % 2)), mode="edge")
    assert np.abs(got - want).mean() < 3


def test_odd_sizes_stay_in_webm(tmp_path: Path) -> None:
    items = [rendered(i, size=Size(101, 67), pts=Fraction(i, 30)) for i in range(3)]
    write_all(FileSink(str(tmp_path / "o.webm")), output_info(source_info(Size(101, 67))), items)
    frame = decoded(tmp_path / "o.webm")[0]
    assert (frame.width, frame.height) == (101, 67)


@pytest.mark.parametrize("size", [Size(200, 48), Size(20, 60), Size(640, 480), Size(31, 17)])
def test_another_size_is_fitted_with_bars(tmp_path: Path, size: Size) -> None:
    whites = Rendered(flat(235, size), Frame(flat(235, size), 1, 0.0, Fraction(1, 30)), None)
    items = [rendered(0, pts=Fraction(0)), whites]
    write_all(FileSink(str(tmp_path / "o.mp4"), OutputConfig(crf=1)), output_info(), items)
    got = luma(decoded(tmp_path / "o.mp4")[1])
    assert got.shape == (48, 64)
    scale = min(64 / size.width, 48 / size.height)
    share = round(size.width * scale) * round(size.height * scale) / (64 * 48)
    assert abs((got > 125).mean() - share) < 0.03
    assert got[24, 32] > 220
    if share < 0.95:
        assert got[0, 0] < 24


def test_pixel_shape_of_an_anamorphic_source_is_kept(tmp_path: Path) -> None:
    from media import write_clip

    clip = write_clip(tmp_path / "in.mp4", frames=2, options={"x264-params": "sar=4/3"})
    with av.open(str(clip)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    info = source_info(Size(160, 96), path=clip)
    items = [rendered(0, size=Size(160, 96), pts=Fraction(0))]
    write_all(FileSink(str(tmp_path / "out.mp4")), output_info(info), items)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def gradient_alpha(size: Size) -> np.ndarray:
    return np.tile(np.linspace(0, 255, size.width).astype(np.uint8), (size.height, 1))


@pytest.mark.parametrize("size", [Size(64, 48), Size(101, 67)])
@pytest.mark.parametrize("full_range", [False, True])
def test_mov_carries_alpha(tmp_path: Path, size: Size, full_range: bool) -> None:
    alpha, color = gradient_alpha(size), ColorSpace("bt709", full_range)
    items = [
        rendered(i, size=size, pts=Fraction(i, 30), alpha=alpha, color=color) for i in range(3)
    ]
    info = output_info(source_info(size, color=color), alpha=True)
    write_all(FileSink(str(tmp_path / "out.mov")), info, items)
    frame = decoded(tmp_path / "out.mov")[2]
    assert (frame.width, frame.height) == (
        size.width + size.width % 2,
        size.height + size.height % 2,
    )
    y, u, _v, a = (f[: size.height, : size.width] for f in ten_bit(frame))
    np.testing.assert_allclose(a * 255, alpha, atol=2)
    levels = 255.0 if full_range else 219.0
    want = (items[2].picture.y.astype(float) - (0 if full_range else 16)) / levels
    np.testing.assert_allclose((y * 1023 - 64) / 876, want, atol=0.05)
    np.testing.assert_allclose(u.mean(), 0.5, atol=0.01)
    assert int(frame.color_range) == 1


def ten_bit(frame: av.VideoFrame) -> list[np.ndarray]:
    """Planes of a 10- or 12-bit frame, scaled to 0..1."""
    top = 4095 if "12" in frame.format.name else 1023
    assert frame.format.name.startswith("yuva444p1")
    rows = [np.frombuffer(memoryview(p), "<u2").reshape(p.height, -1) for p in frame.planes]
    return [r[:, : frame.width] / top for r in rows]


def test_webm_carries_alpha(tmp_path: Path) -> None:
    size, alpha = Size(101, 67), gradient_alpha(Size(101, 67))
    items = [rendered(i, size=size, pts=Fraction(i, 30), alpha=alpha) for i in range(3)]
    info = output_info(source_info(size), alpha=True)
    write_all(FileSink(str(tmp_path / "out.webm")), info, items)
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder drops alpha
    frames: list[av.VideoFrame] = []
    with av.open(str(tmp_path / "out.webm")) as container:
        for packet in container.demux(video=0):
            frames += decoder.decode(packet)
    assert frames[0].format.name == "yuva420p"
    plane = frames[-1].planes[3]
    got = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, :101]
    assert np.abs(got.astype(int) - alpha).mean() < 4


def test_a_picture_without_alpha_is_opaque(tmp_path: Path) -> None:
    items = [rendered(0, pts=Fraction(0))]
    write_all(FileSink(str(tmp_path / "out.mov")), output_info(alpha=True), items)
    assert ten_bit(decoded(tmp_path / "out.mov")[0])[3].min() > 0.99


def test_settings_reach_the_encoder(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [flat(0, Size(64, 48)) for _ in range(9)]
    for planes in pictures:
        planes.y[:] = random.integers(0, 255, (48, 64))
    frames = [Frame(planes, i, 0.0, Fraction(i, 30)) for i, planes in enumerate(pictures)]
    sizes = []
    for crf in (5, 45):
        items = [Rendered(frame.planes, frame, None) for frame in frames]
        path = tmp_path / f"{crf}.mp4"
        write_all(FileSink(str(path), OutputConfig(crf=crf)), output_info(), items)
        sizes.append(path.stat().st_size)
    assert sizes[0] > 4 * sizes[1]


def test_the_planes_may_be_reused_after_write(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out.mp4"), OutputConfig(preset="medium"))
    sink.open(output_info())
    shared = Planes.empty(Size(64, 48))
    for i in range(60):
        item = rendered(i, pts=Fraction(i, 30))
        np.copyto(shared.y, item.picture.y)
        np.copyto(shared.u, item.picture.u)
        np.copyto(shared.v, item.picture.v)
        sink.write(Rendered(shared, item.frame, None))
        shared.y[:] = 0
    sink.close()
    assert numbers(tmp_path / "out.mp4") == list(range(60))


def test_writing_before_open_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="not open"):
        FileSink(str(tmp_path / "x.mp4")).write(rendered(0))


def test_padding_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    size = Size(33, 17)
    items = [rendered(i, size=size, pts=Fraction(i, 30)) for i in range(4)]
    write_all(FileSink(str(tmp_path / "out.mp4")), output_info(source_info(size)), items)
    assert [r.getMessage() for r in caplog.records if "padded" in r.message] == [
        f"{tmp_path / 'out.mp4'}: 33x17 padded to even 34x18"
    ]


def test_an_effect_may_change_the_size(tmp_path: Path) -> None:
    wide = Size(128, 48)
    info = OutputInfo(source_info(), wide)
    frame = rendered(0, pts=Fraction(0)).frame
    write_all(FileSink(str(tmp_path / "o.mp4")), info, [Rendered(flat(99, wide), frame, None)])
    assert decoded(tmp_path / "o.mp4")[0].width == 128
    assert frame.color == BT601
