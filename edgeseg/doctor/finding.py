"""One thing ``edgeseg doctor`` found, and how a failed look becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

from edgeseg.ort_import import telemetry_off
from edgeseg.system_libs import explain_import_error

Status = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. note: works without it, but less. mend: what to do, "" = nothing."""

    group: str
    name: str
    status: Status
    detail: str
    mend: str = ""


def failed(what: str, error: Exception) -> Finding:
    """Returns the finding that a look ended with an error."""
    explained = explain_import_error(error) if isinstance(error, ImportError) else None
    line, _, mend = explained.partition(": ") if explained else (str(error), "", "")
    return Finding(what, "works", "missing", " ".join(line.split()), mend)


def load(module: str, group: str) -> tuple[ModuleType | None, Finding]:
    """Imports a module, or says why that fails and what to install."""
    try:
        with telemetry_off():
            return import_module(module), Finding(group, module, "ok", "")
    except ImportError as error:
        found = failed(group, error)
        return None, Finding(group, module, "missing", found.detail, found.mend)
