"""Closing several things so that none is left open and the first error is not lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from edgeseg.protocols import Sink, Source

log = logging.getLogger(__name__)


def close_all(things: Sequence[Sink | Source], *, quiet: bool) -> None:
    """Closes every one; afterwards raises the first error, or logs it when ``quiet``."""
    first: BaseException | None = None
    for thing in things:
        try:
            thing.close()
        except Exception as error:  # the others must be closed too; raised below
            log.debug("closing %s failed", thing, exc_info=error)
            first = first or error
    if first is None:
        return
    if not quiet:
        raise first
    log.warning("while closing: %s", first)
