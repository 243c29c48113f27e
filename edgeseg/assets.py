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


def _user_data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".local" / "share"


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
