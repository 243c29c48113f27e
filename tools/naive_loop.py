"""The loop most people write first, kept as the baseline of ``make bench``.

    python tools/naive_loop.py MODEL.onnx IN.mp4 OUT.mp4

One thread of control: cv2 read, numpy float preprocessing, ONNX Runtime with its defaults,
``np.argmax``, a numpy blend at full size, cv2 write. MODEL takes float32 NCHW RGB in -1..1 and
gives two class scores, as a plain export from a training framework does (``bench_pipeline.py``
makes that twin from a shipped model). Prints one JSON line: frames, seconds, CPU-seconds.
"""

from __future__ import annotations

import json
import sys
import time

import cv2
import numpy as np
import onnxruntime

COLORS = np.array([[0, 0, 0], [80, 200, 60]], np.uint8)


def main(model: str, source: str, target: str) -> None:
    session = onnxruntime.InferenceSession(model)
    name = session.get_inputs()[0].name
    height, width = session.get_inputs()[0].shape[2:]
    capture = cv2.VideoCapture(source)
    size = (
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    )
    fps = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(target, cv2.VideoWriter_fourcc(*"mp4v"), fps, size)

    frames = 0
    started, cpu_started = time.perf_counter(), time.process_time()
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        x = cv2.resize(frame, (width, height))[:, :, ::-1] / 127.5 - 1
        x = x.transpose(2, 0, 1)[None].astype(np.float32)
        scores = session.run(None, {name: x})[0]
        labels = np.argmax(scores[0], axis=0).astype(np.uint8)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
        blended = (frame * 0.6 + COLORS[labels] * 0.4).astype(np.uint8)
        writer.write(blended)
        frames += 1
    writer.release()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    print(json.dumps({"frames": frames, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
