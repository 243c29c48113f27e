"""Options that say which labelled pictures are scored, alike in every command that scores."""

from __future__ import annotations

from typing import Any

import typer

SPLIT: Any = typer.Option(None, "--split", help="Sub-folder or manifest split.")
SOURCES: Any = typer.Option([], "--source", help="Only pictures of this source.")
VOID: Any = typer.Option(
    [], "--void", metavar="NAME|ID", help="A class of the labels that is not scored."
)
PAIRS: Any = typer.Option(
    [], "--map", metavar="DATA=MODEL", help="A class of the labels, as the model calls it."
)
