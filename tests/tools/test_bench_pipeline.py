from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the naive baseline's twin is made with onnx")

import onnxruntime as ort  # noqa: E402

from edgeseg.model_file import load_model  # noqa: E402
from edgeseg.precision.graph import fp32_graph  # noqa: E402

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from bench_pipeline import plain_twin, summarise  # noqa: E402


@pytest.mark.parametrize("name", ["portrait", "portrait-sinet"])
def test_the_naive_loop_runs_the_same_network(name: str) -> None:
    loaded = load_model(name)
    twin = plain_twin(fp32_graph(loaded))
    photo = cv2.imread(str(ROOT / "tools" / "demo" / "astronaut.jpg"))
    assert photo is not None
    picture = cv2.resize(src=photo, dsize=tuple(loaded.spec.input.size))
    pixels = np.ascontiguousarray(picture[None, :, :, ::-1])
    plain = (pixels.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
    ours = ort.InferenceSession(str(loaded.path)).run(None, {loaded.spec.input.name: pixels})[0]
    scores = ort.InferenceSession(twin.SerializeToString()).run(None, {"x": plain})[0]
    assert scores.shape[1] == 2
    assert 0.2 < (ours > 0.5).mean() < 0.8, "the picture must tell right from wrong"
    np.testing.assert_allclose(scores[:, 1:], ours, atol=1e-3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_the_summary_is_medians_and_their_ratio() -> None:
    naive = [{"fps": f, "cpu_ms": 60.0, "frames": 9} for f in (19.0, 20.0, 30.0)]
    ours = [{"fps": f, "cpu_ms": 16.0, "infer_cpu_ms": 6.0} for f in (90.0, 100.0, 101.0)]
    made = summarise(naive, ours)
    assert made["ratio"] == 5.0
    assert made["other_cpu_ms"] == 10.0
