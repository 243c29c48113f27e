"""Downloads from a real server on loopback: whole, resumed, cut, refused, wrong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeseg import pull
from edgeseg.errors import ConfigError, SinkError, SourceError
from edgeseg.pull import PUBLISHED, Published, fetch, published

CONTENT = bytes(range(256)) * 1000
HALF = len(CONTENT) // 2
Answer = Callable[[BaseHTTPRequestHandler], None]


def whole(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT)


def ranged(handler: BaseHTTPRequestHandler) -> None:
    """The bytes asked for, or all."""
    asked = handler.headers.get("Range")
    if asked is None:
        whole(handler)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("Content-Length", str(len(CONTENT) - start))
    handler.end_headers()
    handler.wfile.write(CONTENT[start:])


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Promises everything, sends half of what was asked for, hangs up."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("Content-Length", str(len(CONTENT) - start))
    handler.end_headers()
    handler.wfile.write(CONTENT[start : start + (len(CONTENT) - start) // 2])


def cut_without_range(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:HALF])


def states(code: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_error(code)

    return answer


def altered(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()  # no length: ends when the connection does
    handler.wfile.write(b"?" + CONTENT[1:])


def larger(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT) + 1))
    handler.end_headers()


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.server.over.wait(5)  # type: ignore[attr-defined]


class Server(ThreadingHTTPServer):
    """Its n-th request gets the n-th answer, the last one for ever after."""

    daemon_threads = False

    def __init__(self) -> None:
        self.answers: list[Answer] = [ranged]
        self.asked: list[str | None] = []
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.headers.get("Range"))
                outer.answers[min(len(outer.asked), len(outer.answers)) - 1](self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def entry(self) -> Published:
        digest = hashlib.sha256(CONTENT).hexdigest()
        url = f"http://127.0.0.1:{self.server_address[1]}/net.pth"
        return Published("net", "sinet", url, digest, len(CONTENT), "made up")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.over.set()
    made.shutdown()
    made.server_close()
    thread.join()


def get(server: Server, target: Path, **options: float) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    settings = {"timeout_s": 2.0, "pause_s": 0.0} | options
    fetch(server.entry, target, progress=lambda *now: seen.append(now), **settings)
    return seen


def test_a_file_arrives_whole_and_nothing_lies_beside_it(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "net.pth"
    seen = get(server, target)
    assert target.read_bytes() == CONTENT
    assert [p.name for p in target.parent.iterdir()] == ["net.pth"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    get(server, target)
    assert len(server.asked) == 1, "the right file was fetched again"


def test_a_wrong_file_at_the_target_is_replaced(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "net.pth"
    target.write_bytes(b"something else")
    get(server, target)
    assert target.read_bytes() == CONTENT


def test_an_earlier_beginning_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    get(server, tmp_path / "net.pth")
    assert server.asked == ["bytes=1000-"]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_cut_connections_are_continued(server: Server, tmp_path: Path) -> None:
    server.answers = [cut, cut, ranged]
    get(server, tmp_path / "net.pth")
    assert server.asked == [None, f"bytes={HALF}-", f"bytes={HALF + HALF // 2}-"]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_server_that_cannot_continue_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.answers = [cut_without_range, whole]
    get(server, tmp_path / "net.pth")
    assert server.asked == [None, f"bytes={HALF}-"]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_beginning_the_server_refuses_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    server.answers = [states(416), ranged]
    get(server, tmp_path / "net.pth")
    assert server.asked == ["bytes=1000-", None]
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_beginning_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "net.pth")
    assert server.asked == [None]


def test_giving_up_says_how_far_it_came_and_keeps_it(server: Server, tmp_path: Path) -> None:
    server.answers = [cut_without_range]
    with pytest.raises(
        SourceError,
        match=r"net\.pth: the connection was cut; 128,000 of 256,000 bytes are there, run the "
        r"command again to continue$",
    ):
        get(server, tmp_path / "net.pth")
    assert (tmp_path / "net.pth.part").read_bytes() == CONTENT[:HALF]
    assert len(server.asked) == 1 + pull.ATTEMPTS


def test_a_missing_file_is_said_at_once(server: Server, tmp_path: Path) -> None:
    server.answers = [states(404)]
    with pytest.raises(SourceError, match=r"net\.pth: the server says 404 Not Found$"):
        get(server, tmp_path / "net.pth")
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.answers = [states(503), states(429), ranged]
    get(server, tmp_path / "net.pth")
    assert len(server.asked) == 3


def test_a_wrong_file_is_deleted_and_both_sums_are_named(server: Server, tmp_path: Path) -> None:
    server.answers = [altered]
    found = hashlib.sha256(b"?" + CONTENT[1:]).hexdigest()
    with pytest.raises(
        SourceError, match=rf"sha256 is {found}, expected {server.entry.sha256}; .*was deleted"
    ):
        get(server, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [larger]
    with pytest.raises(SourceError, match=r"server offers 256,001 bytes, expected 256,000; noth"):
        get(server, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "ATTEMPTS", 1)
    server.answers = [silent]
    with pytest.raises(SourceError, match=r"timed out; 0 of 256,000 bytes are there"):
        get(server, tmp_path / "net.pth", timeout_s=0.2)


def test_no_server_is_one_line(server: Server, tmp_path: Path) -> None:
    entry = server.entry
    server.shutdown()
    server.server_close()
    with pytest.raises(SourceError, match=r"refused; 0 of 256,000 bytes are there"):
        fetch(entry, tmp_path / "net.pth", timeout_s=0.5, pause_s=0.0)


def test_a_place_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match=r"file/net\.pth: the download cannot be stored: "):
        get(server, tmp_path / "file" / "net.pth")


def test_the_table_is_pinned() -> None:
    for name, entry in PUBLISHED.items():
        assert entry.name == name
        commit = entry.url.split("/")[5]
        assert len(commit) == 40
        assert entry.url.startswith("https://")
        assert len(entry.sha256) == 64
        assert int(commit + entry.sha256, 16)
    with pytest.raises(ConfigError, match=r"'sinett'; did you mean 'sinet'\? \(can be pulled: "):
        published("sinett")
