"""Train a network; a stopped run continues where it was.

python tools/train.py configs/train/portrait.yaml --data DATA --backbone IMAGENET.pth --out RUN

DATA holds portrait/, instances/ and camvid/ (see edgeseg/training/datasets.py). RUN gets last.pt,
best.pt (highest validation score), log.csv, curves.png and the settings used. Settings can be
changed in place, also of a run that is resumed: --set epochs=60 --set cooldown_epochs=15
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgeseg.models import zoo
from edgeseg.models.mobilenetv2 import load_pretrained_state
from edgeseg.training.config import PortraitConfig, SceneConfig, load_config, parse_config
from edgeseg.training.curves import draw_curves
from edgeseg.training.loop import Run, train
from edgeseg.training.portrait.task import PortraitTask
from edgeseg.training.portrait.teacher import Ensemble
from edgeseg.training.scene.task import SceneTask
from edgeseg.training.task import Task

Config = PortraitConfig | SceneConfig


def parse_arguments() -> argparse.Namespace:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with portrait/, ...")
    parser.add_argument("--backbone", type=Path, required=True, help="ImageNet MobileNetV2 .pth")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--teacher", type=Path, nargs="*", default=[], help="edgeseg .onnx files")
    parser.add_argument("--stop-after", type=int, help="epoch to stop after, schedule unchanged")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def overridden(config: Config, changes: list[str]) -> Config:
    """`config` with `key=value` or `section.key=value` changes, validated again."""
    values = config.model_dump(mode="json")
    for change in changes:
        path, _, value = change.partition("=")
        *sections, key = path.split(".")
        target = values
        for section in sections:
            target = target[section]
        target[key] = yaml.safe_load(value)
    return parse_config(values)


def prepare_run(arguments: argparse.Namespace, config: Config) -> Run:
    """A new run from ImageNet weights, or the one that lies in the output folder."""
    network = zoo.build(config.arch)
    zoo.start_from_imagenet(network, load_pretrained_state(arguments.backbone))
    run = Run.start(network, config)
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    (arguments.out / "config.yaml").write_text(settings, encoding="utf-8")
    if (arguments.out / "last.pt").exists():
        run.restore(arguments.out / "last.pt")
    return run


def prepare_task(arguments: argparse.Namespace, config: Config) -> Task:
    """The data and the loss that `config` asks for."""
    if isinstance(config, SceneConfig):
        return SceneTask.load(config, arguments.data)
    teacher = Ensemble(arguments.teacher) if arguments.teacher else None
    return PortraitTask.load(config, arguments.data, teacher)


def main() -> None:
    """Load, train, report."""
    arguments = parse_arguments()
    config = overridden(load_config(arguments.config), arguments.set)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(config.seed)
    run = prepare_run(arguments, config)
    prepared = prepare_task(arguments, config)
    columns = (
        TextColumn("epoch {task.fields[epoch]} loss {task.fields[loss]:.4f}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=600) as bar:
        steps = config.samples_per_epoch // config.batch_size
        task = bar.add_task("", total=config.epochs * steps, epoch=run.epoch, loss=float("nan"))

        def show(step: int, _steps: int, loss: float) -> None:
            done = run.epoch * steps + step
            bar.update(task, completed=done, epoch=run.epoch + 1, loss=loss)

        scores = train(run, prepared, arguments.out, stop_after=arguments.stop_after, progress=show)
    draw_curves(arguments.out / "log.csv", arguments.out / "curves.png")
    if scores:
        name, value = next(iter(scores.items()))
        print(f"{name} {value:.4f}, best {run.best:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
