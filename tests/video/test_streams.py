"""StreamSource against real servers on loopback: HTTP, TCP, UDP, RTSP."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media import number_of, picture, to_av, write_clip
from servers import (
    FFMPEG,
    RTSP_SERVER,
    Behaviour,
    Visit,
    endless,
    ffmpeg,
    free_port,
    rtsp_server,
    serving,
)

from edgeseg.config import SourceConfig
from edgeseg.errors import SourceError, SourceNotFound
from edgeseg.ops.planes import to_bgr
from edgeseg.types import Frame, Size
from edgeseg.video.streams import StreamSource
from edgeseg.video.transport import FailsOnce

PACKET = 188


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MPEG-TS of 60 numbered frames at 30 fps, with a key frame every 10."""
    path = tmp_path_factory.mktemp("stream") / "clip.ts"
    return write_clip(path, frames=60, gop=10).read_bytes()


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def open_stream(uri: str, **settings: Any) -> StreamSource:
    return StreamSource(SourceConfig(uri=uri, **{"backoff_s": 0.05, **settings}))


def read(source: StreamSource, count: int) -> list[Frame]:
    frames: list[Frame] = []
    while len(frames) < count and (frame := source.read()) is not None:
        frames.append(frame)
    return frames


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(f.planes.y) for f in frames]


def times(frames: list[Frame]) -> list[Fraction]:
    return [f.pts for f in frames if f.pts is not None]


def part(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share) // PACKET * PACKET]


def whole(content: bytes, *, ranges: bool = True, cut_to: int | None = None) -> Behaviour:
    """Answers like a file server, with byte ranges; ``cut_to`` breaks the first answer off."""

    def behave(visit: Visit) -> None:
        asked = visit.headers.get("Range", "bytes=0-") if ranges else "bytes=0-"
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        extra = {"Accept_Ranges": "bytes"} if ranges else {}
        status = 206 if first else 200
        visit.start(status=status, Content_Length=str(len(content) - first), **extra)
        visit.send(content[first : cut_to if not first else None])

    return behave


def test_live_http_gives_every_frame_with_its_time_of_arrival(clip: bytes) -> None:
    with serving(endless(clip, seconds=1.0, then_hang=True)) as server:
        source = open_stream(server.url)
        frames = read(source, 50)
        source.close()
    assert source.info.live
    assert source.info.frames is None
    assert source.info.fps == 30
    assert source.info.size == Size(160, 96)
    assert numbers(frames) == list(range(50))
    assert times(frames) == [i * Fraction(1, 30) for i in range(50)]
    assert frames[-1].captured_at - frames[0].captured_at > 0.2
    assert not any(f.cut for f in frames)
    assert source.counters.reconnects == source.counters.damaged == 0


def test_a_server_that_hangs_up_and_comes_back(clip: bytes) -> None:
    half = part(clip, 0.5)
    with serving(
        endless(half, seconds=0.2), endless(half, seconds=0.2), endless(clip, seconds=0.2)
    ) as server:
        source = open_stream(server.url)
        frames = read(source, 100)
        source.close()
    cuts = [f.index for f in frames if f.cut]
    assert len(cuts) == source.counters.reconnects == 2
    assert numbers([frames[i] for i in cuts]) == [0, 0]
    assert [f.index for f in frames] == list(range(100))
    assert all(a < b for a, b in pairwise(times(frames)))
    assert all((t / source.info.time_base).denominator == 1 for t in times(frames))


def test_a_server_that_falls_silent_is_left(clip: bytes) -> None:
    with serving(
        endless(part(clip, 0.5), seconds=0.2, then_hang=True), endless(clip, seconds=0.2)
    ) as server:
        source = open_stream(server.url, stale_s=0.5)
        begun = time.monotonic()
        frames = read(source, 50)
        assert 0.5 < time.monotonic() - begun < 3
        source.close()
    (cut,) = [f for f in frames if f.cut]
    before = frames[cut.index - 1]
    assert cut.pts is not None
    assert before.pts is not None
    assert float(cut.pts - before.pts) == pytest.approx(
        cut.captured_at - before.captured_at, abs=0.001
    )
    assert source.counters.reconnects == 1


