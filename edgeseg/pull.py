"""Fetching published checkpoints: pinned addresses, resumed downloads, checked sums.

The only part of edgeseg that talks to the network on its own account, and only when asked to.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeseg import __version__
from edgeseg.errors import ConfigError, SinkError, SourceError, near_match

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
ATTEMPTS = 5
"""Tries without a single new byte before giving up."""
PAUSE_S = 1.0
_CHUNK = 1 << 16
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""HTTP states worth another try."""
_RANGE_REFUSED = 416

Progress = Callable[[int, int], None]
"""Called with the bytes there are and the bytes there will be."""


@dataclass(frozen=True, slots=True)
class Published:
    """An official checkpoint: where it lies, and what it must be.

    arch: how `models import` reads it. size: bytes. about: one line for people.
    """

    name: str
    arch: str
    url: str
    sha256: str
    size: int
    about: str


_GITHUB = "https://raw.githubusercontent.com"
PUBLISHED = {
    entry.name: entry
    for entry in (
        Published(
            name="sinet",
            arch="sinet",
            url=f"{_GITHUB}/clovaai/ext_portrait_segmentation/"
            "9bc1bada1cb7bd17a3a80a2964980f4b4befef5b/result/SINet/SINet.pth",
            sha256="d164a9643c6e6765fc6dd4ec73f6018ad2526c21336911b4484715f33e6981a4",
            size=444_787,
            about="portraits, 320x320; MIT, trained on EG1800",
        ),
        Published(
            name="sinet-cityscapes",
            arch="sinet-cityscapes",
            url=f"{_GITHUB}/clovaai/c3_sinet/"
            "dd916387d759b792e0b371a395f8f82ac49731dc/result/SINet/SINet.pth",
            sha256="aecc10ab0d8d7b0c3dd86569fc3a3b91b3bd72ca485f96319afb3ef591558dcc",
            size=631_433,
            about="driving scenes, 2048x1024; MIT, Cityscapes: non-commercial use only",
        ),
    )
}


def published(name: str) -> Published:
    """The checkpoint of this name. Raises: ConfigError with a near match."""
    if name not in PUBLISHED:
        known = list(PUBLISHED)
        raise ConfigError(
            f"unknown checkpoint {name!r}{near_match(name, known)} "
            f"(can be pulled: {', '.join(known)})"
        )
    return PUBLISHED[name]


def fetch(
    wanted: Published,
    target: Path,
    *,
    progress: Progress | None = None,
    timeout_s: float = TIMEOUT_S,
    pause_s: float = PAUSE_S,
) -> None:
    """Download a checkpoint to `target`, which appears whole and checked or not at all.

    What was fetched so far is kept beside it as `.part` and continued by the next call. A file at
    `target` that is the right one already is kept.

    Raises:
        SourceError: the server refuses, stops answering, or gives another file (which is deleted).
        SinkError: `target` cannot be written.
    """
    with _writing(target):
        if target.is_file() and _sha256(target) == wanted.sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        _complete(wanted, part, progress, timeout_s=timeout_s, pause_s=pause_s)
        found = _sha256(part)
        if found != wanted.sha256:
            part.unlink()
            raise SourceError(
                f"{wanted.url}: sha256 is {found}, expected {wanted.sha256}; the download was "
                "deleted, nothing was imported"
            )
        part.replace(target)


class _StoppedError(Exception):
    """The connection ended early, in a way another try may mend."""


def _complete(
    wanted: Published, part: Path, progress: Progress | None, *, timeout_s: float, pause_s: float
) -> None:
    """Add to `part` until it has all bytes."""
    best = idle = 0
    while _size(part) != wanted.size:
        try:
            _continue(wanted, part, progress, timeout_s)
        except _StoppedError as stop:
            there = _size(part)
            best, idle = max(best, there), 0 if there > best else idle + 1
            if idle >= ATTEMPTS:
                raise SourceError(
                    f"{wanted.url}: {stop}; {there:,} of {wanted.size:,} bytes are there, run the "
                    "command again to continue"
                ) from stop
            log.info("%s: %s, trying again", wanted.url, stop)
            time.sleep(pause_s)


def _continue(wanted: Published, part: Path, progress: Progress | None, timeout_s: float) -> None:
    """One request for the bytes still missing; starts over where the server cannot continue."""
    had = _size(part)
    if had > wanted.size:
        part.unlink()
        had = 0
    with _answer(wanted, part, had, timeout_s) as response:
        continues = str(response.headers.get("Content-Range", "")).startswith(f"bytes {had}-")
        there = had if response.status == 206 and continues else 0
        offered = response.headers.get("Content-Length")
        if offered is not None and there + int(offered) != wanted.size:
            part.unlink(missing_ok=True)
            raise SourceError(
                f"{wanted.url}: the server offers {there + int(offered):,} bytes, expected "
                f"{wanted.size:,}; nothing was imported"
            )
        with part.open("ab" if there else "wb") as file:
            while there < wanted.size:
                chunk = _read(response, min(_CHUNK, wanted.size - there))
                file.write(chunk)
                there += len(chunk)
                if progress is not None:
                    progress(there, wanted.size)


def _answer(wanted: Published, part: Path, had: int, timeout_s: float) -> http.client.HTTPResponse:
    """The server's answer to a request for the bytes from `had` on."""
    request = urllib.request.Request(wanted.url, headers={"User-Agent": f"edgeseg/{__version__}"})
    if had:
        request.add_header("Range", f"bytes={had}-")
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        said = f"the server says {error.code} {error.reason}"
        if error.code == _RANGE_REFUSED and had:  # what we have is no beginning of its file
            part.unlink()
        elif error.code not in _PASSING:
            raise SourceError(f"{wanted.url}: {said}") from error
        raise _StoppedError(said) from error
    except urllib.error.URLError as error:
        raise _StoppedError(one_line(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _StoppedError(one_line(error)) from error
    return response


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        chunk = response.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise _StoppedError(one_line(error)) from error
    if not chunk:
        raise _StoppedError("the connection was cut")
    return chunk


def one_line(problem: object) -> str:
    """What an exception, or the reason it gives, says, on one line."""
    return " ".join(str(problem).split()) or type(problem).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except OSError as error:
        raise SinkError(
            f"{target}: the download cannot be stored: {error.strerror or error}"
        ) from error
