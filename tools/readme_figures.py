"""Writes README's figures from committed results, so that none is typed by hand.

    python tools/readme_figures.py            # prints the blocks
    python tools/readme_figures.py --write    # puts them between the markers of both README.md

Sources: tools/bench_results/pipeline.json (``make bench``), precision.json beside it
(``tools/time_precisions.py``) and the cards of the shipped models.
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
PRECISIONS = ROOT / "tools" / "bench_results" / "precision.json"
COMBINATIONS = {
    "onnxruntime fp32": "FP32",
    "onnxruntime int8": "INT8",
    "openvino fp32": "OpenVINO FP32",
    "openvino int8": "OpenVINO INT8",
}
JUDGED = {"miou": "mIoU", "mask_ap": "mask AP", "person_iou": "person IoU"}
PORTRAITS = ("portrait", "portrait-sinet")
SCENES = ("driving", "driving-icnet")
INSTANCES = "instances"
Card = dict[str, Any]


def pipeline_table(report: dict[str, Any]) -> list[str]:
    device, settings = report["device"], report["settings"]
    lines = [
        f"File to file with `{settings['effect']}`, model `{settings['model']}`, "
        f"{device['cpu']}, {device['cores']} cores, {report['date']}, median of "
        f"{settings['rounds']} alternating rounds (`make bench`):",
        "",
        "| clip | network | naive loop | edgeseg | ratio | CPU-ms a frame, naive / edgeseg "
        "| of which network | of the physical bound |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for clip, row in report["clips"].items():
        own = row["by_itself"]
        for name, network, found in ((clip, "the same", row), ("", own["network"], own)):
            cpu = f"{found['naive_cpu_ms']:.1f} / {found['edgeseg_cpu_ms']:.1f}"
            lines.append(
                f"| {name} | {network} | {found['naive_fps']:.1f} fps "
                f"| **{found['edgeseg_fps']:.1f} fps** | **x{found['ratio']:.1f}** | {cpu} "
                f"| {found['network_cpu_ms']:.1f} | {100 * found['of_bound']:.0f} % |"
            )
    lines += [
        "",
        "The upper line of each clip has the same FP32 network in both, the lower one what edgeseg "
        "takes by itself here. "
        "The naive loop is `tools/naive_loop.py`: cv2 read, numpy float preprocessing, ONNX "
        "Runtime defaults, `np.argmax`, numpy blend, cv2 write, with the same network. The "
        "physical bound is `cores x 1000 / CPU-ms a frame`.",
    ]
    return lines


def precision_table(report: dict[str, Any]) -> list[str]:
    device, versions = report["device"], report["device"]["versions"]
    lines = [
        f"Precisions and backends, in turns in one run: median ms of the network in 1 / 2 threads "
        f"and score on the validation pictures; {device['cpu']} with AVX512-VNNI, ONNX Runtime "
        f"{versions['onnxruntime']}, OpenVINO {versions['openvino']}, {report['date']} "
        "(`tools/time_precisions.py`):",
        "",
        "| model | judged by | " + " | ".join(COMBINATIONS.values()) + " |",
        "| --- " * (len(COMBINATIONS) + 2) + "|",
    ]
    for name, model in report["models"].items():
        judged = next(iter(model["scores"]["onnxruntime fp32"]))
        cells = []
        for key in COMBINATIONS:
            one, two = (model["threads"][count][key]["median_ms"] for count in ("1", "2"))
            cells.append(f"{one:.1f} / {two:.1f} ms, {model['scores'][key][judged]:.4f}")
        lines.append(f"| `{name}` | {judged} | " + " | ".join(cells) + " |")
    return lines


def portrait_table(cards: list[Card]) -> list[str]:
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


def scene_table(cards: list[Card]) -> list[str]:
    first = cards[0]["metrics"]
    speed = first["speed"]
    lines = [
        f"Driving scenes: mean IoU over the {len(first['iou'])} classes of CamVid's validation "
        f"split ({first['images']} pictures of 480x360; the best epoch was chosen on it), encoder "
        f"pretrained on ImageNet; median network time, {speed['device']}, {speed['date']}:",
        "",
        "| model | input | parameters | mIoU | pixel accuracy | boundary F | network |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        metrics = card["metrics"]
        lines.append(
            f"| `{card['name']}` | {size_of(card)} | {millions(metrics)} | {metrics['miou']:.3f} "
            f"| {metrics['pixel_accuracy']:.3f} | {metrics['boundary_f']:.3f} "
            f"| {metrics['speed']['median_ms']:.1f} ms |"
        )
    classes = list(first["iou"])
    lines += ["", "| IoU | " + " | ".join(classes) + " |", "| --- " * (len(classes) + 1) + "|"]
    for card in cards:
        each = (f"{card['metrics']['iou'][name]:.2f}" for name in classes)
        lines.append(f"| `{card['name']}` | " + " | ".join(each) + " |")
    return lines


def instance_table(card: Card) -> list[str]:
    metrics = card["metrics"]
    speed = metrics["speed"]
    lines = [
        f"Objects: `{card['name']}`, input {size_of(card)}, {millions(metrics)} parameters, "
        f"{speed['median_ms']:.1f} ms ({speed['device']}, {speed['date']}), pretrained on "
        "ImageNet; average precision on validation pictures by source (pycocotools; the last epoch "
        "was taken):",
        "",
        "| source | class | pictures | mask AP50 | mask AP | box AP50 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for source, figures in metrics["sources"].items():
        for name, scores in figures["classes"].items():
            lines.append(
                f"| {source} | {name} | {figures['images']} | {scores['ap50']['mask']:.3f} "
                f"| {scores['ap']['mask']:.3f} | {scores['ap50']['box']:.3f} |"
            )
    return lines


def int8_table(cards: list[Card]) -> list[str]:
    lines = [
        "| | judged by | FP32 | INT8 | points lost | boundary F | flicker | ms | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        found = card["metrics"]["int8"]
        before, speed, flicker = found["fp32_same_run"], found["speed"], found["flicker"]
        edge = "boundary_f"
        edges = f"{before[edge]:.3f} → {found[edge]:.3f}" if edge in found else ""
        judged = next(key for key in before if key != edge)
        lines.append(
            f"| `{card['name']}` | {JUDGED[judged]} | {before[judged]:.4f} | {found[judged]:.4f} "
            f"| {found['points_lost']:.2f} | {edges} "
            f"| {flicker['fp32']:.4f} → {flicker['int8']:.4f} "
            f"| {speed['fp32_ms']:.1f} → {speed['median_ms']:.1f} | x{speed['ratio']:.2f} |"
        )
    return lines


def size_of(card: Card) -> str:
    width, height = card["input"]["size"]
    return f"{width}x{height}"


def millions(metrics: dict[str, Any]) -> str:
    return f"{metrics['parameters'] / 1e6:.2f} M"


def card_of(name: str) -> Card:
    card: Card = yaml.safe_load((ROOT / "engines" / f"{name}.yaml").read_text())
    return card


def block() -> str:
    lines = [
        *pipeline_table(json.loads(PIPELINE.read_text())),
        "",
        *precision_table(json.loads(PRECISIONS.read_text())),
        "",
        *portrait_table([card_of(name) for name in PORTRAITS]),
        "",
        *scene_table([card_of(name) for name in SCENES]),
        "",
        *instance_table(card_of(INSTANCES)),
    ]
    return "\n".join([BEGIN, *lines, END])


def engines_block() -> str:
    cards = [card_of(name) for name in (*SCENES, INSTANCES, *PORTRAITS)]
    return "\n".join([BEGIN, *int8_table(cards), END])


def with_block(readme: str, figures: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + figures + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    for path, figures in ((ROOT / "README.md", block), (ROOT / "engines/README.md", engines_block)):
        if write:
            path.write_text(with_block(path.read_text(), figures()))
        else:
            print(figures())


if __name__ == "__main__":
    main()
