"""Servers on loopback that stream a clip, stall, hang up, and come back, as a test says."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Behaviour = Callable[["Visit"], None]


class Visit:
    """One HTTP request being answered by a behaviour."""

    def __init__(self, handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        self._handler = handler
        self._over = over
        self.headers = handler.headers
        self.path = handler.path

    def start(self, *, status: int = 200, **headers: str) -> None:
        """Sends the status line and headers (underscores become dashes)."""
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def send(self, content: bytes, *, seconds: float = 0.0) -> None:
        """Sends bytes, evenly spread over a time."""
        step = 188 * 7 if seconds else max(len(content), 1)
        count = -(-len(content) // step)
        begun = time.monotonic()
        for i in range(count):
            self._handler.wfile.write(content[i * step : (i + 1) * step])
            if self._over.wait(max(0.0, begun + seconds * (i + 1) / count - time.monotonic())):
                return

    def hang(self) -> None:
        """Keeps the connection open and says nothing until the server is shut down."""
        self._over.wait()


class Server:
    """An HTTP server whose n-th request gets the n-th behaviour, the last one for ever after."""

    def __init__(self, behaviours: Sequence[Behaviour], certificate: Path | None) -> None:
        self.visits = 0
        self.over = threading.Event()
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    behaviour = behaviours[min(outer.visits, len(behaviours) - 1)]
                    outer.visits += 1
                try:
                    behaviour(Visit(self, outer.over))
                except OSError:
                    self.close_connection = True  # the client hung up

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/live.ts"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(*behaviours: Behaviour, certificate: Path | None = None) -> Iterator[Server]:
    """Runs a server for a with-block, over TLS where it has a certificate."""
    server = Server(behaviours, certificate)
    try:
        yield server
    finally:
        server.close()


def endless(content: bytes, *, seconds: float, then_hang: bool = False) -> Behaviour:
    """Answers with a body of unknown length, paced; then hangs up, or falls silent."""

    def behave(visit: Visit) -> None:
        visit.start(Content_Type="video/mp2t")
        visit.send(content, seconds=seconds)
        if then_hang:
            visit.hang()

    return behave


def free_port() -> int:
    """Returns a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


FFMPEG = shutil.which("ffmpeg")


@contextmanager
def ffmpeg(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ffmpeg for a with-block."""
    assert FFMPEG is not None
    command = [FFMPEG, "-nostdin", "-v", "error", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


RTSP_SERVER = importlib.util.find_spec("rtsp") is not None
"""Whether the Python package ``rtsp``, a small real RTSP server, is installed."""

_RTSP_SCRIPT = """
import sys, rtsp
import numpy as np
uri, frames, fps = sys.argv[1:]
with rtsp.Source(uri, fps=float(fps), frame_buffer=list(np.load(frames))) as server:
    server.wait_ready()
    server.wait_encoding_started()
    print("ready", flush=True)
    server.serve_forever()
"""


@contextmanager
def rtsp_server(port: int, frames_npy: Path, *, fps: float) -> Iterator[subprocess.Popen[bytes]]:
    """Serves RGB frames [N, H, W, 3] over and over as H.264 at ``/live``, in a process."""
    uri = f"rtsp://127.0.0.1:{port}/live"
    command = [sys.executable, "-c", _RTSP_SCRIPT, uri, str(frames_npy), str(fps)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()
