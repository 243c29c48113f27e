"""The naive loop against ``edgeseg run``: same clip, same model, file to file, one run.

    python tools/bench_pipeline.py [--model M] [--effect E] [--rounds 5]
        [--clip CLIP.mp4] [--json R.json]

edgeseg runs twice: with the same network in FP32 on ONNX Runtime, and as it runs by itself, which
may be an INT8 file or another backend (the report says which). Rounds alternate A B C A B C, so a
drifting machine hits all alike; medians and ratios of medians are reported. Two clips are rendered:
``webcam`` (a still camera) and ``handheld`` (all moves, much grain). Frames per second count the
running loop, not the start of the interpreter. The physical bound of a pipeline is
``cores * 1000 / cpu_ms_per_frame``: the rate at which every core is busy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg import __version__
from edgeseg.device import available_cores, describe_device
from edgeseg.model_file import load_model
from edgeseg.precision.graph import fp32_graph

TOOLS = Path(__file__).resolve().parent
SIZES = ("1280x720", "1920x1080")
SAME_NETWORK = ("--backend", "onnxruntime", "--precision", "fp32")


def plain_twin(model: onnx.ModelProto, channels: int = 3) -> onnx.ModelProto:
    """Returns the model as a plain export: float NCHW input in -1..1, two class scores out."""
    graph = model.graph
    first = next(i for i, node in enumerate(graph.node) if node.op_type == "Conv")
    shape = graph.input[0].type.tensor_type.shape.dim
    height, width = shape[1].dim_value, shape[2].dim_value
    graph.node[first].input[0] = "x"
    kernel = next(i for i in graph.initializer if i.name == graph.node[first].input[1])
    scaled = numpy_helper.to_array(kernel) * np.float32(127.5)  # shipped files take levels - 127.5
    kernel.CopyFrom(numpy_helper.from_array(scaled, kernel.name))
    used = {name for node in graph.node[first:] for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    score = graph.output[0].name
    background, both = "one_minus_score", "scores"
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        *graph.node[first:],
        helper.make_node("Sub", ["one", score], [background]),
        helper.make_node("Concat", [background, score], [both], axis=1),
    ]
    twin = helper.make_graph(
        nodes,
        "plain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, height, width])],
        [helper.make_tensor_value_info(both, TensorProto.FLOAT, None)],
        [*kept, one],
    )
    made = helper.make_model(twin, opset_imports=model.opset_import)
    made.ir_version = model.ir_version
    return made


def run_naive(model: Path, clip: Path, out: Path) -> dict[str, float]:
    command = [sys.executable, str(TOOLS / "naive_loop.py"), str(model), str(clip), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    frames = figures["frames"]
    return {
        "fps": frames / figures["seconds"],
        "cpu_ms": 1000 * figures["cpu_seconds"] / frames,
        "frames": frames,
    }


def run_edgeseg(
    args: argparse.Namespace, clip: Path, out: Path, *, options: Sequence[str] = ()
) -> dict[str, Any]:
    report = out.with_suffix(".json")
    command = [sys.executable, "-m", "edgeseg", "run", str(clip), "--model", args.model]
    command += ["--effect", args.effect, "-o", str(out), "--report", str(report)]
    subprocess.run([*command, *options, "--overwrite", "--quiet"], check=True)
    figures = json.loads(report.read_text())
    stages = figures["stages_ms"]
    return {
        "fps": figures["fps"]["written"],
        "cpu_ms": figures["cpu_ms_per_frame"],
        "infer_cpu_ms": stages["infer"]["cpu"],
        "infer_p50_ms": stages["infer"]["p50"],
        "frames": figures["frames"]["written"],
        "stages_cpu_ms": {name: stage["cpu"] for name, stage in stages.items()},
        "workers": figures["workers"],
        "threads": figures["threads"],
        "network": f"{figures['precision']} on {figures['backend']}",
    }


def median_of(rounds: list[dict[str, Any]], key: str) -> float:
    return statistics.median(r[key] for r in rounds)


def summarise(naive: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    cpu, infer = median_of(ours, "cpu_ms"), median_of(ours, "infer_cpu_ms")
    bound = available_cores() * 1000 / cpu
    return {
        "naive_fps": round(median_of(naive, "fps"), 2),
        "edgeseg_fps": round(median_of(ours, "fps"), 2),
        "ratio": round(median_of(ours, "fps") / median_of(naive, "fps"), 2),
        "naive_cpu_ms": round(median_of(naive, "cpu_ms"), 2),
        "edgeseg_cpu_ms": round(cpu, 2),
        "network_cpu_ms": round(infer, 2),
        "other_cpu_ms": round(cpu - infer, 2),
        "bound_fps": round(bound, 2),
        "of_bound": round(
            statistics.median(r["fps"] * r["cpu_ms"] for r in ours) / 1000 / available_cores(), 3
        ),
        "rounds": {"naive": naive, "edgeseg": ours},
    }


def webcam_clip(path: Path, size: str, seconds: float) -> None:
    """A person before a still camera: little moves, as in most webcam pictures."""
    scene = f"synthetic://portrait?size={size}&fps=30&frames={round(30 * seconds)}&noise=1&seed=3"
    command = [sys.executable, "-m", "edgeseg", "run", scene, "--effect", "none", "-o", str(path)]
    settings = ["--set", "output.preset=veryfast", "--set", "output.crf=20"]
    subprocess.run([*command, *settings, "--quiet"], check=True)


def handheld_clip(path: Path, size: str, seconds: float) -> None:
    """The demo clip: every pixel moves and grain is strong, the hard case for both codecs."""
    command = [sys.executable, str(TOOLS / "make_demo_clip.py"), str(path), "--size", size]
    subprocess.run([*command, "--seconds", str(seconds)], check=True, capture_output=True)


CLIPS = {"webcam": webcam_clip, "handheld": handheld_clip}


def compare(args: argparse.Namespace, name: str, clip: Path, folder: Path) -> dict[str, object]:
    """Alternates the programs on one clip and prints what came out."""
    naive, same, own = [], [], []
    for number in range(args.rounds):
        naive.append(run_naive(folder / "plain.onnx", clip, folder / "naive.mp4"))
        same.append(run_edgeseg(args, clip, folder / "edgeseg.mp4", options=SAME_NETWORK))
        own.append(run_edgeseg(args, clip, folder / "edgeseg.mp4"))
        last = f"{naive[-1]['fps']:.1f} | {same[-1]['fps']:.1f} | {own[-1]['fps']:.1f} fps"
        print(f"{name} round {number + 1}/{args.rounds}: {last}", file=sys.stderr)
    summary, by_itself = summarise(naive, same), summarise(naive, own)
    for what, found in ((same[0]["network"], summary), (own[0]["network"], by_itself)):
        print(
            f"{name}: naive {found['naive_fps']} fps at {found['naive_cpu_ms']} CPU-ms, edgeseg "
            f"{what} {found['edgeseg_fps']} fps at {found['edgeseg_cpu_ms']} CPU-ms "
            f"(network {found['network_cpu_ms']}, all else {found['other_cpu_ms']}): "
            f"x{found['ratio']}, of the physical bound {found['of_bound']}"
        )
    by_itself["rounds"].pop("naive")
    return {**summary, "by_itself": {"network": own[0]["network"], **by_itself}}


def bench(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    loaded = load_model(args.model)
    onnx.save(plain_twin(fp32_graph(loaded)), folder / "plain.onnx")
    if args.clip:
        return {args.clip.name: compare(args, args.clip.name, args.clip, folder)}
    results: dict[str, object] = {}
    for kind, render in CLIPS.items():
        for size in args.sizes:
            clip = folder / f"{kind}_{size}.mp4"
            render(clip, size, args.seconds)
            name = f"{kind} {size}"
            results[name] = compare(args, name, clip, folder)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="portrait")
    parser.add_argument("--effect", default="overlay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clip", type=Path, help="your own clip instead of the rendered ones")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = bench(args, Path(folder))
    report = {
        "schema": 1,
        "edgeseg": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "device": describe_device(),
        "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()},
        "model_sha256": load_model(args.model).sha256,
        "clips": results,
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
