"""Train a network; a stopped run continues where it was.

python tools/train.py configs/train/portrait.yaml --data DATA --backbone IMAGENET.pth --out RUN

DATA holds portrait/, instances/ and camvid/ (see edgeseg/training/*/datasets.py). RUN gets last.pt,
best.pt (highest validation score), log.csv, curves.png and the settings used. Settings can be
changed in place, also of a run that is resumed: --set epochs=60 --set cooldown_epochs=15
All of DATA is read and checked before the first step; a mistake is one line and exit code 2.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgeseg.errors import EdgesegError
from edgeseg.training.config import TrainConfig, load_config
from edgeseg.training.curves import draw_curves
from edgeseg.training.loop import Run, train
from edgeseg.training.start import choose_device, load_task, start_run


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with portrait/, ...")
    parser.add_argument("--backbone", type=Path, required=True, help="ImageNet MobileNetV2 .pth")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--teacher", type=Path, nargs="*", default=[], help="edgeseg .onnx files")
    parser.add_argument("--stop-after", type=int, help="epoch to stop after, schedule unchanged")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(words)


class Reporter:
    """A bar with ETA on a terminal, a line per epoch with ETA anywhere else; on stderr."""

    def __init__(self, run: Run, bar: Progress, end: int) -> None:
        self.run, self.bar, self.end = run, bar, end
        self.steps = run.config.samples_per_epoch // run.config.batch_size
        self.task = bar.add_task(
            "",
            total=end * self.steps,
            completed=run.epoch * self.steps,  # else the first step would look like all before it
            epoch=run.epoch + 1,
            loss=float("nan"),
        )
        self.began, self.first = time.monotonic(), run.epoch

    def step(self, step: int, _steps: int, loss: float) -> None:
        """After each step of the epoch that follows `run.epoch`."""
        done = self.run.epoch * self.steps + step
        self.bar.update(self.task, completed=done, epoch=self.run.epoch + 1, loss=loss)

    def scored(self, epoch: int, loss: float, scores: dict[str, float]) -> None:
        """After each epoch."""
        each = (time.monotonic() - self.began) / (epoch - self.first)
        left = datetime.timedelta(seconds=round(each * (self.end - epoch)))
        score = "".join(f", {name} {value:.4f}" for name, value in list(scores.items())[:1])
        if not self.bar.console.is_terminal:
            said = (
                f"epoch {epoch}/{self.end}: loss {loss:.4f}{score}, {each:.0f} s each, {left} left"
            )
            print(said, file=sys.stderr, flush=True)


def run_training(arguments: argparse.Namespace) -> None:
    """Check everything, train, report."""
    config = load_config(arguments.config, arguments.set)
    device = choose_device(arguments.device, config)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(config.seed)
    task = load_task(config, arguments.data, arguments.teacher)
    run = start_run(config, arguments.out, arguments.backbone, device)
    end = config.epochs
    if arguments.stop_after is not None:
        end = min(end, arguments.stop_after)
    console = Console(stderr=True)
    columns = (
        TextColumn("epoch {task.fields[epoch]} loss {task.fields[loss]:.4f}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(
            *columns, console=console, speed_estimate_period=600, disable=not console.is_terminal
        ) as bar:
            reporter = Reporter(run, bar, end)
            train(
                run, task, arguments.out, stop_after=arguments.stop_after,
                progress=reporter.step, scored=reporter.scored,
            )  # fmt: skip
    finally:
        draw(arguments.out, config)
    print(f"best {run.best:.4f} after {run.epoch} epochs: {arguments.out}", file=sys.stderr)


def draw(folder: Path, config: TrainConfig) -> None:
    """The curves of the run in `folder`, if it has a log and matplotlib is installed."""
    if not (folder / "log.csv").exists():
        return
    try:
        draw_curves(folder / "log.csv", folder / "curves.png", config.score_names)
    except ImportError:
        print("no curves.png: install the [train] extra (matplotlib)", file=sys.stderr)


def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 2 for a mistake of the user's, 130 when interrupted."""
    try:
        run_training(parse_arguments(words))
    except EdgesegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command continues after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    sys.exit(main())
