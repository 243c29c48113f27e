"""Train a portrait network; a stopped run continues where it was.

python tools/train.py configs/train/portrait.yaml --data DATA --backbone IMAGENET.pth --out RUN
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
import yaml

from edgeseg.models import zoo
from edgeseg.models.mobilenetv2 import load_pretrained_state
from edgeseg.training.config import TrainConfig, load_config
from edgeseg.training.datasets import SampleBank, load_portraits
from edgeseg.training.loop import Progress, Run, train


def parse_arguments() -> argparse.Namespace:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with portrait/, ...")
    parser.add_argument("--backbone", type=Path, required=True, help="ImageNet MobileNetV2 .pth")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def overridden(config: TrainConfig, changes: list[str]) -> TrainConfig:
    """`config` with top-level `key=value` changes, validated again."""
    values = config.model_dump(mode="json")
    for change in changes:
        key, _, value = change.partition("=")
        values[key] = yaml.safe_load(value)
    return TrainConfig.model_validate(values)


def text_progress(run: Run, every_s: float = 20.0) -> Progress:
    """Prints a line now and then: epoch, step, loss, speed and time left."""
    began, last = time.perf_counter(), [0.0]
    done = [0]

    def report(step: int, steps: int, loss: float) -> None:
        done[0] += 1
        now = time.perf_counter()
        if now - last[0] < every_s:
            return
        last[0] = now
        pace = (now - began) / done[0]
        left = (run.config.epochs - run.epoch) * steps - step
        print(
            f"epoch {run.epoch + 1}/{run.config.epochs} step {step}/{steps} loss {loss:.4f} "
            f"{run.config.batch_size / pace:.1f} images/s, {left * pace / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )

    return report


def main() -> None:
    """Load, train, report."""
    arguments = parse_arguments()
    config = overridden(load_config(arguments.config), arguments.set)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(config.seed)
    network = zoo.build(config.arch)
    zoo.start_from_imagenet(network, load_pretrained_state(arguments.backbone))
    run = Run.start(network, config)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    if (arguments.out / "last.pt").exists():
        run.restore(arguments.out / "last.pt")
    bank = SampleBank.load(arguments.data)
    validation = load_portraits(arguments.data, "val")
    scores = train(run, bank, validation, arguments.out, progress=text_progress(run))
    if scores:
        print(f"macro IoU {scores.macro_iou:.4f}, best {run.best:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
