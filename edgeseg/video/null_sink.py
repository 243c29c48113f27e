"""A sink that takes frames and keeps nothing: for measuring, and for runs with only a report."""

from __future__ import annotations

from edgeseg.types import OutputInfo, Rendered


class NullSink:
    """Implements Sink; ``written`` counts the frames it took."""

    def __init__(self, uri: str = "null://") -> None:
        self._uri = uri
        self.written = 0

    @property
    def uri(self) -> str:
        """The name it was asked for by."""
        return self._uri

    def open(self, info: OutputInfo) -> None:
        """Accepts everything."""

    def write(self, item: Rendered) -> None:
        """Counts the frame."""
        self.written += 1

    def close(self) -> None:
        """Has nothing to release."""
