"""The command line: ``edgeseg run | eval | models | doctor``, one file per command.

Everything printed for people goes to stderr, data to stdout. Exit codes: 0 done, 2 the user's
input was wrong, 3 something failed while running, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import nullcontext

from edgeseg.cli.ending import ending_as_by_ctrl_c
from edgeseg.cli.streams import (
    discard_stdout,
    is_stream_fault,
    muted_libraries,
    sturdy_streams,
)
from edgeseg.errors import EdgesegError

_BAD_NAMES = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES, errno.EPERM})
"""What the system says of paths that cannot be used; most are caught where they are used."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code; one line per failure unless ``--debug``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    with nullcontext() if debug else muted_libraries(), sturdy_streams(), ending_as_by_ctrl_c():
        code = _run(arguments, debug=debug)
    sys.exit(code)


def _run(arguments: list[str], *, debug: bool) -> int:
    if not debug:  # OpenCV reads it when it is loaded; what goes wrong is said by our own errors
        os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    try:
        code = _invoke([a for a in arguments if a != "--debug"], debug=debug)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _say("interrupted", 130)
    except BrokenPipeError:  # whoever read our stdout has left, e.g. `edgeseg models list | head`
        discard_stdout()
        code = 0
    except EdgesegError as error:
        if debug:
            raise
        code = _say(str(error), error.exit_code)
    except Exception as error:
        if debug:
            raise
        code = _say(_explain(error), _code_of(error))
    return code


def _invoke(arguments: list[str], *, debug: bool) -> int:
    from edgeseg.cli.app import invoke, start_logging

    start_logging(debug=debug)
    return invoke(arguments)


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"edgeseg: {line}\n")
    return code


def _explain(error: Exception) -> str:
    """Returns one line for an error that is not ours: a missing library or package, or a bug."""
    if isinstance(error, ImportError):
        from edgeseg.system_libs import explain_import_error

        return explain_import_error(error) or f"cannot import {error.name}: {error}"
    if is_stream_fault(error):
        discard_stdout()
        return f"standard output cannot be written: {error}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    kind = type(error).__name__
    return f"internal error: {kind}: {error}; run again with --debug and report what it prints"


def _code_of(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _BAD_NAMES:
        return 2
    return 2 if isinstance(error, ImportError) else 3