def test_a_stream_that_does_not_come_back_is_lost(clip: bytes) -> None:
    def gone(visit: Visit) -> None:
        visit.start(status=503)

    with serving(endless(clip, seconds=0.1), gone) as server:
        source = open_stream(server.url, reconnect=3, backoff_s=0.05)
        message = r"lost after \d+ frames and not back after 3 attempts: HTTP 503"
        with pytest.raises(SourceError, match=message) as caught:
            read(source, 1000)
        source.close()
        assert server.visits == 4
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_behind_a_url_ends(clip: bytes, ranges: bool) -> None:
    with serving(whole(clip, ranges=ranges)) as server:
        source = open_stream(server.url)
        frames = read(source, 1000)
        assert source.read() is None
        source.close()
    assert not source.info.live
    assert numbers(frames) == list(range(60))
    assert source.counters.reconnects == 0


def test_an_mp4_with_its_index_at_the_end(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "clip.mp4", frames=30).read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")
    with serving(whole(content)) as server:
        source = open_stream(server.url)
        assert source.info.frames == 30
        assert numbers(read(source, 1000)) == list(range(30))
        source.close()


def test_a_broken_download_is_resumed_where_it_broke(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "c.mp4",
        codec="mjpeg",
        pix_fmt="yuvj420p",
        frames=90,
        size=Size(640, 480),
        container_options={"movflags": "faststart"},
    )
    content = path.read_bytes()
    assert len(content) > 3 * (1 << 16), "the break has to lie beyond the first buffer"
    with serving(whole(content, cut_to=len(content) // 2)) as server:
        source = open_stream(server.url)
        assert numbers(read(source, 1000)) == list(range(90))
        source.close()
    assert source.counters.reconnects == 1
    assert source.counters.damaged == 0


def test_a_broken_download_that_cannot_be_resumed_is_an_error(clip: bytes) -> None:
    def behave(visit: Visit) -> None:
        visit.start(Content_Length=str(len(clip)))
        visit.send(part(clip, 0.5))

    with serving(behave) as server:
        source = open_stream(server.url)
        message = rf"lost after \d+ frames: broke off after \d+ of {len(clip)} bytes"
        with pytest.raises(SourceError, match=message):
            read(source, 1000)
        source.close()


def test_redirects_and_motion_jpeg_cameras(tmp_path: Path) -> None:
    def moved(visit: Visit) -> None:
        visit.start(status=302, Location="/video?size=small", Content_Length="0")

    def camera(visit: Visit) -> None:
        assert visit.path == "/video?size=small"
        visit.start(Content_Type="multipart/x-mixed-replace; boundary=frame")
        for i in range(40):
            image = jpeg(i)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
            visit.send(head.encode() + image + b"\r\n")
        visit.hang()

    with serving(moved, camera) as server:
        source = open_stream(server.url)
        frames = read(source, 30)
        source.close()
    assert numbers(frames) == list(range(30))
    assert source.info.live
    assert {f.pts for f in frames} == {None}, "these cameras send no times"


@pytest.mark.parametrize("name", ["live.m3u8", "playlist"])
def test_hls(tmp_path: Path, name: str) -> None:
    write_clip(
        tmp_path / "live.m3u8",
        frames=60,
        gop=15,
        container_format="hls",
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    files = {f"/{p.name}": p.read_bytes() for p in tmp_path.iterdir()}
    assert len(files) > 2

    def behave(visit: Visit) -> None:
        content = files.get(visit.path, files["/live.m3u8"])
        kind = "video/mp2t" if visit.path.endswith(".ts") else "application/vnd.apple.mpegurl"
        visit.start(Content_Length=str(len(content)), Content_Type=kind)
        visit.send(content)

    with serving(behave) as server:
        source = open_stream(server.url.replace("live.ts", name))
        assert numbers(read(source, 1000)) == list(range(60))
        assert source.info.frames == 60
        source.close()


def jpeg(index: int) -> bytes:
    import av

    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 96, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    return b"".join(map(bytes, encoder.encode(to_av(picture(index, Size(160, 96)), "yuvj420p"))))


def test_passwords_are_sent_and_never_shown(clip: bytes) -> None:
    seen = []

    def behave(visit: Visit) -> None:
        seen.append(visit.headers.get("Authorization"))
        whole(clip)(visit)

    with serving(behave) as server:
        source = open_stream(server.url.replace("//", "//me:s%3Acret@"))
        source.close()
    assert seen[0] == "Basic bWU6czpjcmV0"  # me:s:cret
    assert "cret" not in source.info.uri
    assert "//me:***@" in source.info.uri


def test_bad_addresses_are_explained(clip: bytes) -> None:
    def page(visit: Visit) -> None:
        visit.start(Content_Type="text/html", Content_Length="400")
        visit.send(b"<html>".ljust(400))

    def missing(visit: Visit) -> None:
        visit.start(status=404)

    port = free_port()
    with (
        serving(page) as html,
        serving(missing) as nowhere,
        serving(endless(b"", seconds=0)) as mute,
    ):
        expected = {
            html.url: "not a video stream that FFmpeg knows",
            nowhere.url: "HTTP 404 Not Found",
            mute.url: "cannot be opened: ",
            f"http://127.0.0.1:{port}/": "Connection refused",
            f"rtsp://me:secret@127.0.0.1:{port}/live": r"rtsp://me:\*\*\*@.*Connection refused",
            "http://no-such-host.invalid/": "cannot be opened: ",
            "tcp://127.0.0.1": "expected tcp://HOST:PORT",
            "tcp://127.0.0.1:99999": "Port out of range 0-65535",
            "http://127.0.0.1:99999/": "Port out of range 0-65535",
            "http://me:secret@[::1": r"http://me:\*\*\*@\[::1: cannot be opened: Invalid IPv6 URL",
            "http:///live": "is no http:// address of a host",
        }
        for uri, message in expected.items():
            with pytest.raises(SourceNotFound, match=message) as caught:
                open_stream(uri, timeout_s=3)
            assert caught.value.exit_code == 2
            assert "\n" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for uri in (f"http://127.0.0.1:{port}/", f"rtsp://127.0.0.1:{port}/live"):
            begun = time.monotonic()
            with pytest.raises(SourceNotFound, match=r"no answer in time|fell silent"):
                open_stream(uri, timeout_s=0.3)
            assert time.monotonic() - begun < 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "both.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    outputs = ["-nodes", "-days", "2", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command, *subject, *outputs], check=True, capture_output=True)
    made.write_text(made.read_text() + key.read_text())
    return made


def test_https_with_a_certificate_that_is_trusted_or_not(
    clip: bytes, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(whole(clip), certificate=certificate) as server:
        assert server.url.startswith("https://")
        with pytest.raises(SourceNotFound, match="its certificate cannot be verified: self"):
            open_stream(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        source = open_stream(server.url)
        assert numbers(read(source, 1000)) == list(range(60))
        source.close()


def interrupt_soon(source: StreamSource) -> float:
    """Interrupts a blocked read from another thread; returns how long that and close took."""
    timer = threading.Timer(0.3, source.interrupt)
    timer.start()
    while source.read() is not None:
        pass
    timer.join()
    begun = time.monotonic()
    assert source.read() is None
    source.close()
    source.close()
    return time.monotonic() - begun


def test_interrupt_ends_silence_at_once(clip: bytes) -> None:
    with serving(endless(clip, seconds=0.1, then_hang=True)) as server:
        source = open_stream(server.url, stale_s=60)
        assert interrupt_soon(source) < 1


def test_interrupt_ends_the_pause_between_attempts(clip: bytes) -> None:
    with serving(endless(clip, seconds=0.1), lambda visit: visit.start(status=503)) as server:
        source = open_stream(server.url, backoff_s=60)
        assert interrupt_soon(source) < 1


def test_interrupt_ends_an_attempt_to_connect(clip: bytes) -> None:
    with serving(endless(clip, seconds=0.1), lambda visit: visit.hang()) as server:
        source = open_stream(server.url, timeout_s=60, backoff_s=0.01)
        assert interrupt_soon(source) < 1


def test_a_reader_that_falls_behind_skips_to_a_key_frame(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "long.ts", frames=600, gop=10).read_bytes()
    with serving(endless(content, seconds=0.5, then_hang=True)) as server:
        source = open_stream(server.url)
        first = read(source, 5)
        time.sleep(0.8)
        rest = read(source, 100)
        source.close()
    assert numbers(first) == list(range(5))
    assert source.counters.dropped > 200
    gap = next(b for a, b in pairwise(numbers(first + rest)) if b != a + 1)
    assert gap % 10 == 0


def test_a_late_reader_starts_at_the_newest_key_frame(
    clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.video.connection._BEHIND_S", 0.3)
    with serving(endless(clip, seconds=0.6, then_hang=True)) as server:
        source = open_stream(server.url)
        time.sleep(0.8)
        shown = numbers(read(source, 5))
        source.close()
    assert shown[0] == 0, "the frame the stream was opened with"
    assert shown[1] in (40, 50)
    assert shown[2:] == [shown[1] + i for i in (1, 2, 3)]
    assert source.counters.dropped > 20


def test_damage_on_the_way_is_counted(clip: bytes) -> None:
    broken = bytearray(clip)
    middle = len(broken) // 2
    broken[middle : middle + 700] = bytes(700)
    with serving(endless(bytes(broken), seconds=0.2, then_hang=True)) as server:
        source = open_stream(server.url, stale_s=1)
        frames = read(source, 45)
        source.close()
    assert source.counters.damaged > 0
    assert numbers(frames)[-1] > 40


def test_tcp(clip: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                with listener.accept()[0] as client:
                    client.sendall(clip)

        thread = threading.Thread(target=serve)
        thread.start()
        source = open_stream(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        frames = read(source, 100)
        source.close()
        thread.join()
    assert [f.index for f in frames if f.cut] == [60]
    assert numbers(frames) == [i % 60 for i in range(100)]


@pytest.mark.parametrize("group", ["127.0.0.1", "239.255.42.42"])
def test_udp(clip: bytes, group: str) -> None:
    port = free_port()
    over = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            while not over.is_set():
                for i in range(0, len(clip), PACKET * 7):
                    sender.sendto(clip[i : i + PACKET * 7], (group, port))
                    over.wait(0.005)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        source = open_stream(f"udp://@{group}:{port}", stale_s=2, timeout_s=3)
        frames = read(source, 30)
        source.close()
    except OSError:
        if group.startswith("239"):
            pytest.skip("this machine has no route for multicast")
        raise
    finally:
        over.set()
        thread.join()
    assert len(set(numbers(frames))) == 30


@pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg program to serve HTTP")
def test_ffmpeg_as_http_server(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=60)
    uri = f"http://127.0.0.1:{free_port()}/live"
    with ffmpeg("-i", path, "-c", "copy", "-f", "mpegts", "-listen", "1", uri):
        source = eventually(uri)
        frames = read(source, 55)
        source.close()
    assert numbers(frames) == list(range(55))
    assert source.info.live


def eventually(uri: str) -> StreamSource:
    """Opens a stream whose server needs a moment to start."""
    for _ in range(100):
        try:
            return open_stream(uri)
        except SourceNotFound as error:
            if "refused" not in str(error):
                raise
            time.sleep(0.05)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def rtsp_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 numbered RGB pictures for the RTSP server."""
    path = tmp_path_factory.mktemp("rtsp") / "frames.npy"
    np.save(path, [to_bgr(picture(i, Size(160, 96)))[..., ::-1] for i in range(200)])
    return path


@pytest.mark.skipif(not RTSP_SERVER, reason="no RTSP server: pip install rtsp (a small one)")
def test_rtsp_through_a_pause_a_restart_and_an_interruption(rtsp_frames: Path) -> None:
    port = free_port()
    with rtsp_server(port, rtsp_frames, fps=50) as server:
        source = open_stream(f"rtsp://127.0.0.1:{port}/live", stale_s=3)
        frames = read(source, 20)
        assert all(b == (a + 1) % 200 for a, b in pairwise(numbers(frames)))
        server.send_signal(signal.SIGSTOP)  # longer than one read waits, shorter than stale_s
        threading.Timer(1.2, server.send_signal, [signal.SIGCONT]).start()
        frames += read(source, 60)
        assert source.counters.reconnects == 0
    with rtsp_server(port, rtsp_frames, fps=50) as server:
        frames += read(source, 60)
        server.send_signal(signal.SIGSTOP)
        assert interrupt_soon(source) < 2
    assert source.info.live
    assert source.info.fps == 50
    assert source.counters.reconnects == 1
    assert len([f for f in frames if f.cut]) == 1
    assert len(times(frames)) == len(frames) == 140
    assert all(a < b for a, b in pairwise(times(frames)))


def test_odd_answers_and_addresses(clip: bytes) -> None:
    def away(visit: Visit) -> None:
        visit.start(status=302, Location="ftp://elsewhere/x")

    def no_number(visit: Visit) -> None:
        assert visit.path == "/%C3%BC%20x?a=%20b"
        visit.start(Content_Length="many")
        visit.send(clip)

    with serving(away) as server, pytest.raises(SourceNotFound, match="ftp://elsewhere/x is no"):
        open_stream(server.url)
    with serving(no_number) as server:
        source = open_stream(server.url.replace("live.ts", "ü x?a=%20b"))
        assert len(read(source, 5)) == 5
        source.close()


def test_a_failing_reader_fails_once(capfd: pytest.CaptureFixture[str]) -> None:
    """FFmpeg reads on after an error; PyAV would print the traceback of all but the last."""

    class Broken:
        def read(self, size: int) -> bytes:
            raise ConnectionError("gone")

    reader = FailsOnce(Broken())
    with pytest.raises(ConnectionError, match="gone"):
        av.open(reader, mode="r", format="mpegts")
    assert reader.read(10) == b""
    assert capfd.readouterr().err == ""
