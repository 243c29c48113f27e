"""Where engines lie, and how they get there whole: temporary files, one rename, a lock."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeseg.assets import user_cache_dir
from edgeseg.atomic import write_whole
from edgeseg.engine.library import Library
from edgeseg.engine.manifest import Manifest, Wanted, differences
from edgeseg.engine.request import EngineRequest, Target, sm_name
from edgeseg.errors import ConfigError
from edgeseg.file_lock import try_lock
from edgeseg.model_file import ModelFile
from edgeseg.spec import one_line

log = logging.getLogger(__name__)

POLL_S = 0.1
PATIENCE_S = 5.0
"""How often a wait for another process's build is spoken of."""


@dataclass(frozen=True, slots=True)
class EngineFile:
    """A built engine. data: its bytes. built: just now, because of ``reason`` ("" = first time)."""

    path: Path
    manifest: Manifest
    data: bytes
    built: bool = False
    reason: str = ""


def engines_folder(given: Path | None = None) -> Path:
    """Returns the folder of engines; it need not exist. Raises ConfigError without a home."""
    if given is not None:
        return given
    cache = user_cache_dir()
    if cache is None:
        raise ConfigError("no home folder to keep engines in: set XDG_CACHE_HOME to a folder")
    return cache / "engines"


def engine_path(model: ModelFile, request: EngineRequest, library: Library, target: Target) -> Path:
    """Returns the one file an engine of this model, precision and device has.

    Versions are left out of the name: an update replaces the old engine instead of adding to it.
    """
    device = slug(f"{target.name}-{sm_name(target.sm)}")
    dla = "" if request.dla is None else f".dla{request.dla}"
    stem = f"{model.path.stem}-{model.sha256[:12]}.{request.precision}.{library.name}.{device}{dla}"
    return engines_folder(request.folder) / f"{stem}.engine"


def timing_cache_path(request: EngineRequest, library: Library, target: Target) -> Path:
    """Returns the file of layer timings of this version of TensorRT on this GPU."""
    device = slug(f"{library.name}-{library.version}-{target.name}-{sm_name(target.sm)}")
    return engines_folder(request.folder) / f"timing-{device}.bin"


def slug(text: str) -> str:
    """Returns text in lower case with anything but letters, digits, dots and ``_`` as ``-``."""
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def manifest_path(path: Path) -> Path:
    """Returns the manifest's file of an engine's."""
    return path.with_suffix(".json")


def find_engine(path: Path, wanted: Wanted) -> tuple[EngineFile | None, str]:
    """Returns the engine of a file if it is whole and as wanted, else None and why, "" = no file.

    The reason is the end of a sentence that begins with the engine's name.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot be read: {one_line(error)}"
    try:
        manifest = Manifest.from_json(manifest_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        return None, f"has no usable manifest ({one_line(error)})"
    reason = differences(manifest.wanted, wanted)
    if not reason and hashlib.sha256(data).hexdigest() != manifest.engine_sha256:
        reason = "is damaged: its checksum is not the one in its manifest"
    return (None, reason) if reason else (EngineFile(path, manifest, data), "")


def store_engine(path: Path, manifest: Manifest, data: bytes) -> None:
    """Writes engine and manifest; a reader sees the old or the new engine, or no match of the two.

    Raises ConfigError when the folder cannot be written or the disk is full.
    """
    keep(path, data)
    keep(manifest_path(path), manifest.to_json().encode())


def keep(path: Path, data: bytes) -> None:
    """Writes a file of the cache. Raises ConfigError."""
    try:
        write_whole(path, data, durable=True)
    except OSError as error:
        raise unwritable(path.parent, error, size=len(data)) from error


def unwritable(folder: Path, error: OSError, *, size: int = 0) -> ConfigError:
    """Returns the one line for a folder of engines that does not take files."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConfigError(
            f"{folder}: no space left for an engine of {size / 1e6:.1f} MB: free some, or set "
            "XDG_CACHE_HOME to a folder on another disk"
        )
    return ConfigError(
        f"{folder}: engines cannot be written here: {one_line(error)}; make it writable, or set "
        "XDG_CACHE_HOME to a folder that is"
    )


def sweep(path: Path) -> None:
    """Removes what killed builds of this engine left; its lock must be held."""
    starts = tuple(f".{name}." for name in (path.name, manifest_path(path).name))
    for litter in path.parent.glob(".*.part"):
        if litter.name.startswith(starts):
            log.info("removing %s, left by a build that was killed", litter)
            litter.unlink(missing_ok=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keeps other processes from building the same engine; waits for one that does.

    The system lets go of it when a process dies. Raises ConfigError when the folder is no good.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    try:
        spoken = 0.0
        while not try_lock(handle):
            if time.monotonic() - spoken > PATIENCE_S:
                log.warning("waiting for another process that is building %s", path.name)
                spoken = time.monotonic()
            time.sleep(POLL_S)
        yield
    finally:
        os.close(handle)
