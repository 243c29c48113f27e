"""Frames per second of a model on a GPU, and how much of that the network alone would reach.

    python tools/bench_gpu.py [--model driving] [--backend tensorrt] [--precision fp16]
        [--as-trtexec11 | --as-trtexec10] [--size 1920x1080] [--lanes 2] [--seconds 3]
        [--json R.json]

Two measurements with the same lanes. The network alone, by trtexec's definitions: after 200 ms of
warm-up at least ``--seconds`` and ten runs; copies and computing by CUDA events, latency their sum,
throughput runs over the time from the first copy's start to the last one's end. Runs overlap
through lanes, where trtexec has three streams. Then end to end by the host's clock: I420 frames in
host memory in, results (masks, objects) out, from one thread per lane.

This tool has never run on a GPU: its loops were run on a simulated one, its arithmetic is tested.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from gpu_figures import PRESETS, Preset, Query, frame_figures, network_figures
from gpu_lanes import TimedLane

from edgeseg import __version__
from edgeseg.assemble import open_source
from edgeseg.backends import BackendOptions, open_backend
from edgeseg.backends.gpu import GpuBackend
from edgeseg.config import SourceConfig
from edgeseg.cuda import Driver
from edgeseg.device import describe_device
from edgeseg.errors import ConfigError, EdgesegError
from edgeseg.meter import Meter
from edgeseg.model_file import load_model
from edgeseg.protocols import DeviceNetwork
from edgeseg.segment import NetworkSegmenter
from edgeseg.spec import ModelSpec, parse_size
from edgeseg.types import Frame

WARM_UP_S = 0.2
LEAST_RUNS = 10
FRAMES = 24
TARGET = 0.85
"""Share of the network's throughput that whole frames should reach."""


def measure_network(
    driver: Driver, network: DeviceNetwork, preset: Preset, *, lanes: int, seconds: float
) -> dict[str, object]:
    """Figures of the network alone; the driver's context is made current."""
    with driver.current():
        opened = [TimedLane(driver, network, preset) for _ in range(lanes)]
        try:
            _run(opened, WARM_UP_S, 1)
            origin = driver.event()
            driver.record(origin, opened[0].stream)
            queries, last = _run(opened, seconds, LEAST_RUNS)
            span_ms = driver.elapsed_ms(origin, last.last_event)
            driver.close_event(origin)
            figures = network_figures(queries, span_ms)
            figures["settings"] = preset.describe(capturable=opened[0].capturable)
            return figures
        finally:
            for lane in opened:
                lane.close()


def _run(lanes: Sequence[TimedLane], seconds: float, least: int) -> tuple[list[Query], TimedLane]:
    """Keeps every lane busy, in turns; returns what was measured and the lane that ended last."""
    queries: list[Query] = []
    deadline, number = time.perf_counter() + seconds, 0
    last = lanes[0]
    while time.perf_counter() < deadline or number < least:
        lane = lanes[number % len(lanes)]
        if lane.busy:
            queries.append(lane.finish())
        lane.start()
        last, number = lane, number + 1
    for step in range(len(lanes)):
        lane = lanes[(number + step) % len(lanes)]
        if lane.busy:
            queries.append(lane.finish())
    return queries, last


