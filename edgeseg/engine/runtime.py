"""Loading a built engine into TensorRT's runtime."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from edgeseg.engine.library import Library
from edgeseg.engine.log import logger_for
from edgeseg.engine.parse import clean

log = logging.getLogger(__name__)


@dataclass(slots=True)
class OpenEngine:
    """An engine and what it needs alive. ``close`` lets go in the order TensorRT wants."""

    library: Library
    logger: Any = field(repr=False)
    runtime: Any = field(repr=False)
    engine: Any = field(repr=False)

    def close(self) -> None:
        """Frees the engine; contexts made from it must be gone. Idempotent."""
        self.engine = None
        self.runtime = None

    @property
    def last_error(self) -> str:
        """What TensorRT last complained about, "" if it never did."""
        return clean(self.logger.errors[-1]) if self.logger.errors else ""


@contextmanager
def let_go() -> Iterator[None]:
    """Frees TensorRT's objects that an error would keep, in its traceback, beyond their context."""
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise


def open_engine(
    library: Library,
    data: bytes,
    *,
    dla: int | None = None,
    refused: Callable[[str], None] | None = None,
) -> OpenEngine | None:
    """Loads an engine on the GPU whose context is current, None when TensorRT refuses it.

    There must be a GPU: without a driver TensorRT 11 ends the process here. dla: the core it was
    built for, which the plan does not say. refused: gets TensorRT's reason.
    """
    logger = logger_for(library.trt)
    runtime = library.trt.Runtime(logger)
    if dla is not None:
        runtime.DLA_core = dla
    engine = runtime.deserialize_cuda_engine(data)
    opened = OpenEngine(library, logger, runtime, engine)
    if engine is not None:
        return opened
    reason = clean(next(iter(logger.errors), "no reason given"))
    log.info("%s does not load the engine: %s", library.title, reason)
    if refused is not None:
        refused(reason)
    return None
