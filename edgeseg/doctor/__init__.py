"""What works on this machine, and the command that mends what does not.

Every look at a package is guarded, its own imports too: this must run on half an installation,
that is what it is for.
"""

from __future__ import annotations

from importlib import import_module

from edgeseg.doctor.finding import Finding, Status, failed
from edgeseg.errors import EdgesegError

__all__ = ["Finding", "Status", "examine"]

LOOKS = (
    ("machine", "system"),
    ("machine", "packages"),
    ("pictures", "opencv"),
    ("pictures", "codecs"),
    ("machine", "cameras"),
    ("models", "inference"),
    ("gpu", "gpu"),
    ("extras", "extras"),
    ("models", "models"),
)
"""Modules of this package and the functions in them that look, in the order to show."""
GUARDED = (EdgesegError, ImportError, OSError, AttributeError, RuntimeError, TypeError, ValueError)
"""What broken packages raise when they are imported or asked."""


def examine() -> list[Finding]:
    """Looks at everything and returns what was found, in the order to show it."""
    found: list[Finding] = []
    for module, name in LOOKS:
        try:
            look = getattr(import_module(f"{__name__}.{module}"), name)
            for finding in look():
                found.append(finding)  # noqa: PERF402  what was found before an error stays
        except GUARDED as error:
            found.append(failed(name, error))
    return found
