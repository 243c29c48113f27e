"""TensorRT's log, sent to ours, with what it said of a failure kept."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

log = logging.getLogger(__name__)

_LEVELS = {"WARNING": logging.INFO, "INFO": logging.DEBUG, "VERBOSE": 1}
KEPT = 50
"""Lines of each kind that are kept."""
_loggers: dict[Any, Any] = {}
"""TensorRT keeps the first logger a process gives it and ignores others (seen in RTX 1.7)."""


def logger_for(trt: Any) -> Any:
    """Returns the process's ILogger for this TensorRT module, its memory of failures emptied.

    ``errors`` has the last error lines since then, ``said`` what else is worth keeping: operators
    without an importer.
    """
    if trt not in _loggers:
        _loggers[trt] = _make_logger(trt)
    logger = _loggers[trt]
    logger.errors.clear()
    logger.said.clear()
    return logger


def _make_logger(trt: Any) -> Any:
    class EngineLogger(trt.ILogger):  # type: ignore[misc]  # a class of the module at hand
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT)
            self.said: deque[str] = deque(maxlen=KEPT)

        def log(self, severity: Any, msg: str) -> None:
            text = " ".join(msg.split())
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(text)
            elif "No importer registered" in text:
                self.said.append(text)
            # An error is raised as a line of our own; TensorRT's words are for --debug.
            log.log(_LEVELS.get(severity.name, logging.DEBUG), "%s", text)

    return EngineLogger()
