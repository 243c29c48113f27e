"""FileSource on real clips: every frame, its exact time, its colours, and files that are broken."""

from __future__ import annotations

import struct
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.stream
import numpy as np
import pytest
from media import damage, has_encoder, number_of, picture, truncate, write_clip, write_sound

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceNotFound
from edgeseg.types import BT601, ColorSpace, Frame, Size
from edgeseg.video.files import FileSource

ODD = Size(161, 97)
HOLLOW_MP4 = (  # a movie header and no tracks
    struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
    + struct.pack(">I4sI4s12xII80x", 116, b"moov", 108, b"mvhd", 1000, 0)
)


def open_file(path: Path, **settings: Any) -> FileSource:
    return FileSource(SourceConfig(uri=str(path), **settings))


def read_all(source: FileSource) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


@dataclass(frozen=True)
class Clip:
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    color: ColorSpace = BT601

    def __str__(self) -> str:
        return self.name


CLIPS = [
    Clip("h264.mp4"),
    Clip("h264_b_frames.mp4", {"options": {"preset": "fast", "bf": "3"}}),
    Clip("h264_sound.ts", {"audio": True}),
    Clip("h264_full.mp4", {"full_range": True, "matrix": "bt709"}, ColorSpace("bt709", True)),
    Clip("h264_10_bit.mkv", {"pix_fmt": "yuv420p10le"}),
    Clip("h264_444_odd.mkv", {"pix_fmt": "yuv444p", "size": ODD}),
    Clip("h264_rgb.mkv", {"codec": "libx264rgb", "pix_fmt": "rgb24"}),
    Clip("hevc.mp4", {"codec": "libx265"}),
    Clip(
        "hevc_hdr.mp4",
        {"codec": "libx265", "pix_fmt": "yuv420p10le", "matrix": "bt2020"},
        ColorSpace("bt709"),
    ),
    Clip("vp9_odd.webm", {"codec": "libvpx-vp9", "size": ODD, "audio": True}),
    Clip("av1.mp4", {"codec": "libsvtav1"}),
    Clip("mjpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}, ColorSpace("bt601", True)),
    Clip(
        "mjpeg_422_odd.mkv",
        {"codec": "mjpeg", "pix_fmt": "yuvj422p", "size": ODD},
        ColorSpace("bt601", True),
    ),
    Clip("palette.gif", {"codec": "gif", "pix_fmt": "rgb8", "rate": 25}),
    Clip("fragmented.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
]


@pytest.mark.parametrize("clip", CLIPS, ids=str)
def test_every_frame_of_an_intact_clip_arrives_in_order(tmp_path: Path, clip: Clip) -> None:
    if not has_encoder(clip.settings.get("codec", "libx264")):
        pytest.skip(f"this FFmpeg cannot write {clip.settings['codec']}")
    path = write_clip(tmp_path / clip.name, **clip.settings)
    size = clip.settings.get("size", Size(160, 96))
    rate = Fraction(clip.settings.get("rate", 30))

    source = open_file(path)
    frames = read_all(source)

    assert [number_of(f.planes.y) for f in frames] == list(range(20))
    assert [f.index for f in frames] == list(range(20))
    assert {f.size for f in frames} == {size} == {source.info.size}
    assert {f.color for f in frames} == {clip.color} == {source.info.color}
    assert source.info.fps == pytest.approx(rate)
    assert source.info.frames is not None
    assert abs(source.info.frames - 20) <= clip.name.endswith("webm"), "an estimate in WebM only"
    assert source.counters.damaged == 0
    half = source.info.time_base  # containers with a coarse clock round
    start = frames[0].pts
    assert start is not None
    for i, frame in enumerate(frames):
        assert frame.pts is not None
        assert abs(frame.pts - start - i / rate) <= half
    red = frames[0].planes.v[:, 3 : size.chroma.width // 2 - 3]
    assert abs(float(red.mean()) - 180) < 12, "chroma is lost or swapped"
    black = frames[0].planes.y[10:-10, size.width * 3 // 4 + 4 : -4]
    level = 16 if clip.color.full_range and "mjpeg" in clip.name else 30  # FFmpeg converted it
    assert abs(float(black.mean()) - level) < (20 if "gif" in clip.name else 3)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray"]
)
def test_conversion_to_i420_keeps_the_levels(
    tmp_path: Path, pix_fmt: str, full_range: bool
) -> None:
    path = write_clip(
        tmp_path / "lossless.mkv",
        codec="ffv1",
        pix_fmt=pix_fmt,
        full_range=full_range,
        frames=2,
        size=ODD,
    )
    frame = read_all(open_file(path))[1]
    expected = picture(1, ODD)

    with av.open(str(path)) as container:
        stored = list(container.decode(video=0))[1].planes[0]
    samples = np.frombuffer(stored, np.uint16 if "10" in pix_fmt else np.uint8)
    luma = samples.reshape(stored.height, -1)[:, : stored.width] / (4 if "10" in pix_fmt else 1)
    np.testing.assert_allclose(frame.planes.y, luma, atol=1)
    assert frame.color == ColorSpace("bt601", full_range or pix_fmt == "gray")
    if pix_fmt == "gray":
        assert (frame.planes.v == 128).all()
    else:
        inside = (slice(1, -1), slice(2, 30))
        np.testing.assert_allclose(
            frame.planes.v[inside].astype(int), expected.v[inside], atol=10 if full_range else 1
        )


def test_planes_are_read_only_views_of_the_decoders_picture(tmp_path: Path) -> None:
    frames = read_all(open_file(write_clip(tmp_path / "clip.mp4", size=Size(162, 98))))
    for frame in frames:
        assert isinstance(frame.owner, av.VideoFrame)
        planes = (frame.planes.y, frame.planes.u, frame.planes.v)
        for plane, decoded in zip(planes, frame.owner.planes, strict=True):
            assert not plane.flags.writeable
            assert np.shares_memory(plane, np.frombuffer(memoryview(decoded), np.uint8))
            with pytest.raises(ValueError, match="WRITEABLE"):
                plane.flags.writeable = True


def test_frames_stay_intact_while_decoding_goes_on(tmp_path: Path) -> None:
    source = open_file(write_clip(tmp_path / "clip.mp4", frames=60))
    first = [source.read() for _ in range(5)]
    copies = [f.planes.y.copy() for f in first if f]
    read_all(source)
    for frame, copy in zip(first, copies, strict=True):
        assert frame is not None
        np.testing.assert_array_equal(frame.planes.y, copy)


@pytest.mark.parametrize(
    ("size", "matrix", "expected"),
    [
        (Size(160, 96), None, "bt601"),
        (Size(1280, 720), None, "bt709"),
        (Size(160, 96), "bt709", "bt709"),
        (Size(1280, 720), "bt601", "bt601"),
    ],
)
def test_colour_matrix_by_tag_or_by_size(
    tmp_path: Path, size: Size, matrix: str | None, expected: str
) -> None:
    source = open_file(write_clip(tmp_path / "c.mp4", size=size, matrix=matrix, frames=2))
    assert source.info.color.matrix == expected
    source.close()


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_rotation_metadata_gives_upright_frames(tmp_path: Path, degrees: int, turns: int) -> None:
    source = open_file(write_clip(tmp_path / "phone.mp4", rotation=degrees))
    expected = Size(96, 160) if degrees != 180 else Size(160, 96)
    assert source.info.size == expected
    assert "upright" in source.info.notes[1]
    for frame in read_all(source):
        assert frame.size == expected
        stored = np.rot90(frame.planes.y, -turns)
        assert number_of(stored) == frame.index
        clockwise = np.rot90(picture(frame.index, Size(160, 96)).v, turns)
        assert abs(frame.planes.v.astype(int) - clockwise).mean() < 8
        assert not frame.planes.y.flags.writeable


def test_mirrored_metadata_gives_upright_frames(tmp_path: Path) -> None:
    path = tmp_path / "selfie.mp4"
    write_clip(path, mirrored=True)
    for frame in read_all(open_file(path)):
        assert number_of(frame.planes.y[:, ::-1]) == frame.index


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 2)])
def test_fractional_rates_are_exact(tmp_path: Path, rate: Fraction) -> None:
    source = open_file(write_clip(tmp_path / "film.mp4", rate=rate))
    assert source.info.fps == rate
    assert [f.pts for f in read_all(source)] == [i / rate for i in range(20)]


