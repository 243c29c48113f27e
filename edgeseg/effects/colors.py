"""Colours as users write them."""

from __future__ import annotations

import string

from edgeseg.errors import ConfigError, near_match

NAMES = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "gray": (128, 128, 128),
    "red": (255, 0, 0),
    "green": (0, 255, 0),  # the green of green screens, not CSS's dark one
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "orange": (255, 165, 0),
    "purple": (128, 0, 128),
    "pink": (255, 192, 203),
    "brown": (139, 69, 19),
    "navy": (0, 0, 128),
    "teal": (0, 128, 128),
}


def parse_color(text: str) -> tuple[int, int, int]:
    """Returns R, G, B in 0..255 of ``#00ff00``, ``#0f0``, ``00ff00`` or a colour name.

    Raises ConfigError otherwise.
    """
    word = text.strip().lower()
    if word in NAMES:
        return NAMES[word]
    digits = word.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    if len(digits) == 6 and all(digit in string.hexdigits for digit in digits):
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    hint = near_match(word, tuple(NAMES)) or f"; named colours: {', '.join(NAMES)}"
    raise ConfigError(f"effect color={text}: expected #rrggbb or a colour name{hint}")
