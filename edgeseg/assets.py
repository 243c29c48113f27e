"""Where the shipped models and configurations lie: inside the wheel, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def engines_dir() -> Path:
    """Returns the folder of shipped models and their cards."""
    return _shipped("engines")


def configs_dir() -> Path:
    """Returns the folder of shipped run configurations."""
    return _shipped("configs")


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