def test_variable_rate_and_start_offset_are_kept(tmp_path: Path) -> None:
    times = [Fraction(n, 30) for n in (60, 61, 62, 65, 70, 71, 90, 91)]
    source = open_file(write_clip(tmp_path / "screen.mp4", times=times))
    frames = read_all(source)
    assert [f.pts for f in frames] == times
    assert all((f.pts / source.info.time_base).denominator == 1 for f in frames if f.pts)
    assert source.info.frames == len(times)


def test_threaded_decoding_gives_the_same_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=30, options={"bf": "2", "preset": "fast"})
    for threads in (0, 2):
        frames = read_all(open_file(path, decode_threads=threads))
        assert [number_of(f.planes.y) for f in frames] == list(range(30))


def test_loop_continues_time_and_marks_the_cut(tmp_path: Path) -> None:
    source = open_file(write_clip(tmp_path / "c.mp4", frames=20), loop=True, max_frames=50)
    frames = read_all(source)
    assert source.info.frames == 50
    assert [number_of(f.planes.y) for f in frames] == [i % 20 for i in range(50)]
    assert [f.pts for f in frames] == [Fraction(i, 30) for i in range(50)]
    assert [f.index for f in frames if f.cut] == [20, 40]


def test_paced_file_is_live_and_keeps_its_own_speed(tmp_path: Path) -> None:
    times = [Fraction(n, 100) for n in (50, 55, 75, 80)]
    source = open_file(write_clip(tmp_path / "c.mp4", times=times), paced=True)
    assert source.info.live
    frames = read_all(source)
    elapsed = [f.captured_at - frames[0].captured_at for f in frames]
    np.testing.assert_array_less([-0.001, 0.045, 0.245, 0.295], elapsed)
    np.testing.assert_array_less(elapsed, [0.001, 0.5, 0.7, 0.8])


