"""What ``edgeseg build`` shows in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from edgeseg.builder.gate import Verdict


def gate_table(model: str, verdict: Verdict) -> Table:
    """One row per precision: scores, points lost, flicker, time and size."""
    judged = list(verdict.rows[0].score.judged) if verdict.rows[0].score is not None else []
    edged = any(row.score is not None and row.score.boundary_f is not None for row in verdict.rows)
    flickered = any(row.flicker is not None for row in verdict.rows)
    columns = [*judged, *(["edge F"] if edged else []), *(["lost"] if judged else [])]
    columns += [*(["flicker"] if flickered else []), "ms", "x", "MB"]
    table = plain_table("", *columns)
    table.title, table.title_justify = f"{model} on {verdict.backend}, 1 thread", "left"
    for row in verdict.rows:
        score = row.score
        cells = [f"{score.judged[name]:.4f}" if score else "--" for name in judged]
        cells += [_figure(None if score is None else score.boundary_f, 3)] if edged else []
        cells += [_figure(row.drop, 2)] if judged else []
        cells += [_figure(row.flicker, 4)] if flickered else []
        size = None if row.size is None else row.size / 1e6
        speed = verdict.rows[0].ms / row.ms
        table.add_row(
            row.precision.upper(), *cells, f"{row.ms:.2f}", f"{speed:.2f}", _figure(size, 2)
        )
    return table


def plain_table(*columns: str) -> Table:
    """Returns a table without lines, the first column to the left."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _figure(value: float | None, digits: int) -> str:
    return "--" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00
