"""The typer application: registers every command and turns usage errors into ours."""

from __future__ import annotations

import logging
import sys

import typer

from edgeseg import __version__
from edgeseg.cli.build import build
from edgeseg.cli.doctor import doctor
from edgeseg.cli.eval import evaluate
from edgeseg.cli.models import models_app
from edgeseg.cli.run import run
from edgeseg.errors import ConfigError

try:
    from typer import TyperException as UsageProblem
except ImportError:  # typer before it carried its own click
    from click import ClickException as UsageProblem  # type: ignore[import-not-found,no-redef]

INTERRUPTED = 130

app = typer.Typer(
    name="edgeseg",
    help="Real-time segmentation of live and recorded video on edge devices.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("eval")(evaluate)
app.command("build")(build)
app.command("doctor")(doctor)
app.add_typer(models_app, name="models", help="List, show, check, compare, import, pull.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    debug: bool = typer.Option(False, "--debug", help="Log details; show tracebacks."),
) -> None:
    """Real-time segmentation of live and recorded video on edge devices."""


def invoke(arguments: list[str]) -> int:
    """Runs one command line. Raises ConfigError for a wrong option, argument or command."""
    try:
        code = app(arguments, standalone_mode=False, prog_name="edgeseg")
    except UsageProblem as problem:
        raise ConfigError(_usage_line(problem)) from problem
    except typer.Exit as leave:
        code = leave.exit_code
    except typer.Abort:
        code = INTERRUPTED
    if code == INTERRUPTED:  # what typer makes of Ctrl-C, without a word to the user
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _usage_line(problem: UsageProblem) -> str:
    context = getattr(problem, "ctx", None)
    command = context.command_path if context is not None else "edgeseg"
    if type(problem).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(context.get_help() + "\n" if context is not None else "")
        return "say what to do, for example: edgeseg run 0"
    return f"{problem.format_message().rstrip('.')}; see {command} --help"


def start_logging(*, debug: bool) -> None:
    """Sends the package's log to stderr: warnings, or everything with ``--debug``."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("edgeseg: %(message)s"))
    logger = logging.getLogger("edgeseg")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    logger.propagate = False
