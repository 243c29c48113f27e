"""Views of a scene: picture and labels move together, because the picture encodes its labels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_training_data import SCENE_COLORS, scene
from numpy.typing import NDArray

from edgeseg.training.config import PhotoConfig, SceneAugment
from edgeseg.training.scene.augment import scene_sample, scene_view, seen, with_rare_objects
from edgeseg.training.scene.datasets import Scene, SceneBank
from edgeseg.training.views import View, warp_image, warp_labels
from edgeseg.types import Size

POLE = 3


def drawn(seed: int, *, width: int = 161, height: int = 119) -> Scene:
    return Scene(*scene(seed, width=width, height=height), name=str(seed))


@pytest.fixture
def bank() -> SceneBank:
    return SceneBank([drawn(seed) for seed in range(4)], rare=(POLE,))


def nearest_class(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label whose colour is closest, of each pixel."""
    distance = (image[:, :, None].astype(int) - SCENE_COLORS.astype(int)) ** 2
    return np.asarray(distance.sum(axis=3).argmin(axis=2), np.uint8)


def away_from_borders(labels: NDArray[np.uint8], px: int = 2) -> NDArray[np.bool_]:
    """Pixels with one label all around, none of it void."""
    kernel = np.ones((2 * px + 1, 2 * px + 1), np.uint8)
    return np.asarray(
        (cv2.dilate(src=labels, kernel=kernel) == cv2.erode(src=labels, kernel=kernel))
        & (labels != 255)
    )


@pytest.mark.parametrize("seed", range(12))
def test_picture_and_labels_agree_away_from_borders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = Size(101, 67)
    source = drawn(seed)
    view = scene_view(source, size, rng, SceneAugment(scale=(0.4, 2.0)))
    image, labels = seen(source, view, size)
    assert image.shape == (67, 101, 3)
    assert labels.shape == (67, 101)
    inside = away_from_borders(labels)
    assert inside.mean() > 0.3
    assert np.array_equal(nearest_class(image)[inside], labels[inside])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("factor", [0.45, 1.0, 2.7])
def test_edges_of_picture_and_labels_lie_at_the_same_place(factor: float, mirrored: bool) -> None:
    """Area left of an edge, in pixels, agrees to a fraction of a pixel on average."""
    size = Size(48, 8)
    difference = []
    for x in range(50, 90):
        labels = np.zeros((140, 140), np.uint8)
        labels[:, x:] = 1
        image = np.repeat(labels[..., None] * 255, 3, axis=2)
        view = View(70.0, 70.0, size.width / factor, size.height / factor, mirrored=mirrored)
        soft = warp_image(image, view, size)[4, :, 0] / 255.0
        difference.append(float(soft.sum() - warp_labels(labels, view, size)[4].sum()))
    assert abs(np.mean(difference)) < 0.1
    assert np.abs(difference).max() < 1.0


def test_views_stay_in_the_picture_unless_they_are_larger() -> None:
    source = drawn(0)
    config = SceneAugment(scale=(0.5, 2.5))
    for seed in range(60):
        view = scene_view(source, Size(96, 64), np.random.default_rng(seed), config)
        for center, side, whole in (
            (view.center_x, view.width, 161), (view.center_y, view.height, 119),
        ):  # fmt: skip
            if side >= whole:
                assert center == whole / 2
            else:
                assert side / 2 - 1e-9 <= center <= whole - side / 2 + 1e-9


def test_scale_and_aspect_are_within_their_ranges() -> None:
    config = SceneAugment(scale=(0.8, 1.6), aspect=(0.75, 1.25))
    views = [
        scene_view(drawn(0), Size(96, 64), np.random.default_rng(s), config) for s in range(80)
    ]
    scales = [np.sqrt(96 * 64 / (v.width * v.height)) for v in views]
    stretches = [v.width / v.height * 64 / 96 for v in views]
    assert 0.8 <= min(scales) < 0.95
    assert 1.4 < max(scales) <= 1.6
    assert 0.75 <= min(stretches) < 0.85
    assert 1.15 < max(stretches) <= 1.25
    assert {v.mirrored for v in views} == {True, False}
    assert any(v.degrees for v in views)


def test_a_view_aimed_at_a_class_shows_it() -> None:
    source, size, shown = drawn(2), Size(64, 48), 0
    for seed in range(30):
        view = scene_view(source, size, np.random.default_rng(seed), SceneAugment(), target=POLE)
        shown += bool((seen(source, view, size)[1] == POLE).any())
    assert shown == 30


def test_outside_of_the_picture_nothing_is_scored() -> None:
    source, size = drawn(1), Size(80, 60)
    _, labels = seen(source, View(80.5, 59.5, 322.0, 238.0), size)
    assert (labels[:14] == 255).all()
    assert (labels[:, :19] == 255).all()
    assert (labels[16:44, 21:59] != 255).all()


def test_rare_objects_are_pasted_with_their_labels(bank: SceneBank) -> None:
    size = Size(101, 67)
    plain = drawn(1)  # shows no pole
    pair = seen(plain, View(80.5, 59.5, 161.0, 119.0), size)
    pasted = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        image, labels = with_rare_objects(pair, bank, size, rng, SceneAugment(), (POLE,))
        new = labels == POLE
        pasted += int(new.sum())
        assert np.array_equal(labels[~new], pair[1][~new])
        inside = away_from_borders(labels)
        assert np.array_equal(nearest_class(image)[inside], labels[inside])
        far = ~cv2.dilate(src=new.view(np.uint8), kernel=np.ones((3, 3), np.uint8)).view(bool)
        assert np.array_equal(image[far], pair[0][far])
    assert pasted > 100


def test_without_any_rare_object_a_picture_stays_as_it_is() -> None:
    empty = SceneBank([drawn(1)], rare=(POLE,))
    pair = (drawn(1).image, drawn(1).labels)
    rng = np.random.default_rng(0)
    assert with_rare_objects(pair, empty, Size(161, 119), rng, SceneAugment(), (POLE,)) is pair


def test_samples_have_the_asked_size_and_repeat_with_the_seed(bank: SceneBank) -> None:
    config = SceneAugment(aim=0.5, mix=0.5)
    for seed in range(10):
        first, again = (
            scene_sample(
                bank.scenes[1], bank, Size(75, 53), np.random.default_rng(seed), config,
                pasted=(POLE,),
            )
            for _ in range(2)
        )  # fmt: skip
        assert first[0].shape == (53, 75, 3)
        assert first[1].shape == (53, 75)
        assert set(np.unique(first[1])) <= {0, 1, 2, 3, 255}
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_aimed_samples_show_rare_classes_more_often(bank: SceneBank) -> None:
    still = PhotoConfig(low_light=0, blur=0, noise=0, jpeg=0)

    def share(aim: float) -> float:
        config = SceneAugment(aim=aim, mix=0.0, photo=still, scale=(1.5, 2.0))
        samples = [
            scene_sample(bank.scenes[1], bank, Size(64, 48), np.random.default_rng(s), config)
            for s in range(20)
        ]
        return float(np.mean([(labels == POLE).any() for _, labels in samples]))

    assert share(0.0) == 0.0  # picture 1 has no pole
    assert share(1.0) == 1.0
