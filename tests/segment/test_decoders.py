"""What every decoder promises, over the table in the code: known scenes, decoded and drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_heads import LABEL, NETWORK, STRIDE, geometry_for, head_spec, perfect_outputs

from edgeseg.ops.labels import label_map
from edgeseg.segment.decoders import DECODERS, decoder_for
from edgeseg.spec import MEANINGS, Head
from edgeseg.types import Geometry, Instances, Matte, Rect, Result, SemanticMap, Size

SIZES = [Size(192, 128), Size(1280, 720), Size(101, 67), Size(67, 211), Size(500, 137), Size(1, 1)]
NUMBER = {"person": 1, "semantic": LABEL, "labels": LABEL, "binary": LABEL}
"""What the box's class is in a label map; objects count from 1 without the background."""


def box_in(size: Size) -> Rect:
    width, height = size
    return Rect(width // 4, height // 4, max(width * 3 // 4 + 1, 1), max(height * 2 // 3 + 1, 1))


def assert_valid(result: Result, geometry: Geometry) -> None:
    assert result.geometry is geometry
    if isinstance(result, Matte):
        assert result.person.dtype == np.float32
    elif isinstance(result, SemanticMap):
        assert result.labels.dtype == np.uint8
        assert result.labels.flags.c_contiguous
        assert result.labels.max() < len(result.label_set)
        if result.scores is not None:
            assert result.scores.dtype == np.float32
            assert result.scores.shape == (len(result.label_set), *result.labels.shape)
            np.testing.assert_array_equal(result.scores.argmax(axis=0), result.labels)
    else:
        assert_valid_objects(result)


def assert_valid_objects(result: Instances) -> None:
    count = len(result)
    limit = np.array([*result.frame_size] * 2)
    for boxes in (result.boxes_xyxy, result.areas_xyxy):
        assert boxes.dtype == np.float32
        assert boxes.shape == (count, 4)
        assert (boxes >= 0).all()
        assert (boxes <= limit).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert result.scores.dtype == np.float32
    assert result.labels.dtype == np.int32
    assert len(result.labels) == count
    assert (np.diff(result.scores) <= 0).all()
    assert len(result.masks) == count
    for mask in result.masks:
        assert mask.dtype == np.uint8
        assert mask.ndim == 2
        assert mask.size > 0


def test_every_head_has_a_decoder() -> None:
    assert set(DECODERS) == set(MEANINGS)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("head", list(DECODERS))
def test_a_drawn_box_is_found_where_it_is(head: Head, fit: str, size: Size) -> None:
    spec = head_spec(head, fit=fit)
    geometry, box = geometry_for(spec, size), box_in(size)
    result = decoder_for(spec).decode(perfect_outputs(head, geometry, box), geometry)
    assert_valid(result, geometry)
    if isinstance(result, Instances):
        assert result.label_set.names == ("car", "person")
        np.testing.assert_allclose(result.boxes_xyxy, [box], atol=0.01)
        assert result.scores.tolist() == pytest.approx([0.95 if head != "maskrcnn" else 0.9])
    labels = label_map(result)
    assert labels.shape == (size.height, size.width)
    assert labels.dtype == np.uint8
    if size == (1, 1):
        return
    truth = np.zeros((size.height, size.width), bool)
    truth[box.top : box.bottom, box.left : box.right] = True
    ours = labels == NUMBER.get(head, 2)
    assert set(np.unique(labels)) <= {0, NUMBER.get(head, 2)}
    iou = (ours & truth).sum() / (ours | truth).sum()
    content = geometry.content
    coarse = min(content.right - content.left, content.bottom - content.top) < 8 * STRIDE
    assert iou > (0.55 if coarse else 0.8)


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("head", list(DECODERS))
def test_nothing_there_is_an_empty_result(head: Head, fit: str) -> None:
    spec = head_spec(head, fit=fit)
    geometry = geometry_for(spec, Size(101, 67))
    result = decoder_for(spec).decode(perfect_outputs(head, geometry, None), geometry)
    assert_valid(result, geometry)
    assert not label_map(result).any()
    if isinstance(result, Instances):
        assert len(result) == 0


@pytest.mark.parametrize("head", list(DECODERS))
def test_threads_may_share_it_and_outputs_are_not_written_to(head: Head) -> None:
    spec = head_spec(head, fit="letterbox")
    decoder = decoder_for(spec)
    scenes = []
    for step in range(8):
        size = Size(120 + 11 * step, 90)
        geometry = geometry_for(spec, size)
        scenes.append(
            (perfect_outputs(head, geometry, Rect(5 * step, 20, 70 + 5 * step, 80)), geometry)
        )
    kept = [{name: value.copy() for name, value in outputs.items()} for outputs, _ in scenes]
    alone = [label_map(decoder.decode(*scene)) for scene in scenes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda scene: label_map(decoder.decode(*scene)), scenes * 8))
    for index, labels in enumerate(together):
        np.testing.assert_array_equal(labels, alone[index % 8])
    for (outputs, _), copies in zip(scenes, kept, strict=True):
        for name, value in outputs.items():
            np.testing.assert_array_equal(value, copies[name])


@pytest.mark.parametrize("head", [h for h in DECODERS if h not in ("semantic", "labels")])
def test_a_threshold_of_the_user_s_replaces_the_model_s(head: Head) -> None:
    spec = head_spec(head)
    geometry = geometry_for(spec, NETWORK)
    outputs = perfect_outputs(head, geometry, Rect(10, 10, 61, 51))
    loose, strict = (
        (label_map(decoder_for(spec, threshold=t).decode(outputs, geometry)) > 0).sum()
        for t in (0.05, 0.95)
    )
    assert loose > strict or head == "maskrcnn"  # whose mask is 1 all over
