"""Every error edgeseg raises on purpose.

    EdgesegError
    |-- ConfigError          ValueError         a setting, argument or file of the user's is wrong
    |-- ModelError           ValueError         a model file or its card cannot be used
    |   `-- SpecMismatch                        the card and the ONNX file disagree
    |-- BackendUnavailable   ImportError        the requested inference backend cannot run here
    |-- SourceError          ConnectionError    a source failed while running
    |   `-- SourceNotFound   FileNotFoundError  a source that is missing or not what it claims
    |-- SinkError            OSError            a sink failed while running
    |   `-- SinkRefused      ValueError         a sink that cannot be opened as asked
    `-- Interrupted                             the user ended the run

Each also inherits the fitting builtin, so callers may catch either. A message says what failed,
expected versus got, and what to do. ``exit_code`` is what the command line returns for it.
"""

from __future__ import annotations


class EdgesegError(Exception):
    """Base of all deliberate errors."""

    exit_code = 2


class ConfigError(EdgesegError, ValueError):
    """A setting, argument or input file of the user's is wrong."""


class ModelError(EdgesegError, ValueError):
    """A model file or its card cannot be used."""


class SpecMismatch(ModelError):
    """A model card and the ONNX file it describes disagree."""


class BackendUnavailable(EdgesegError, ImportError):
    """The requested backend is not installed or does not work on this machine."""


class SourceError(EdgesegError, ConnectionError):
    """A source failed while running."""

    exit_code = 3


class SourceNotFound(SourceError, FileNotFoundError):
    """A source that does not exist, is empty, or is not what its name claims."""

    exit_code = 2

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SinkError(EdgesegError, OSError):
    """A sink failed while running."""

    exit_code = 3

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SinkRefused(SinkError, ValueError):
    """A sink that cannot be opened as asked: exists already, unwritable, unknown kind."""

    exit_code = 2


class Interrupted(EdgesegError):
    """The user ended the run; outputs were finalised first."""

    exit_code = 130


def near_match(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest known word, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
