"""Files being written: may we write there, and what happens when the disk does not take it."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from pathlib import Path

from edgeseg.errors import SinkError, SinkRefused


def refuse_unwritable(path: Path, *, source: str | None, overwrite: bool) -> None:
    """Raises SinkRefused unless a new file can be made at ``path``; touches nothing there.

    source: the input file, which is never overwritten, also not through a link.
    """
    refuse_folder(path.parent, uri=str(path))
    if path.is_dir():
        raise SinkRefused(f"{path} is a folder; for a folder of pictures write {path}/")
    if source is not None and same_file(path, Path(source)):
        raise SinkRefused(f"{path} is the input itself; choose another output name")
    if os.path.lexists(path) and not overwrite:
        raise SinkRefused(f"{path} exists already; add --overwrite to replace it")
    if path.exists():
        try:
            io.FileIO(path, "r+").close()
        except OSError as error:
            raise SinkRefused(
                f"{path} cannot be replaced ({reason(error)}); choose another output name"
            ) from error


def refuse_folder(folder: Path, *, uri: str) -> None:
    """Raises SinkRefused unless ``folder`` is there and takes new files."""
    if not folder.exists():
        raise SinkRefused(f"{uri}: there is no folder {folder}; make it first: mkdir -p {folder}")
    if not folder.is_dir():
        raise SinkRefused(f"{uri}: {folder} is not a folder")
    try:
        with tempfile.TemporaryFile(dir=folder):  # access() knows nothing of read-only mounts
            pass
    except OSError as error:
        raise SinkRefused(
            f"{uri}: no file can be made in {folder} ({reason(error)}); choose another folder"
        ) from error


def same_file(a: Path, b: Path) -> bool:
    """Returns whether both names lead to the same existing file."""
    try:
        return a.samefile(b)
    except OSError:
        return False


def write_failed(path: Path, error: OSError, *, kept: str) -> SinkError:
    """Returns the error for a file that cannot grow: why, space left, what is kept, what to do."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 1e6:.1f} MB free there"
    except OSError:
        free = "free space unknown"
    todo = "free some space or write elsewhere" if _is_space(error) else "check the disk"
    return SinkError(f"writing {path} failed: {reason(error)}, {free}; {kept}; {todo}")


def reason(error: OSError) -> str:
    """Returns the operating system's words for an error."""
    return error.strerror or str(error)


def _is_space(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))


class OutputFile:
    """A file for PyAV to write into that stays playable when the disk fills up.

    The first failing write is remembered in ``error`` and the file is cut back to the last
    ``mark``; everything after it is swallowed, so that a muxer's final clean-up (which rewrites
    the head of the file) cannot turn what is there into something unplayable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        self._file: io.FileIO | None = None
        self._safe = 0

    def create(self, *, overwrite: bool) -> None:
        """Makes the file. Raises FileExistsError when it exists and ``overwrite`` is False."""
        self._file = io.FileIO(self.path, "w" if overwrite else "x")

    def mark(self) -> None:
        """Declares what is written so far to be whole."""
        if self._file is not None and self.error is None:
            self._safe = self._file.tell()

    def write(self, data: bytes) -> int:
        """Writes all of ``data``; never raises, see ``error``."""
        if self._file is None or self.error is not None:
            return len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self._fail(error)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the write position."""
        return 0 if self._file is None else self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the write position."""
        return 0 if self._file is None else self._file.tell()

    def close(self) -> None:
        """Closes the file; a file system that reports a full disk only now ends in ``error``."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error
        self._file = None

    def _fail(self, error: OSError) -> None:
        self.error = error
        assert self._file is not None
        try:
            self._file.truncate(self._safe)
        except OSError:
            return  # the file keeps its torn end: players skip it
