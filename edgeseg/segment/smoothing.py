"""What happens to results between segmentation and drawing, in frame order."""

from __future__ import annotations

from edgeseg.types import Frame, Result


class KeepResult:
    """The Smoother that changes nothing."""

    def smooth(self, frame: Frame, result: Result) -> Result:
        """Returns the result as it is."""
        return result

    def reset(self) -> None:
        """Has nothing to forget."""
