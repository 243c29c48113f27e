"""A picture of a run's log: loss and scores by epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

_CHOOSERS = {
    "macro_iou": ("mean of the sources", "person IoU, validation"),
    "miou": ("mean IoU", "IoU, validation"),
    "ap50": ("mean AP50", "mask AP50, validation"),
}
"""By the score that chooses the best checkpoint: its name in the legend, and the axis."""


def read_log(path: Path) -> dict[str, list[float]]:
    """The columns of a `log.csv`, in file order."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in (rows[0] if rows else [])}


def draw_curves(log: Path, picture: Path, names: Mapping[str, str] | None = None) -> None:
    """Draw the log at `log` to the PNG `picture`; `names` says what columns are called there.

    Raises: ImportError when matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    columns = read_log(log)
    epochs = columns.pop("epoch", [])
    chooser = next((name for name in columns if name != "loss"), "")
    titles = {chooser: _CHOOSERS.get(chooser, (chooser, "score, validation"))[0]} | dict(
        names or {}
    )
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, columns.pop("loss", []), color="black")
    left.set(xlabel="epoch", ylabel="training loss")
    many = len(columns) > 10  # more than the standard colours
    for index, (name, values) in enumerate(columns.items()):
        whole = name == chooser
        style = "--" if many and index > 10 else "-"
        right.plot(
            epochs, values, style, label=f"{titles.get(name, name)} {values[-1]:.3f}",
            color="black" if whole else f"C{(index - 1) % 10}",
            linewidth=2.0 if whole else 0.9, zorder=2 + whole,
        )  # fmt: skip
    right.set(xlabel="epoch", ylabel=_CHOOSERS.get(chooser, ("", "score, validation"))[1])
    if columns:
        figure.legend(*right.get_legend_handles_labels(), fontsize="small", loc="outside right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=100)
