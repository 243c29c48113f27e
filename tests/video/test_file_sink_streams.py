"""Sound, subtitles and tags of the source file beside the new picture."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import SMALL, to_av, write_clip
from sink_helpers import decoded, flat, output_info, packets, rendered, source_info, write_all

from edgeseg.config import OutputConfig
from edgeseg.types import Rendered, Size
from edgeseg.video.file_sink import FileSink

FRAMES = 60
SRT = "1\n00:00:00,200 --> 00:00:00,900\nHello\n\n2\n00:00:01,000 --> 00:00:01,500\nworld\n\n"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture with sound in several containers, starting at 0 and elsewhere."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("in.mp4", "in.mov", "in.mkv", "in.ts"):
        write_clip(folder / name, frames=FRAMES, audio=True)
    write_clip(folder / "late.ts", frames=FRAMES, audio=True, start=Fraction(3, 2))
    return folder


def frames_of(clip: Path, count: int | None = None) -> list[Rendered]:
    items = []
    for index, frame in enumerate(decoded(clip)[:count]):
        assert frame.pts is not None
        assert frame.time_base is not None
        items.append(rendered(index, size=SMALL, pts=frame.pts * frame.time_base))
    return items


def convert(
    clip: Path, out: Path, *, count: int | None = None, config: OutputConfig | None = None
) -> list[Fraction | None]:
    with av.open(str(clip)) as container:
        base = container.streams.video[0].time_base or Fraction(1, 90_000)
    info = output_info(source_info(SMALL, path=clip, time_base=base))
    items = frames_of(clip, count)
    write_all(FileSink(str(out), config), info, items)
    return [item.frame.pts for item in items]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("name", ["in.mp4", "in.mov"])
def test_sound_is_copied_bit_by_bit(clips: Path, tmp_path: Path, name: str, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    moments = convert(clips / name, out)
    assert packets(out) == packets(clips / name)
    assert len(packets(out)) > 80
    assert [time for _, time in packets(out, "video")] == moments


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["in.ts", "late.ts"])
def test_a_late_start_keeps_sound_in_step(
    clips: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    clip, out = clips / name, tmp_path / f"out{suffix}"
    moments = convert(clip, out)
    lag = moments[0] - packets(clip)[0][1]  # type: ignore[operator]
    new_lag = packets(out, "video")[0][1] - packets(out)[0][1]
    assert abs(new_lag - lag) <= (Fraction(1, 1000) if suffix == ".mkv" else 0)
    assert len(packets(out)) == len(packets(clip))
    with av.open(str(out)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples >= 2 * 48_000


def test_opus_goes_into_matroska_and_webm(clips: Path, tmp_path: Path) -> None:
    for name in ("out.mkv", "out.webm"):
        convert(clips / "in.mkv", tmp_path / name)
        got, want = packets(tmp_path / name), packets(clips / "in.mkv")
        assert [data for data, _ in got] == [data for data, _ in want]
        assert [time for _, time in got] == [time for _, time in want]


def test_what_the_container_cannot_hold_is_left_out(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    convert(clips / "in.mp4", tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [s.type for s in container.streams] == ["video"]
    assert [r.getMessage() for r in caplog.records] == ["webm: not carried over: audio aac"]


def test_sound_stops_with_a_picture_that_stops_early(clips: Path, tmp_path: Path) -> None:
    convert(clips / "in.mp4", tmp_path / "out.mp4", count=30)
    sound = packets(tmp_path / "out.mp4")
    assert Fraction(9, 10) < sound[-1][1] <= 1
    assert sound == packets(clips / "in.mp4")[: len(sound)]


def test_sound_longer_than_a_whole_picture_stays(tmp_path: Path) -> None:
    clip = write_long_sound(tmp_path / "in.mp4")
    convert(clip, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4") == packets(clip)
    assert packets(clip)[-1][1] > 1


def write_long_sound(path: Path) -> Path:
    with av.open(str(path), "w") as target:
        video: Any = target.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = *SMALL, "yuv420p"
        sound: Any = target.add_stream("aac", rate=48_000)
        sound.layout = "mono"
        for i in range(15):
            frame = to_av(flat(100, SMALL))
            frame.pts, frame.time_base = i, Fraction(1, 30)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
        for first in range(0, 60_000, 960):
            wave = np.sin(np.arange(first, first + 960) / 20).astype(np.float32)
            chunk = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
            chunk.sample_rate, chunk.pts, chunk.time_base = 48_000, first, Fraction(1, 48_000)
            target.mux(sound.encode(chunk))
        target.mux(sound.encode(None))
    return path


def test_sound_can_be_left_out(clips: Path, tmp_path: Path) -> None:
    convert(clips / "in.mp4", tmp_path / "out.mp4", config=OutputConfig(audio=False))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [s.type for s in container.streams] == ["video"]


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
def test_streams_are_interleaved(clips: Path, tmp_path: Path, preset: str) -> None:
    config = OutputConfig.model_validate({"preset": preset})
    convert(clips / "in.mp4", tmp_path / "out.mkv", config=config)
    with av.open(str(tmp_path / "out.mkv")) as container:
        order = [p.stream.type for p in container.demux() if p.size]
    runs = max(
        len(run)
        for kind in ("audio", "video")
        for run in "".join("x" if o == kind else " " for o in order).split()
    )
    assert runs <= 4


def with_subtitles(clip: Path, out: Path) -> Path:
    with (
        av.open(str(clip)) as source,
        av.open(io.BytesIO(SRT.encode()), format="srt") as text,
        av.open(str(out), "w") as target,
    ):
        streams: dict[Any, Any] = {}
        for stream in (source.streams.video[0], source.streams.audio[0], text.streams[0]):
            streams[stream] = target.add_stream_from_template(stream)
        streams[text.streams[0]].metadata["language"] = "fra"
        for origin in (source, text):
            for packet in origin.demux():
                if packet.size:
                    packet.stream = streams[packet.stream]
                    target.mux(packet)
    return out


def test_subtitles_are_copied(clips: Path, tmp_path: Path) -> None:
    clip = with_subtitles(clips / "in.mkv", tmp_path / "sub.mkv")
    convert(clip, tmp_path / "out.mkv")
    assert packets(tmp_path / "out.mkv", "subtitles") == packets(clip, "subtitles")
    assert len(packets(tmp_path / "out.mkv", "subtitles")) == 2
    assert len(packets(tmp_path / "out.mkv")) == len(packets(clip))
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.subtitles[0].metadata["language"] == "fra"


def test_subtitles_that_do_not_fit_leave_the_rest(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = with_subtitles(clips / "in.mkv", tmp_path / "sub.mkv")
    convert(clip, tmp_path / "out.mp4")
    assert "mp4: not carried over: subtitle srt" in caplog.text
    assert len(packets(tmp_path / "out.mp4")) == len(packets(clip))


def tagged(path: Path) -> Path:
    """A clip as a dashcam leaves it: title, time, place, a timecode track and a turned picture."""
    with av.open(str(path), "w") as target:
        target.metadata.update(
            title="A ride",
            creation_time="2024-05-06T07:08:09.000000Z",
            location="+52.5200+013.4050/",
        )
        stream: Any = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SMALL, "yuv420p"
        stream.metadata["timecode"] = "01:00:00:00"
        stream.set_display_rotation(90)
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 5, 6
        for i in range(5):
            frame = to_av(flat(i, SMALL))
            frame.pts, frame.time_base = i, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_tags_are_copied_and_rotation_is_not(tmp_path: Path, suffix: str) -> None:
    clip, out = tagged(tmp_path / "in.mov"), tmp_path / f"out{suffix}"
    assert decoded(clip)[0].side_data.get("DISPLAYMATRIX") is not None
    upright = Size(SMALL.height, SMALL.width)
    items = [rendered(i, size=upright, pts=Fraction(i, 25)) for i in range(5)]
    write_all(FileSink(str(out)), output_info(source_info(upright, path=clip)), items)
    with av.open(str(out)) as container:
        found = {k.lower(): v for k, v in container.metadata.items()}
        video = container.streams.video[0].codec_context
        assert (video.color_primaries, video.color_trc) == (5, 6)
    assert found["title"] == "A ride"
    assert found["creation_time"] == "2024-05-06T07:08:09.000000Z"
    assert found["location"].startswith("+52.5200+013.4050")
    with av.open(str(out)) as container:
        video_tags = {k.lower(): v for k, v in container.streams.video[0].metadata.items()}
        assert video_tags["timecode"] == "01:00:00:00"
    frame = decoded(out)[0]
    assert (frame.width, frame.height) == upright
    assert frame.side_data.get("DISPLAYMATRIX") is None


def test_an_apple_place_becomes_a_place(tmp_path: Path) -> None:
    key = "com.apple.quicktime.location.ISO6709"
    clip = tmp_path / "in.mov"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(clip), "w", container_options=options) as target:
        target.metadata[key] = "+10.0000+020.0000/"
        stream: Any = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SMALL, "yuv420p"
        target.mux(stream.encode(to_av(flat(0, SMALL))))
        target.mux(stream.encode(None))
    with av.open(str(clip)) as container:
        assert key in container.metadata
    info = output_info(source_info(SMALL, path=clip))
    items = [rendered(0, size=SMALL, pts=Fraction(0))]
    write_all(FileSink(str(tmp_path / "out.mp4")), info, items)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["location"].startswith("+10.0000+020.0000")


def test_a_second_picture_is_never_copied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = tmp_path / "two.mkv"
    with av.open(str(clip), "w") as target:
        streams: list[Any] = [target.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = *SMALL, "yuv420p"
        for stream in streams:
            target.mux(stream.encode(to_av(flat(0, SMALL))))
            target.mux(stream.encode(None))
    info = output_info(source_info(SMALL, path=clip))
    items = [rendered(0, size=SMALL, pts=Fraction(0))]
    write_all(FileSink(str(tmp_path / "out.mkv")), info, items)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [s.type for s in container.streams] == ["video"]
    assert "further pictures" in caplog.text


def test_damaged_sound_does_not_end_the_run(clips: Path, tmp_path: Path) -> None:
    from media import damage

    clip = tmp_path / "bad.ts"
    clip.write_bytes((clips / "in.ts").read_bytes())
    items = frames_of(clip)
    damage(clip, at=0.3, length=6000)
    write_all(
        FileSink(str(tmp_path / "out.mp4")), output_info(source_info(SMALL, path=clip)), items
    )
    assert len(decoded(tmp_path / "out.mp4")) == FRAMES
    assert len(packets(tmp_path / "out.mp4")) > 30
