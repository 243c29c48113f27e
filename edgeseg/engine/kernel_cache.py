"""Kernels that TensorRT-RTX compiles where an engine first runs, kept for the next start.

TensorRT compiles all of them at build time and has no such cache.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeseg.engine.cache import keep
from edgeseg.engine.runtime import OpenEngine
from edgeseg.errors import ConfigError

log = logging.getLogger(__name__)

SUFFIX = ".kernels"


class KernelCache:
    """The compiled kernels of one engine, in a file beside it.

    ``config`` is what execution contexts are to be made with; None where there is no such cache.
    """

    def __init__(self, opened: OpenEngine, engine: Path) -> None:
        """Reads what earlier runs compiled; a file that does not fit is begun anew."""
        self.config: Any = None
        self._cache: Any = None
        self._path = engine.with_suffix(SUFFIX)
        self._kept = b""
        if not opened.library.has("IRuntimeConfig.create_runtime_cache"):
            return
        self.config = opened.engine.create_runtime_config()
        self._cache = self.config.create_runtime_cache()
        with suppress(OSError):
            self._kept = self._path.read_bytes()
        if self._kept and not self._cache.deserialize(self._kept):
            log.info("%s does not fit this engine: begun anew", self._path)
            self._kept = b""
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Writes what was compiled since; a folder that cannot be written costs time only."""
        if self._cache is None:
            return
        serialized = self._cache.serialize()
        compiled = b"" if serialized is None else bytes(memoryview(serialized))
        if compiled in (b"", self._kept):
            return
        try:
            keep(self._path, compiled)
        except ConfigError as error:
            log.info("compiled kernels not kept: %s", error)

    def close(self) -> None:
        """Lets go of the cache; contexts made with it must be gone. Idempotent."""
        self.config = self._cache = None
