"""What ``synthetic://SCENE?option=value&...`` asks for, read and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from edgeseg.errors import ConfigError, SourceNotFound, near_match
from edgeseg.spec import parse_size
from edgeseg.types import Size

SCHEME = "synthetic://"
SCENES = ("portrait", "road", "shapes")

_HD = Size(1280, 720)
_LARGEST_SIDE = 8192  # px
_LARGEST_TERM = 1_000_000  # of the rate's fraction; containers keep time bases in 32 bits


@dataclass(frozen=True, slots=True)
class SyntheticOptions:
    """One synthetic source, as the package's documentation describes it.

    stalls: seconds of pause before a frame, by frame number. frames 0 = endless.
    """

    scene: str
    size: Size = _HD
    fps: Fraction = Fraction(30)
    frames: int = 0
    seed: int = 1
    paced: bool = False
    stalls: Mapping[int, float] = field(default_factory=dict)
    cuts: frozenset[int] = frozenset()
    repeats: frozenset[int] = frozenset()
    fail: int | None = None
    noise: float = 0.0
    light: float = 0.0
    speed: float = 1.0


def parse_uri(
    uri: str, defaults: Mapping[str, Size | Fraction] = MappingProxyType({})
) -> SyntheticOptions:
    """Reads a ``synthetic://`` address; ``defaults`` are fields it may leave out.

    Raises: SourceNotFound for an unknown scene, ConfigError for a wrong option or value.
    """
    parts = urlsplit(uri)
    scene = (parts.netloc + parts.path).strip("/")
    if scene not in SCENES:
        hint = near_match(scene, SCENES) or f"; known: {', '.join(SCENES)}"
        raise SourceNotFound(f"{uri}: no synthetic scene {scene!r}{hint}")
    given = _collect(uri, parse_qsl(parts.query, keep_blank_values=True))
    options = SyntheticOptions(scene=scene, **{**defaults, **given})
    both = options.cuts & options.repeats
    if both:
        raise ConfigError(f"{uri}: frame {min(both)} cannot be both cut and repeat; drop one")
    return options


def _collect(uri: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Returns constructor arguments; cut, repeat and stall may be given several times."""
    given: dict[str, Any] = {}
    for key, text in pairs:
        if key not in _READERS:
            hint = near_match(key, tuple(_READERS)) or f"; known: {', '.join(_READERS)}"
            raise ConfigError(f"{uri}: unknown option {key!r}{hint}")
        name, read, expected = _READERS[key]
        try:
            value = read(text)
        except (ValueError, ZeroDivisionError) as error:
            raise ConfigError(f"{uri}: {key}: expected {expected}, got {text!r}") from error
        if name in given and key not in _SEVERAL:
            raise ConfigError(f"{uri}: {key} is given twice; keep one")
        given[name] = given[name] | value if name in given else value
    return given


def _between(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _whole(low: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < low:
            raise ValueError(text)
        return int(text)

    return read


def _size(text: str) -> Size:
    size = Size(*parse_size(text))
    if max(size) > _LARGEST_SIDE:
        raise ValueError(text)
    return size


def _rate(text: str) -> Fraction:
    rate = Fraction(text)
    if not 0 < rate <= 1000 or max(rate.numerator, rate.denominator) > _LARGEST_TERM:
        raise ValueError(text)
    return rate


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _numbers(text: str) -> frozenset[int]:
    return frozenset(_whole(1)(part) for part in text.split(","))


def _stalls(text: str) -> dict[int, float]:
    pauses = (part.split(":") for part in text.split(","))
    return {_whole(0)(at): _between(0, 3600)(seconds) for at, seconds in pauses}


_READERS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "size": ("size", _size, f"WIDTHxHEIGHT, each 1 to {_LARGEST_SIDE}, such as 1280x720"),
    "fps": ("fps", _rate, "a rate above 0 up to 1000 such as 30, 29.97 or 30000/1001"),
    "frames": ("frames", _whole(0), "a whole number of frames, 0 for endless"),
    "seed": ("seed", _whole(0), "a whole number from 0"),
    "paced": ("paced", _switch, "0 or 1"),
    "stall": ("stalls", _stalls, "FRAME:SECONDS such as 30:1.5, several with commas"),
    "cut": ("cuts", _numbers, "a frame number from 1, several with commas"),
    "repeat": ("repeats", _numbers, "a frame number from 1, several with commas"),
    "fail": ("fail", _whole(0), "a frame number from 0"),
    "noise": ("noise", _between(0, 64), "grey levels from 0 to 64"),
    "light": ("light", _between(0, 0.9), "a share of the brightness from 0 to 0.9"),
    "speed": ("speed", _between(0, 100), "a factor from 0 to 100"),
}
_SEVERAL = ("stall", "cut", "repeat")
