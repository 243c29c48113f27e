"""What is drawn: the effects, and how the user names them (``blur=0.7``, ``color=#00ff00``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgeseg.config import EffectConfig
from edgeseg.effects.anonymize import Anonymize
from edgeseg.effects.backdrop import IMAGE_SUFFIXES, Color, ImageBackdrop, Replace
from edgeseg.effects.backdrop_video import VideoBackdrop
from edgeseg.effects.blur import DEFAULT_STRENGTH, Blur
from edgeseg.effects.classes import check_classes
from edgeseg.effects.colors import parse_color
from edgeseg.effects.overlay import Overlay
from edgeseg.effects.plain import Plain, SideBySide, hidden_by
from edgeseg.effects.transparent import Transparent
from edgeseg.errors import ConfigError, near_match
from edgeseg.ops.hidden import How
from edgeseg.protocols import Effect

__all__ = ["EFFECTS", "check_classes", "hidden_by", "make_effect", "parse_effect"]

DEFAULT_COLOR = "#00ff00"


def parse_effect(text: str) -> tuple[str, str | None]:
    """Splits ``blur=0.7`` into a known effect's name and its argument, None without one.

    Raises ConfigError for an unknown name, with the nearest known one.
    """
    name, separator, argument = text.strip().partition("=")
    name = name.strip().lower()
    if name not in EFFECTS:
        known = ", ".join(EFFECTS)
        hint = near_match(name, tuple(EFFECTS)) or f"; known: {known}"
        raise ConfigError(f"unknown effect {name!r}{hint}")
    argument = argument.strip()
    if separator and not argument:
        raise ConfigError(f"effect {name}=: a value is missing after '='")
    return name, argument if separator else None


def make_effect(text: str, config: EffectConfig | None = None) -> Effect:
    """Returns the effect a user named, ready to draw. Raises ConfigError naming what is wrong."""
    name, argument = parse_effect(text)
    return EFFECTS[name](argument, config or EffectConfig())


def _none(argument: str | None, config: EffectConfig) -> Effect:
    _refuse_argument("none", argument)
    return Plain()


def _blur(argument: str | None, config: EffectConfig) -> Effect:
    return Blur(config, _share("blur", "strength", argument, DEFAULT_STRENGTH))


def _overlay(argument: str | None, config: EffectConfig) -> Effect:
    opacity = None if argument is None else _share("overlay", "opacity", argument, 0)
    return Overlay(config, opacity)


def _color(argument: str | None, config: EffectConfig) -> Effect:
    return Color(config, parse_color(argument or DEFAULT_COLOR))


def _alpha(argument: str | None, config: EffectConfig) -> Effect:
    _refuse_argument("alpha", argument)
    return Transparent(config)


def _anonymize(argument: str | None, config: EffectConfig) -> Effect:
    ways: dict[str, How] = {"pixelate": "pixelate", "blur": "blur"}
    how = ways.get((argument or "pixelate").lower())
    if how is None:
        hint = near_match(argument or "", tuple(ways))
        raise ConfigError(f"effect anonymize={argument}: expected pixelate or blur{hint}")
    return Anonymize(config, how)


def _replace(argument: str | None, config: EffectConfig) -> Effect:
    if argument is None:
        raise ConfigError("effect replace: name an image or a video, as in replace=beach.jpg")
    path = Path(argument).expanduser()
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "no such file"
        raise ConfigError(f"effect replace={argument}: {problem}; expected an image or a video")
    image = path.suffix.lower() in IMAGE_SUFFIXES
    return Replace(config, ImageBackdrop(path) if image else VideoBackdrop(path))


def _side_by_side(argument: str | None, config: EffectConfig) -> Effect:
    text = argument or "overlay"
    if parse_effect(text)[0] == "side-by-side":
        raise ConfigError("effect side-by-side: cannot hold another side-by-side")
    return SideBySide(make_effect(text, config))


def _refuse_argument(name: str, argument: str | None) -> None:
    if argument is not None:
        raise ConfigError(f"effect {name}: takes no value, got {argument!r}")


def _share(name: str, what: str, argument: str | None, default: float) -> float:
    if argument is None:
        return default
    try:
        value = float(argument)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(f"effect {name}={argument}: {what} must be a number from 0 to 1")
    return value


EFFECTS: dict[str, Callable[[str | None, EffectConfig], Effect]] = {
    "overlay": _overlay,
    "blur": _blur,
    "replace": _replace,
    "color": _color,
    "alpha": _alpha,
    "anonymize": _anonymize,
    "side-by-side": _side_by_side,
    "none": _none,
}
"""Every effect by name, in the order in which the window's ``e`` key walks through them."""
