"""``edgeseg doctor``: what works on this machine, and what to install for the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from edgeseg.cli.progress import data_console

if TYPE_CHECKING:
    from edgeseg.doctor import Finding

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}


def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Show what works on this machine and what to install for the rest."""
    from edgeseg import __version__
    from edgeseg.device import describe_device
    from edgeseg.doctor import examine

    found = examine()
    works = all(finding.status != "missing" for finding in found)
    if as_json:
        report = {
            "schema": 1,
            "edgeseg": __version__,
            "device": describe_device(),
            "works": works,
            "findings": [asdict(finding) for finding in found],
        }
        typer.echo(json.dumps(report, indent=2))
        return
    screen = data_console()
    screen.print(findings_table(found))
    screen.print("everything edgeseg needs is here" if works else "mend what is missing first")


def findings_table(found: Sequence[Finding]) -> Table:
    """Returns the findings, one row each, what to do below what was found."""
    table = Table(box=None, pad_edge=False, show_header=False)
    shown = ""
    for finding in found:
        group = "" if finding.group == shown else finding.group
        shown = finding.group
        detail = escape(finding.detail)
        if finding.mend:
            detail += f"\n[bold]-> {escape(finding.mend)}[/]"
        table.add_row(f"[bold]{group}[/]", finding.name, _MARKS[finding.status], detail)
    return table