def test_interrupt_ends_a_paced_wait(tmp_path: Path) -> None:
    source = open_file(write_clip(tmp_path / "slow.mp4", rate=Fraction(1, 20)), paced=True)
    assert source.read() is not None
    threading.Timer(0.1, source.interrupt).start()
    begun = time.monotonic()
    assert source.read() is None
    assert time.monotonic() - begun < 1
    source.close()


@pytest.mark.parametrize(
    ("name", "settings", "at"),
    [
        ("h264.mp4", {}, 0.5),
        ("h264.mkv", {}, 0.5),
        ("h264.ts", {}, 0.5),
        ("hevc.mp4", {"codec": "libx265"}, 0.35),
        ("vp9.webm", {"codec": "libvpx-vp9"}, 0.5),
        ("mpeg4.avi", {"codec": "mpeg4"}, 0.5),
    ],
)
def test_damage_in_the_middle_is_survived_and_counted(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    settings: dict[str, Any],
    at: float,
) -> None:
    path = write_clip(tmp_path / name, frames=120, gop=15, size=Size(320, 192), **settings)
    whole = [number_of(f.planes.y) for f in read_all(open_file(path))]
    damage(path, at=at, length=1500)
    capfd.readouterr()

    source = open_file(path)
    frames = read_all(source)
    numbers = [number_of(f.planes.y) for f in frames]

    assert source.counters.damaged > 0
    assert whole[:10] == numbers[:10]
    assert whole[-10:] == numbers[-10:], "nothing was read after the damage"
    times = [f.pts for f in frames if f.pts is not None]
    assert times == sorted(set(times))
    assert capfd.readouterr() == ("", ""), "FFmpeg talks to the terminal"


def test_a_file_that_ends_early_counts_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_clip(path, frames=60, container_options={"movflags": "faststart"})
    truncate(path, keep=0.6)
    source = open_file(path)
    frames = read_all(source)
    assert [number_of(f.planes.y) for f in frames] == list(range(len(frames)))
    assert 10 < len(frames) < 50
    if hasattr(av.stream.Stream, "index_entries"):  # PyAV 17 and later
        assert source.counters.damaged == 60 - len(frames)
    else:
        assert source.counters.damaged > 0


def test_bad_files_are_named_in_one_line(tmp_path: Path) -> None:
    cut = write_clip(tmp_path / "cut.mp4")
    truncate(cut, keep=0.5)
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    (tmp_path / "text.nfo").write_text("not a video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "head.mp4").write_bytes(cut.read_bytes()[:40])
    (tmp_path / "hollow.mp4").write_bytes(HOLLOW_MP4)
    write_sound(tmp_path / "song.m4a")
    write_sound(tmp_path / "cover.m4a", cover=True)
    header = write_clip(tmp_path / "header.mp4", container_options={"movflags": "faststart"})
    moov_end = header.read_bytes().index(b"mdat") + 4
    header.write_bytes(header.read_bytes()[:moov_end])
    expected = {
        "cut.mp4": r"cut\.mp4: this MP4 or MOV is cut off or damaged: its index \(moov\) is",
        "text.mp4": r"text\.mp4: not a video file that FFmpeg knows$",
        "text.nfo": r"text\.nfo: a text file, not a video$",
        "empty.mp4": r"empty\.mp4: the file is empty \(0 bytes\)$",
        "song.m4a": r"song\.m4a: no video in this file, only audio$",
        "cover.m4a": r"cover\.m4a: no video in this file, only a cover picture and audio$",
        "header.mp4": r"header\.mp4: no picture could be decoded from its h264 stream",
        "head.mp4": r"head\.mp4: this MP4 or MOV is cut off or damaged",
        "hollow.mp4": r"hollow\.mp4: no video in this file, it has no streams at all$",
        "missing.mp4": r"missing\.mp4: no such file$",
    }
    for name, message in expected.items():
        with pytest.raises(SourceNotFound, match=message) as caught:
            open_file(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2
