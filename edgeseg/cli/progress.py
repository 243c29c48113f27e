"""What a run shows in the terminal, all on stderr, and the console for tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edgeseg.meter import Meter, Snapshot
from edgeseg.types import SourceInfo


def console(*, quiet: bool = False) -> Console:
    """Returns a console on stderr that never breaks a path or a figure over lines."""
    return Console(stderr=True, soft_wrap=True, highlight=False, quiet=quiet)


class _DataConsole(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich itself would end the program with 1


def data_console() -> Console:
    """Returns a console for tables on stdout: as wide as the terminal, else 160 columns."""
    return _DataConsole(width=None if sys.stdout.isatty() else 160, highlight=False)


def tell(screen: Console, lines: Sequence[str]) -> None:
    """Prints lines as they are."""
    for line in lines:
        screen.print(line, markup=False)


class RunProgress:
    """A bar with ETA for sources of known length, running figures for the others."""

    def __init__(self, screen: Console, source: SourceInfo) -> None:
        counted = source.frames is not None
        columns = (
            [BarColumn(), MofNCompleteColumn(), TextColumn("ETA"), TimeRemainingColumn()]
            if counted
            else [MofNCompleteColumn(), TimeElapsedColumn()]
        )
        self._progress = Progress(
            SpinnerColumn(),
            *columns,
            TextColumn("{task.fields[figures]}"),
            console=screen,
            transient=True,
            disable=screen.quiet or not screen.is_terminal,
            refresh_per_second=5,
        )
        self._task: TaskID = self._progress.add_task("", total=source.frames, figures="")

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def update(self, meter: Meter) -> None:
        """Shows the figures of this moment."""
        if self._progress.disable:
            return
        now = meter.snapshot()
        self._progress.update(
            self._task, completed=now.counts["written"], figures=figures_line(now)
        )


def figures_line(now: Snapshot) -> str:
    """Returns the running figures as one short line."""
    fps = now.fps["written"]
    parts = ["-- fps" if fps is None else f"{fps:.1f} fps"]
    if now.latency_p50_ms is not None:
        parts.append(f"{now.latency_p50_ms:.0f} ms")
    if now.counts["dropped"]:
        parts.append(f"{now.counts['dropped']} dropped")
    return "  ".join(parts)


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """Returns the closing summary of a report: frames, rates, latency, where the time went."""
    frames, fps, latency = report["frames"], report["fps"], report["latency_ms"]
    source = report["source"]
    lost = [
        f"{count} {word}"
        for count, word in (
            (frames["dropped"], "dropped"),
            (frames["duplicated"], "duplicated"),
            (source["damaged"], "damaged"),
            (source["reconnects"], "reconnects"),
        )
        if count
    ]
    lines = [
        f"{frames['written']} of {frames['captured']} frames in {report['elapsed_s']:.1f} s"
        f" = {_number(fps['written'])} fps" + (f" ({', '.join(lost)})" if lost else "")
    ]
    if latency["p50"] is not None:
        lines.append(
            f"latency p50 {_number(latency['p50'])} ms, p99 {_number(latency['p99'])} ms; "
            f"{_number(report['cpu_ms_per_frame'])} CPU-ms a frame"
        )
    stages = {n: v["cpu"] for n, v in report["stages_ms"].items() if v["cpu"] is not None}
    if stages:
        times = [f"{stage} {_number(cpu)}" for stage, cpu in stages.items()]
        whole = report["cpu_ms_per_frame"]
        if whole is not None:  # of OpenVINO, networks in several threads, encoders
            times.append(f"other threads {_number(max(whole - sum(stages.values()), 0.0))}")
        lines.append("CPU-ms by stage: " + ", ".join(times))
    return lines


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.1f}"
