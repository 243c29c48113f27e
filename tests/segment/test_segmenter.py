"""Frame to matte through a real network: bright pixels are the person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_onnx import HEADS, tiny_model

from edgeseg.backends import open_backend
from edgeseg.errors import ModelError
from edgeseg.model_file import load_model
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.segment import NetworkSegmenter
from edgeseg.types import U8, Frame, Matte, Rect, Size


class Stages:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, float, float]] = []

    def record(self, stage: str, wall_s: float, cpu_s: float) -> None:
        self.recorded.append((stage, wall_s, cpu_s))


def bright_box(size: Size, box: Rect) -> tuple[Frame, U8]:
    """A white box on black, and its exact mask."""
    picture = np.zeros((size.height, size.width, 3), np.uint8)
    picture[box.top : box.bottom, box.left : box.right] = 255
    return Frame(from_bgr(picture), 0, 0.0), (picture[..., 0] > 0).astype(np.uint8)


def open_tiny(folder: Path, head: str = "probability", **changes: object) -> NetworkSegmenter:
    model = load_model(tiny_model(folder / "tiny.onnx", head, **changes))
    return NetworkSegmenter(model.spec, open_backend(model))


def matte_of(segmenter: NetworkSegmenter, frame: Frame) -> Matte:
    result = segmenter.segment(frame, Stages())
    assert isinstance(result, Matte)
    return result


def iou(matte: Matte, mask: U8) -> float:
    big = cv2.resize(
        src=matte.person, dsize=tuple(matte.frame_size), interpolation=cv2.INTER_LINEAR
    )
    ours = big >= matte.threshold
    return float((ours & (mask > 0)).sum() / (ours | (mask > 0)).sum())


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize(
    ("layout", "dtype", "out_layout"),
    [("nhwc", "uint8", "nchw"), ("nchw", "float32", "nhwc")],
)
def test_every_head_and_layout_finds_the_box(
    tmp_path: Path, head: str, layout: str, dtype: str, out_layout: str
) -> None:
    size = Size(64, 48)
    segmenter = open_tiny(
        tmp_path, head, layout=layout, dtype=dtype, out_layout=out_layout, size=size
    )
    frame, mask = bright_box(Size(256, 192), Rect(60, 40, 160, 150))
    matte = matte_of(segmenter, frame)
    assert matte.person.shape == (48, 64)
    assert matte.person.dtype == np.float32
    assert matte.person.flags.c_contiguous
    assert 0 <= matte.person.min() <= 0.01
    assert 0.99 <= matte.person.max() <= 1
    assert matte.threshold == 0.5
    assert matte.present
    assert iou(matte, mask) > 0.96


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(
    "size", [Size(640, 360), Size(203, 411), Size(1, 1), Size(101, 67), Size(500, 137)]
)
def test_the_matte_lies_on_the_picture(tmp_path: Path, fit: str, stride: int, size: Size) -> None:
    segmenter = open_tiny(tmp_path, size=Size(128, 96), stride=stride, fit=fit)
    width, height = size
    box = Rect(width // 4, height // 4, max(width * 3 // 4, 1), max(height * 3 // 4, 1))
    frame, mask = bright_box(size, box)
    matte = matte_of(segmenter, frame)
    assert matte.frame_size == size
    big = cv2.resize(
        src=matte.person, dsize=tuple(matte.frame_size), interpolation=cv2.INTER_LINEAR
    )
    if min(size) < 10:
        return
    ours = np.argwhere(big >= 0.5)
    truth = np.argwhere(mask)
    offset = np.abs(ours.mean(axis=0) - truth.mean(axis=0))
    pixel = (height / matte.person.shape[0], width / matte.person.shape[1])
    assert (offset < 0.3 * np.array(pixel) + 0.3).all()  # no systematic shift
    assert iou(matte, mask) > (0.9 if stride == 1 else 0.75)


def test_letterbox_bars_are_not_part_of_the_matte(tmp_path: Path) -> None:
    segmenter = open_tiny(tmp_path, size=Size(64, 64), stride=2, fit="letterbox")
    frame, _ = bright_box(Size(200, 100), Rect(0, 0, 200, 100))
    matte = matte_of(segmenter, frame)
    assert matte.geometry.content == Rect(0, 16, 64, 48)
    assert matte.person.shape == (16, 32)
    assert matte.person.min() > 0.99


def test_a_fractional_bar_does_not_bleed_in(tmp_path: Path) -> None:
    segmenter = open_tiny(tmp_path, size=Size(64, 64), stride=4, fit="letterbox")
    frame, _ = bright_box(Size(640, 470), Rect(0, 0, 640, 470))  # bars of 8.5 pixels
    matte = matte_of(segmenter, frame)
    assert matte.person.shape == (12, 16)
    assert matte.person[1:-1].min() > 0.99


def test_stage_times_are_recorded_in_order(tmp_path: Path) -> None:
    stages = Stages()
    frame, _ = bright_box(Size(64, 48), Rect(0, 0, 9, 9))
    open_tiny(tmp_path).segment(frame, stages)
    assert [name for name, _, _ in stages.recorded] == ["preprocess", "infer", "decode_result"]
    assert all(0 <= cpu <= wall + 0.02 for _, wall, cpu in stages.recorded)
    assert all(wall > 0 for _, wall, _ in stages.recorded)


def test_it_is_a_segmenter_named_by_its_recipe(tmp_path: Path) -> None:
    segmenter = open_tiny(tmp_path)
    assert isinstance(segmenter, Segmenter)
    assert segmenter.name == "tiny"
    segmenter.close()


def test_a_threshold_of_the_user_s_replaces_the_model_s(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "tiny.onnx"))
    segmenter = NetworkSegmenter(model.spec, open_backend(model), threshold=0.8)
    frame, _ = bright_box(Size(64, 48), Rect(0, 0, 9, 9))
    assert matte_of(segmenter, frame).threshold == 0.8


def test_threads_may_share_it(tmp_path: Path) -> None:
    segmenter = open_tiny(tmp_path, size=Size(64, 48))
    frames = [bright_box(Size(128, 96), Rect(0, 0, 8 * i + 8, 60)) for i in range(12)] * 4
    with ThreadPoolExecutor(4) as pool:
        mattes = list(pool.map(lambda pair: matte_of(segmenter, pair[0]), frames))
    for matte, (_, mask) in zip(mattes, frames, strict=True):
        assert iou(matte, mask) > 0.9


def test_network_errors_come_through(tmp_path: Path) -> None:
    model = load_model(tiny_model(tmp_path / "tiny.onnx"))
    wrong = model.spec.input.model_copy(update={"name": "picture"})
    segmenter = NetworkSegmenter(
        model.spec.model_copy(update={"input": wrong}), open_backend(model)
    )
    frame, _ = bright_box(Size(64, 48), Rect(0, 0, 9, 9))
    with pytest.raises(ModelError, match="the network failed"):
        segmenter.segment(frame, Stages())