def measure_frames(
    segmenter: NetworkSegmenter, frames: Sequence[Frame], *, threads: int, seconds: float
) -> dict[str, object]:
    """Figures of whole frames: planes in host memory to results, by so many threads."""
    latencies: list[float] = []
    failures: list[Exception] = []

    def work(first: int, until: float, kept: list[float]) -> None:
        meter, number, least = Meter(), first, first + LEAST_RUNS * threads
        try:
            while time.perf_counter() < until or number < least:
                began = time.perf_counter()
                segmenter.segment(frames[number % len(frames)], meter)
                kept.append((time.perf_counter() - began) * 1e3)
                number += threads
        except Exception as error:  # noqa: BLE001  raised again below
            failures.append(error)

    def at_once(until: float, kept: list[float]) -> None:
        workers = [threading.Thread(target=work, args=(n, until, kept)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    at_once(time.perf_counter() + WARM_UP_S, [])  # every lane meets the frames' size, and captures
    started = time.perf_counter()
    at_once(started + seconds, latencies)
    span_s = time.perf_counter() - started
    if failures:
        raise failures[0]
    return frame_figures(latencies, span_s)


def compare(
    backend: GpuBackend,
    spec: ModelSpec,
    frames: Sequence[Frame],
    preset: Preset,
    args: argparse.Namespace,
) -> dict[str, object]:
    """Both measurements on one open backend; prints them."""
    backend.warm_up()
    alone = measure_network(
        backend.driver, backend.network, preset, lanes=args.lanes, seconds=args.seconds
    )
    segmenter = NetworkSegmenter(spec, backend)
    whole = measure_frames(segmenter, frames, threads=args.lanes, seconds=args.seconds)
    reached = cast(float, whole["fps"]) / cast(float, alone["throughput_qps"])
    print(f"{alone['settings']}; {args.lanes} lane(s)")
    print(f"network alone: {alone['throughput_qps']} runs/s, latency ms {alone['latency_ms']}")
    if alone["unstable_clocks"]:
        print("compute times vary by more than 2.5 %: lock the clocks for figures to compare")
    if alone["enqueue_bound"]:
        print("enqueueing takes most of the compute time: the processor holds the GPU up")
    print(f"frames {frames[0].size} to results: {whole['fps']} fps, ms {whole['latency_ms']}")
    print(
        f"of the network's throughput: {reached:.1%} (target {TARGET:.0%}); "
        f"outside of the network: {max(1 - reached, 0):.1%}"
    )
    return {"network": alone, "frames": whole, "of_network": round(reached, 4)}


def drawn_frames(size: str) -> list[Frame]:
    """Pictures of a street, drawn before anything is timed."""
    source = open_source(SourceConfig(uri=f"synthetic://road?size={size}&frames={FRAMES}"))
    try:
        read = (source.read() for _ in range(FRAMES))
        return [frame for frame in read if frame is not None]
    finally:
        source.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="driving")
    parser.add_argument("--backend", default="tensorrt")
    parser.add_argument("--precision", default="fp16", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--cuda", default="auto", choices=("auto", "pycuda", "cuda-python"))
    presets = parser.add_mutually_exclusive_group()
    for name in PRESETS:
        presets.add_argument(f"--as-{name}", dest="preset", action="store_const", const=name)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    try:
        report = bench(args)
    except EdgesegError as error:
        print(f"bench_gpu: {error}", file=sys.stderr)
        return error.exit_code
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def bench(args: argparse.Namespace) -> dict[str, object]:
    """Opens the model as asked and measures it. Raises EdgesegError."""
    try:
        size = str(parse_size(args.size))
    except ValueError as error:
        raise ConfigError(f"--size: {error}") from error
    file, frames = load_model(args.model), drawn_frames(size)
    options = BackendOptions(
        workers=args.lanes, precision=args.precision, gpu=args.gpu, cuda=args.cuda
    )
    backend = open_backend(file, kind=args.backend, options=options)
    try:
        if not isinstance(backend, GpuBackend):
            raise ConfigError(f"--backend {args.backend} does not take frames on a GPU")
        figures = compare(backend, file.spec, frames, PRESETS[args.preset or "trtexec11"], args)
        info, gpu = backend.info, backend.driver.gpu
    finally:
        backend.close()
    return {
        "schema": 1,
        "edgeseg": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "device": describe_device(),
        "gpu": {"name": gpu.name, "sm": gpu.sm, "driver_cuda": gpu.driver_cuda},
        "model": {"name": file.name, "sha256": file.sha256},
        "backend": {"name": info.name, "precision": info.precision, "cuda": backend.driver.name},
        "lanes": args.lanes,
        **figures,
    }


if __name__ == "__main__":
    sys.exit(main())
