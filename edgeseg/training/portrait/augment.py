"""One training sample from the bank: a view, new surroundings, other people, another camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.training.config import PortraitAugment
from edgeseg.training.photometric import change_photo, change_tone
from edgeseg.training.portrait.datasets import NO_PERSON, Sample, SampleBank
from edgeseg.training.portrait.views import (
    far_view,
    keep_inside,
    person_box,
    upper_view,
    warp_mask,
    whole_view,
    zoom_view,
)
from edgeseg.training.views import View, warp_image
from edgeseg.types import Size

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Pair = tuple[Image, Mask]
_MOST_DEGREES = 20.0
SECOND_SOURCES = ("vik", "ccp", "celeb", "meow")
BYSTANDER_SOURCES = ("ccp", "ccp", "vik")  # ccp twice as often
_LEAST_MAIN_HEIGHT = 0.5  # of the frame, for others to count as bystanders


def training_sample(
    source: str, bank: SampleBank, size: int, rng: np.random.Generator, config: PortraitAugment
) -> Pair:
    """A new RGB image [size, size, 3] of `source` and its mask [size, size] (0, 1, 255)."""
    if source == NO_PERSON:
        image = background_crop(bank.background(rng), size, rng)
        return change_photo(image, rng, config), np.zeros((size, size), np.uint8)
    sample = bank.draw(source, rng)
    if rng.random() < config.paste_background:
        image, mask = on_new_background(sample, bank, size, rng, config)
    else:
        view = random_turn(random_view(sample, rng, config), rng, config)
        view = keep_inside(view, sample.mask)
        image = warp_image(sample.image, view, Size(size, size))
        mask = warp_mask(sample.mask, view, size)
    if rng.random() < config.bystanders:
        image = with_bystanders(image, mask, bank, rng)
    if rng.random() < config.second_person:
        image, mask = with_second_person(image, mask, bank, rng)
    if rng.random() < config.occluder:
        image, mask = with_occluder(image, mask, bank.background(rng), rng)
    return change_photo(image, rng, config), mask


def random_view(sample: Sample, rng: np.random.Generator, config: PortraitAugment) -> View:
    """Whole picture, upper body or zoom, as often as `config` says."""
    choice = rng.random()
    if choice < config.whole_view:
        return whole_view(sample.mask, rng)
    if choice < config.whole_view + config.upper_view:
        return upper_view(sample.mask, rng)
    return zoom_view(sample.mask, rng)


def random_turn(view: View, rng: np.random.Generator, config: PortraitAugment) -> View:
    """`view` mirrored half of the time and sometimes rotated."""
    turned = rng.random() < config.rotate
    degrees = float(np.clip(rng.normal(0, 7), -_MOST_DEGREES, _MOST_DEGREES)) if turned else 0.0
    return replace(view, degrees=degrees, mirrored=bool(rng.random() < 0.5))


def background_crop(
    picture: Image,
    size: int,
    rng: np.random.Generator,
    *,
    shares: tuple[float, float] = (0.2, 1.0),
) -> Image:
    """A random part of `picture` that is a share of it within `shares`, as [size, size, 3]."""
    height, width = picture.shape[:2]
    area = rng.uniform(*shares) * height * width
    aspect = np.exp(rng.uniform(np.log(0.7), np.log(1.8)))
    w, h = min(np.sqrt(area * aspect), width), min(np.sqrt(area / aspect), height)
    x, y = rng.uniform(w / 2, width - w / 2 + 1e-6), rng.uniform(h / 2, height - h / 2 + 1e-6)
    view = View(float(x), float(y), float(w), float(h), mirrored=bool(rng.random() < 0.5))
    return warp_image(picture, view, Size(size, size))


def cut_out(sample: Sample, view: View, size: int) -> tuple[Image, Mask]:
    """What `view` sees of the person alone; outside the picture there is nothing."""
    image = warp_image(sample.image, view, Size(size, size), border=cv2.BORDER_REPLICATE)
    mask = warp_mask(sample.mask, view, size, border=cv2.BORDER_CONSTANT)
    return image, mask


def blend_person(under: Image, person: Image, mask: Mask, rng: np.random.Generator) -> Image:
    """`person` over `under` where `mask` is not 0, slightly eroded and feathered at the edge."""
    alpha = (mask != 0).astype(np.uint8) * 255
    if rng.random() < 0.6:
        alpha = cv2.erode(src=alpha, kernel=np.ones((3, 3), np.uint8))
    sigma = float(rng.uniform(0.4, 1.3))
    soft = cv2.GaussianBlur(src=alpha, ksize=(0, 0), sigmaX=sigma).astype(np.float32) / 255.0
    return np.asarray(
        cv2.blendLinear(src1=person, src2=under, weights1=soft, weights2=1.0 - soft), np.uint8
    )


def match_light(person: Image, scene: Image, rng: np.random.Generator) -> Image:
    """`person` moved part of the way to the mean colour of `scene`."""
    amount = rng.uniform(0.0, 0.6)
    shift = amount * (scene.mean(axis=(0, 1)) - person.mean(axis=(0, 1)))
    return np.asarray(np.clip(person + shift.astype(np.float32), 0, 255), np.uint8)


def new_scene(
    bank: SampleBank, size: int, rng: np.random.Generator, config: PortraitAugment
) -> Image:
    """A background for pasting; a harsh one is an enlarged detail in another light."""
    if config.harsh_scene and rng.random() < config.harsh_scene:
        picture = bank.background(rng)
        scene = background_crop(picture, size, rng, shares=(0.02, 0.3))
        return change_tone(scene, rng, low_light=bool(rng.random() < 0.5))
    return background_crop(bank.background(rng), size, rng)


def on_new_background(
    sample: Sample,
    bank: SampleBank,
    size: int,
    rng: np.random.Generator,
    config: PortraitAugment,
) -> Pair:
    """The person of `sample` in front of another picture."""
    far = rng.random() < 0.4
    if far:
        view = far_view(sample.mask, rng)
    else:
        view = keep_inside(random_view(sample, rng, config), sample.mask, slack=0.0)
    view = replace(view, mirrored=bool(rng.random() < 0.5))
    person, mask = cut_out(sample, view, size)
    scene = new_scene(bank, size, rng, config)
    if rng.random() < 0.3:
        scene = cv2.GaussianBlur(src=scene, ksize=(0, 0), sigmaX=float(rng.uniform(1, 4)))
    if rng.random() < 0.6:
        person = match_light(person, scene, rng)
    return blend_person(scene, person, mask, rng), mask


def placed(patch: NDArray[np.uint8], left: int, top: int, size: int) -> NDArray[np.uint8]:
    """`patch` at (left, top) of an otherwise black square of side `size`, cut at its border."""
    canvas = np.zeros((size, size, *patch.shape[2:]), np.uint8)
    height, width = patch.shape[:2]
    x0, x1, y0, y1 = max(left, 0), min(left + width, size), max(top, 0), min(top + height, size)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    return canvas


def with_second_person(
    image: Image, mask: Mask, bank: SampleBank, rng: np.random.Generator
) -> Pair:
    """Another person of similar size at the bottom edge, in front of or behind the first."""
    size = len(mask)
    sample = bank.draw(_any_of(SECOND_SOURCES, bank, rng), rng)
    view = keep_inside(upper_view(sample.mask, rng), sample.mask, slack=0.0)
    side = int(size * rng.uniform(0.5, 0.95))
    person, other = cut_out(sample, replace(view, mirrored=bool(rng.random() < 0.5)), side)
    left = int(rng.integers(-side // 3, size - 2 * side // 3))
    behind = rng.random() < 0.6
    person, other = placed(person, left, size - side, size), placed(other, left, size - side, size)
    if behind:
        other[mask != 0] = 0
    blended = blend_person(image, person, other, rng)
    return blended, np.where(other != 0, other, mask)


def with_bystanders(image: Image, mask: Mask, bank: SampleBank, rng: np.random.Generator) -> Image:
    """Passers-by far behind a person who fills the frame; they are background."""
    size = len(mask)
    _, top, _, bottom = person_box(mask)
    if not (mask == 1).any() or bottom - top < _LEAST_MAIN_HEIGHT * size:
        return image
    for _ in range(int(rng.integers(1, 4))):
        sample = bank.draw(_any_of(BYSTANDER_SOURCES, bank, rng), rng)
        x0, y0, x1, y1 = person_box(sample.mask)
        reach = 1.1 * max(y1 - y0, x1 - x0)
        mirrored = bool(rng.random() < 0.5)
        view = View((x0 + x1) / 2, (y0 + y1) / 2, reach, reach, mirrored=mirrored)
        side = max(8, int((bottom - top) * rng.uniform(0.15, 0.5)))
        person, other = cut_out(sample, view, side)
        left = int(rng.uniform(-0.3 * side, size - 0.7 * side))
        upper = int(rng.uniform(0.35, 1.0) * size) - side
        person, other = placed(person, left, upper, size), placed(other, left, upper, size)
        other[mask != 0] = 0
        image = blend_person(image, person, other, rng)
    return image


def _any_of(sources: tuple[str, ...], bank: SampleBank, rng: np.random.Generator) -> str:
    known = [source for source in sources if source in bank.by_source]
    return known[int(rng.integers(len(known)))]


def with_occluder(image: Image, mask: Mask, texture: Image, rng: np.random.Generator) -> Pair:
    """A textured shape in front of everything; it is background."""
    size = len(mask)
    center = rng.uniform(0, size, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
    radii = rng.uniform(0.04, 0.2, len(angles)) * size
    corners = center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    shape = np.zeros((size, size), np.uint8)
    cv2.fillPoly(img=shape, pts=[corners.round().astype(np.int32)], color=1)
    cover = background_crop(texture, size, rng)
    return blend_person(image, cover, shape, rng), np.where(shape != 0, 0, mask).astype(np.uint8)
