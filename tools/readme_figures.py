"""Writes README's figures from committed results, so that none is typed by hand.

    python tools/readme_figures.py            # prints the block
    python tools/readme_figures.py --write    # puts it between README's markers

Sources: tools/bench_results/pipeline.json (``make bench``) and the cards of the shipped models.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
PIPELINE = ROOT / "tools" / "bench_results" / "pipeline.json"
MODELS = ("portrait", "portrait-sinet")


def pipeline_table(report: dict[str, Any]) -> list[str]:
    device, settings = report["device"], report["settings"]
    lines = [
        f"File to file with `{settings['effect']}`, model `{settings['model']}`, "
        f"{device['cpu']}, {device['cores']} cores, {report['date']}, median of "
        f"{settings['rounds']} alternating rounds (`make bench`):",
        "",
        "| clip | naive loop | edgeseg | ratio | CPU-ms a frame, naive / edgeseg "
        "| of which network | of the physical bound |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for clip, row in report["clips"].items():
        lines.append(
            f"| {clip} | {row['naive_fps']:.1f} fps | **{row['edgeseg_fps']:.1f} fps** "
            f"| **x{row['ratio']:.1f}** | {row['naive_cpu_ms']:.1f} / {row['edgeseg_cpu_ms']:.1f} "
            f"| {row['network_cpu_ms']:.1f} | {100 * row['of_bound']:.0f} % |"
        )
    lines += [
        "",
        "The naive loop is `tools/naive_loop.py`: cv2 read, numpy float preprocessing, ONNX "
        "Runtime defaults, `np.argmax`, numpy blend, cv2 write, with the same network. The "
        "physical bound is `cores x 1000 / CPU-ms a frame`.",
    ]
    return lines


def model_table(cards: list[dict[str, Any]]) -> list[str]:
    speed = cards[0]["metrics"]["speed"]
    references = ", ".join(f"{k} {v} ms" for k, v in speed["references_same_run_ms"].items())
    lines = [
        "Person IoU, macro over the four sources of our validation split, on which the best "
        f"epoch was chosen; median network time, {speed['device']}, {speed['date']} "
        f"(same run: {references}). More, with public networks beside ours, in "
        "[engines/README.md](engines/README.md):",
        "",
        "| model | input | parameters | person IoU | boundary F | network |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        metrics = card["metrics"]
        width, height = card["input"]["size"]
        lines.append(
            f"| `{card['name']}` | {width}x{height} | {metrics['parameters'] / 1e6:.2f} M "
            f"| {metrics['macro_person_iou']:.3f} | {metrics['boundary_f']:.3f} "
            f"| {metrics['speed']['median_ms']:.1f} ms |"
        )
    return lines


def block() -> str:
    cards = [yaml.safe_load((ROOT / "engines" / f"{m}.yaml").read_text()) for m in MODELS]
    lines = [*pipeline_table(json.loads(PIPELINE.read_text())), "", *model_table(cards)]
    return "\n".join([BEGIN, *lines, END])


def with_block(readme: str, figures: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + figures + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        path = ROOT / "README.md"
        path.write_text(with_block(path.read_text(), block()))
    else:
        print(block())


if __name__ == "__main__":
    main()
