"""Files about results hold one kind of them, from one set of classes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction

from edgeseg.types import Matte, Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResultKind:
    """Type of a result, and its class names by class number; a portrait's only class is person."""

    type: type[Result]
    names: tuple[str, ...]

    @staticmethod
    def of(result: Result) -> ResultKind:
        """Returns a result's kind."""
        known = ("person",) if isinstance(result, Matte) else result.label_set.names
        return ResultKind(type(result), known)


class OneKind:
    """Admits results like the first one; says once, in the log, that others are left out."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._told = False
        self.kind: ResultKind | None = None

    def admits(self, result: Result) -> bool:
        """Returns whether a result is of the kind of the first one."""
        kind = ResultKind.of(result)
        self.kind = self.kind or kind
        if kind != self.kind and not self._told:
            self._told = True
            log.warning("%s: results of another model are left out", self._uri)
        return kind == self.kind


def seconds_text(pts: Fraction | None) -> str:
    """Returns stream time as text with six decimals, empty where there is none."""
    return "" if pts is None else f"{float(pts):.6f}"
