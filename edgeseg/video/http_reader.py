"""HTTP(S) as a byte stream that can be ended from outside and, where the server can, resumed."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from edgeseg.config import SourceConfig
from edgeseg.types import SourceCounters
from edgeseg.video.transport import Lifeline, backoff_s, connect

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_HOPS = 5


_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"  # what may stand in a URL already, escapes included


class HttpError(ConnectionError):
    """The server answered, but not with the content."""


class HttpReader:
    """The body of a GET request as a file object for PyAV.

    ``length`` is None for an endless body. With a length and byte ranges the body is seekable,
    and a connection lost in the middle is resumed where it broke.
    """

    def __init__(self, config: SourceConfig, counters: SourceCounters, lifeline: Lifeline) -> None:
        """Sends the request and follows redirects; resumptions are counted as reconnects.

        Raises:
            HttpError: any answer but 200 and 206, or too many redirects.
            OSError: no connection, or a certificate that does not verify.
        """
        self._config = config
        self._counters = counters
        self._lifeline = lifeline
        self._position = 0
        self._served = 0  # where the open response stands
        self._held: list[socket.socket | http.client.HTTPResponse] = []
        try:
            self._response = self._request(at=0)
        except BaseException:
            self.close()
            raise
        self.content_type = self._response.headers.get_content_type()
        length = self._response.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() else None
        ranges = self._response.headers.get("Accept-Ranges", "none")
        self._ranges = self.length is not None and ranges == "bytes"

    def read(self, size: int) -> bytes:
        """Returns up to ``size`` bytes, none at the end.

        Raises:
            TimeoutError: silence. ConnectionError: the body broke off and cannot be resumed.
        """
        if self.length is not None and self._position >= self.length:
            return b""
        try:
            if self._served != self._position:  # after a seek
                self._response = self._request(at=self._position)
            content = self._response.read1(size)
        except (OSError, http.client.HTTPException):
            self._lifeline.check()
            if not self._ranges:
                raise
            content = b""
        self._lifeline.check()
        if not content and self.length is not None and self._position < self.length:
            content = self._resume(size)
        self._position += len(content)
        self._served = self._position
        return content

    def seekable(self) -> bool:
        """Tells whether the server can start in the middle."""
        return self._ranges

    def tell(self) -> int:
        """Returns the position in the body."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a byte of the body; the next read requests it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.length or 0}
        self._position = base[whence] + offset
        return self._position

    def close(self) -> None:
        """Closes the connection."""
        while self._held:
            self._held.pop().close()

    def _resume(self, size: int) -> bytes:
        attempts = self._config.reconnect if self._ranges else 0
        for attempt in range(attempts):
            try:
                self._response = self._request(at=self._position)
                content = self._response.read1(size)
            except (OSError, http.client.HTTPException):
                content = b""
            if content:
                self._counters.reconnects += 1
                return content
            self._lifeline.sleep(backoff_s(self._config, attempt))
        raise ConnectionError(f"broke off after {self._position} of {self.length} bytes")

    def _request(self, *, at: int) -> http.client.HTTPResponse:
        uri = self._config.uri
        for _ in range(_MAX_HOPS):
            response = self._get(uri, at=at)
            if response.status in _REDIRECTS:
                uri = urljoin(uri, response.headers.get("Location", ""))
                continue
            if response.status != (206 if at else 200):
                raise HttpError(f"HTTP {response.status} {response.reason}")
            return response
        raise HttpError(f"more than {_MAX_HOPS} redirects")

    def _get(self, uri: str, *, at: int) -> http.client.HTTPResponse:
        self.close()
        parts, port = _web_address(uri)
        secure, host = parts.scheme == "https", parts.hostname or ""
        sock = connect(host, port, timeout_s=self._config.timeout_s, lifeline=self._lifeline)
        sock.settimeout(self._config.timeout_s)
        self._held.append(sock)
        if secure:
            sock = self._secured(sock, host)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = sock
        headers = {"User-Agent": "edgeseg", "Accept": "*/*"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        if at:
            headers["Range"] = f"bytes={at}-"
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", quote(path, safe=_URL_SAFE), headers=headers)
        response = connection.getresponse()
        self._held.append(response)
        sock.settimeout(self._config.stale_s)
        return response

    def _secured(self, sock: socket.socket, host: str) -> ssl.SSLSocket:
        secured = ssl.create_default_context().wrap_socket(
            sock, server_hostname=host, do_handshake_on_connect=False
        )
        self._held.append(secured)
        self._lifeline.hold(secured)
        secured.do_handshake()
        return secured


def _web_address(uri: str) -> tuple[SplitResult, int]:
    """Splits a URL and finds its port. Raises HttpError for what is no web address."""
    try:
        parts = urlsplit(uri)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise HttpError(str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HttpError(f"{uri} is no http:// address of a host")
    return parts, port
