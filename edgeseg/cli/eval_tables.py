"""What ``edgeseg eval`` shows in the terminal, from its report."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from edgeseg.spec import Task

Row = dict[str, Any]
PERSON = {"person IoU": "iou", "mIoU": "miou", "edge F": "boundary_f", "right": "pixel_accuracy"}
CLASSES = {
    "IoU": "iou",
    "Dice": "dice",
    "prec": "precision",
    "rec": "recall",
    "edge F": "boundary_f_per_class",
}
APS = ("ap", "ap50", "ap75")


def tables(report: Row, task: Task) -> list[Table]:
    """Returns the figures as tables, the summary first."""
    if task == "portrait":
        return [_portrait(report)]
    if task == "semantic":
        return [_semantic_summary(report), _semantic_classes(report)]
    return [_instances(report)]


def title_of(report: Row) -> str:
    """Returns model and data."""
    split = f" ({report['split']})" if report["split"] else ""
    return f"{report['model']['name']} on {report['data']}{split}"


def _portrait(report: Row) -> Table:
    """One row per source, their mean, and all pictures pooled."""
    table = _table(report, "", "pictures", *PERSON, "prec", "rec")
    for name, row in report["sources"].items():
        table.add_row(name, *_person_cells(row))
    if report["iou_macro"] is not None:
        table.add_row("mean of sources", "", f"{report['iou_macro']:.3f}", end_section=True)
    table.add_row("all pixels pooled", *_person_cells(report))
    return table


def _person_cells(row: Row) -> list[str]:
    figures = [row["iou"]["person"], row["miou"], row["boundary_f"], row["pixel_accuracy"]]
    person = row["person"]
    return [str(row["images"]), *_cells(*figures, person["precision"], person["recall"])]


def _semantic_summary(report: Row) -> Table:
    """One row per source, and all pictures pooled."""
    table = _table(report, "", "pictures", "mIoU", "Dice", "edge F", "right")
    keys = ("miou", "mean_dice", "boundary_f", "pixel_accuracy")
    for name, row in {**report["sources"], "all pixels pooled": report}.items():
        table.add_row(name, str(row["images"]), *_cells(*(row[key] for key in keys)))
    return table


def _semantic_classes(report: Row) -> Table:
    """One row per class."""
    table = _plain("class", *CLASSES)
    for name in report["iou"]:
        table.add_row(name, *_cells(*(report[key][name] for key in CLASSES.values())))
    return table


def _instances(report: Row) -> Table:
    """A row for each source and for all pictures, and below it one for each class."""
    table = _table(report, "", "objects", "mask AP", "AP50", "AP75", "box AP", "AP50", "AP75")
    for name, part in {**report["sources"], "all pictures": report}.items():
        classes = part["classes"].items()
        table.add_row(name, *_instance_cells(part), end_section=not classes)
        for position, (label, row) in enumerate(classes, start=1):
            table.add_row(f"  {label}", *_instance_cells(row), end_section=position == len(classes))
    return table


def _instance_cells(row: Row) -> list[str]:
    figures = [row[ap][kind] for kind in ("mask", "box") for ap in APS]
    return [str(row["objects"]), *_cells(*figures)]


def _table(report: Row, *columns: str) -> Table:
    table = _plain(*columns)
    ms = report["network_ms"]["p50"]
    table.title, table.title_justify = f"{title_of(report)}, network {ms:.1f} ms", "left"
    return table


def _plain(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if column and index else "left", no_wrap=True)
    return table


def _cells(*values: float | None) -> list[str]:
    return ["--" if value is None else f"{value:.3f}" for value in values]
