"""What was found out on this machine and is kept in the user's cache folder."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from edgeseg.assets import user_cache_dir
from edgeseg.atomic import write_whole

log = logging.getLogger(__name__)


def default_cache() -> Path | None:
    """Returns the tuning file in the user's cache folder, None for a user without a home."""
    folder = user_cache_dir()
    return None if folder is None else folder / "tuning.json"


def cache_folder(name: str) -> str | None:
    """Returns a folder in the user's cache, made if need be; None where nothing can be written."""
    base = user_cache_dir()
    if base is None:
        return None
    folder = base / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.debug("nothing is kept in %s: %s", folder, error)
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def recall(path: Path | None, key: str) -> object:
    """Returns what was remembered under a key, None where nothing was or the file is damaged."""
    return _entries(path).get(key)


def remember(path: Path | None, key: str, value: Mapping[str, object] | str | bool) -> None:
    """Adds an entry and replaces the file in one step, so that a reader never sees half of it.

    A file that cannot be written is no error: it is measured again the next time.
    """
    if path is None:
        return
    entries = {**_entries(path), key: value}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(entries, indent=1).encode())
    except OSError as error:
        log.debug("tuning not remembered in %s: %s", path, error)


def _entries(path: Path | None) -> dict[str, object]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
