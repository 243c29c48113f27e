"""Byte streams from the network that another thread can end at once.

FFmpeg's own protocols notice an interruption only when their time-out runs out, and a read that
timed out cannot be resumed. Sockets of our own can be shut down from outside instead.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import threading
import time
from ipaddress import IPv4Address, ip_address
from typing import Protocol
from urllib.parse import urlsplit

from edgeseg.config import SourceConfig
from edgeseg.errors import ConfigError

_POLL_S = 0.2
_LONGEST_BACKOFF_S = 10.0
_UDP_BUFFER = 4 << 20  # a key frame of a 4K stream arrives as one burst


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Aborted(ConnectionError):
    """The reader was told to stop."""


class Lifeline:
    """Lets any thread end what another one does with a socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = threading.Event()

    @property
    def aborted(self) -> bool:
        """Whether ``abort`` was called."""
        return self._aborted.is_set()

    def hold(self, sock: socket.socket) -> None:
        """Makes ``abort`` shut this socket down. Raises Aborted if it is too late."""
        with self._lock:
            self._socket = sock
        self.check()

    def check(self) -> None:
        """Raises Aborted after ``abort``."""
        if self._aborted.is_set():
            raise Aborted("interrupted")

    def sleep(self, seconds: float) -> None:
        """Waits. Raises Aborted at once on ``abort``."""
        self._aborted.wait(seconds)
        self.check()

    def abort(self) -> None:
        """Wakes a blocked connect or read at once."""
        with self._lock:
            self._aborted.set()
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # not connected, or closed already: nothing is blocked in it


def connect(host: str, port: int, *, timeout_s: float, lifeline: Lifeline) -> socket.socket:
    """Returns a connected TCP socket, tried over every address of the host.

    Raises:
        OSError: unknown host, refused, or not connected within ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    failure: OSError = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.connect_ex(address)
            _wait_connected(sock, deadline=deadline, lifeline=lifeline)
            lifeline.hold(sock)
        except Aborted:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _wait_connected(sock: socket.socket, *, deadline: float, lifeline: Lifeline) -> None:
    while True:
        lifeline.check()
        _, writable, failed = select.select([], [sock], [sock], _POLL_S)
        if writable or failed:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            return
        if time.monotonic() > deadline:
            raise TimeoutError("no answer in time")


class TcpReader:
    """Bytes of ``tcp://host:port``, as a file object for PyAV."""

    def __init__(self, config: SourceConfig, lifeline: Lifeline) -> None:
        host, port = host_and_port(config.uri)
        self._socket = connect(host, port, timeout_s=config.timeout_s, lifeline=lifeline)
        self._socket.settimeout(config.stale_s)
        self._lifeline = lifeline

    def read(self, size: int) -> bytes:
        """Returns up to ``size`` bytes, none at the end. Raises TimeoutError on silence."""
        content = self._socket.recv(size)
        self._lifeline.check()
        return content

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


class UdpReader:
    """Datagrams sent to ``udp://:port``, or to a multicast group ``udp://239.0.0.1:port``."""

    def __init__(self, config: SourceConfig, lifeline: Lifeline) -> None:
        host, port = host_and_port(config.uri, default_host="0.0.0.0")
        self._stale_s = config.stale_s
        self._lifeline = lifeline
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
        self._socket.settimeout(_POLL_S)
        group = ip_address(socket.gethostbyname(host))
        if isinstance(group, IPv4Address) and group.is_multicast:
            self._socket.bind(("", port))
            membership = struct.pack("4s4s", group.packed, bytes(4))
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            self._socket.bind((host, port))

    def read(self, size: int) -> bytes:
        """Returns the next datagram. Raises TimeoutError on silence."""
        deadline = time.monotonic() + self._stale_s
        while True:
            self._lifeline.check()
            try:
                return self._socket.recv(size)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class FailsOnce:
    """A reader whose first error is its last: after it there is nothing more to read.

    FFmpeg goes on reading after an error, and PyAV prints the traceback of every error that
    another one follows.
    """

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._failed = False

    def read(self, size: int) -> bytes:
        """Reads; nothing once a read has failed."""
        if self._failed:
            return b""
        try:
            return self._reader.read(size)
        except BaseException:
            self._failed = True
            raise

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)  # seek and tell, where there are any


def host_and_port(uri: str, *, default_host: str = "") -> tuple[str, int]:
    """Returns host and port of a URL. Raises ConfigError where one is missing."""
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname or default_host
    except ValueError as error:
        raise ConfigError(f"{uri}: {error}") from error
    if port is None or not host:
        raise ConfigError(f"{uri}: expected {parts.scheme}://HOST:PORT")
    return host, port


def masked(uri: str) -> str:
    """Returns a URL without its password, for messages, logs and reports."""
    try:
        password = urlsplit(uri).password
    except ValueError:  # no URL at all
        return re.sub(r":[^/@]*@", ":***@", uri, count=1)
    return uri if password is None else uri.replace(f":{password}@", ":***@", 1)


def backoff_s(config: SourceConfig, attempt: int) -> float:
    """Returns the pause after failed attempt 0, 1, 2 ...: doubling, at most ten seconds."""
    return float(min(config.backoff_s * 2 ** min(attempt, 10), _LONGEST_BACKOFF_S))
