"""What happens to results in frame order besides the presence gate."""

from __future__ import annotations

from edgeseg.types import Frame, Result


class KeepResult:
    """A Smoother that changes nothing."""

    def smooth(self, frame: Frame, result: Result) -> Result:
        """Returns the result as it is."""
        return result

    def reset(self) -> None:
        """Has nothing to forget."""
