"""Warnings that are given once, however many frames and threads cause them."""

from __future__ import annotations

import logging


class TellOnce:
    """Logs each message as a warning the first time; thread-safe enough."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: set[str] = set()

    def __call__(self, message: str, *args: object) -> None:
        """message, args: as for ``Logger.warning``; a message is known by its words, not args."""
        if message not in self._told:
            self._told.add(message)
            self._log.warning(message, *args)
