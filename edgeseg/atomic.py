"""Writing a file whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview, *, durable: bool = False) -> None:
    """Makes or replaces a file at once: a reader, or a full disk, never sees half of it.

    durable: it is on the disk, not only on its way there, before it takes the name. Several
    processes may write one file: the last one wins, none sees another's half.
    Raises OSError; nothing of the new content is left behind then. A process killed meanwhile
    leaves ``.<name>.<process>.part``.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with io.FileIO(part, "w") as file:
            view = memoryview(content)
            while view:
                view = view[file.write(view) or 0 :]
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
