"""A warning that is given once, however many frames cause it."""

from __future__ import annotations

import logging


class TellOnce:
    """Logs its first message as a warning and drops the rest; thread-safe enough to not repeat."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told = False

    def __call__(self, message: str, *args: object) -> None:
        """message, args: as for ``Logger.warning``."""
        if not self._told:
            self._told = True
            self._log.warning(message, *args)
