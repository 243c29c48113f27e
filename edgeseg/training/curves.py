"""A picture of a run's log: loss and person IoU by epoch."""

from __future__ import annotations

import csv
from pathlib import Path


def read_log(path: Path) -> dict[str, list[float]]:
    """The columns of a `log.csv`, in file order."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in (rows[0] if rows else [])}


def draw_curves(log: Path, picture: Path) -> None:
    """Draw the log at `log` to the PNG `picture`.

    Raises: ImportError when matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    columns = read_log(log)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(columns["epoch"], columns["loss"], color="black")
    left.set(xlabel="epoch", ylabel="training loss")
    for name, values in columns.items():
        if name in ("epoch", "loss"):
            continue
        whole = name == "macro_iou"
        label = "mean of the sources" if whole else name
        right.plot(
            columns["epoch"], values, label=label, linewidth=2.0 if whole else 0.9, zorder=2 + whole
        )
    right.set(xlabel="epoch", ylabel="person IoU, validation")
    right.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)
