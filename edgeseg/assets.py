"""Where models and configurations lie: shipped in the wheel or checkout, pulled ones at home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def engines_dir() -> Path:
    """Returns the folder of shipped models and their cards."""
    return _shipped("engines")


def configs_dir() -> Path:
    """Returns the folder of shipped run configurations."""
    return _shipped("configs")


def user_models_dir() -> Path | None:
    """Returns the folder of models the user pulled, None for a user without a home.

    `edgeseg/models` in the platform's folder for application data; it need not exist.
    """
    given = os.environ.get("XDG_DATA_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else _user_data()
    except RuntimeError:
        return None
    return base / "edgeseg" / "models"


def user_builds_dir() -> Path | None:
    """Returns the folder of FP16 and INT8 files built on this machine; it need not exist."""
    models = user_models_dir()
    return None if models is None else models.parent / "builds"


def user_cache_dir() -> Path | None:
    """Returns edgeseg's folder for what can be made again, None for a user without a home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "edgeseg"


def _user_data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".local" / "share"


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
