"""Images and masks in memory, and the balanced order in which they are drawn.

Folder layout: `<data>/portrait/{train,val}/{images,masks}/<source>_<id>.*` with masks 0 background,
1 person, 255 ignore; `<data>/instances/<split>/{images,instances.json}` (COCO format with
uncompressed RLE); `<data>/camvid/train/{images,labels}` for backgrounds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.ops.metrics import IGNORE
from edgeseg.training.pictures import (
    decode_rle,
    labelled_pairs,
    read_labels,
    read_pair,
    read_rgb,
)

PERSON = 1
NO_PERSON = "none"
_CAMVID_PEOPLE = (9, 10)
_LEAST_PERSON_SHARE = 0.03


@dataclass(frozen=True)
class Sample:
    """One picture: `image` RGB uint8 [H, W, 3], `mask` uint8 [H, W] with 0, 1 and 255."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    source: str


def load_portraits(data: Path, split: str) -> list[Sample]:
    """All pictures of `<data>/portrait/<split>`, in name order.

    Raises: ConfigError naming the file where a picture or its mask is missing or unreadable, their
        sizes differ, a mask holds another value than 0, 1 and 255, or nobody.
    """
    folder = data / "portrait" / split
    pairs = labelled_pairs(folder / "images", folder / "masks")
    return [_portrait(image, mask) for image, mask in pairs]


def _portrait(image_path: Path, mask_path: Path) -> Sample:
    image, mask = read_pair(image_path, mask_path)
    foreign = sorted(set(np.unique(mask).tolist()) - {0, PERSON, IGNORE})
    if foreign:
        raise ConfigError(
            f"{mask_path}: label {foreign[0]}, expected 0 background, 1 person or 255 ignored"
        )
    if not (mask == PERSON).any():
        raise ConfigError(f"{mask_path}: no person in it, expected some pixels of 1")
    return Sample(image, mask, image_path.stem.split("_")[0])


def people_mask(
    people: list[dict[str, Any]],
    height: int,
    width: int,
    bystander_share: float,
    *,
    where: str = "instances.json",
) -> NDArray[np.uint8]:
    """Mask [H, W] of COCO person annotations; crowds and small bystanders are ignored pixels.

    Raises: ConfigError naming `where` when a mask is not one of the picture.
    """
    largest = max((a["area"] for a in people if not a["iscrowd"]), default=0)
    mask = np.zeros((height, width), np.uint8)
    for annotation in sorted(people, key=lambda a: (not a["iscrowd"], a["area"])):
        aside = annotation["iscrowd"] or annotation["area"] < bystander_share * largest
        name = f"{where}: annotation {annotation.get('id', '?')}"
        covered = decode_rle(annotation["segmentation"], where=name)
        if covered.shape != mask.shape:
            size = f"{covered.shape[1]}x{covered.shape[0]}"
            raise ConfigError(f"{name}: its mask is {size}, its picture {width}x{height}")
        mask[covered] = IGNORE if aside else PERSON
    return mask


def load_instance_people(data: Path, split: str, *, bystander_share: float = 0.0) -> list[Sample]:
    """Pictures of `<data>/instances/<split>` with labelled people.

    Raises: ConfigError naming the file that is missing, unreadable or contradicts another.
    """
    folder = data / "instances" / split
    index_path = folder / "instances.json"
    index = read_index(index_path)
    samples = []
    for entry in index["images"]:
        people = [
            a
            for a in index["annotations"]
            if a["image_id"] == entry["id"] and a["category_id"] == PERSON
        ]
        mask = people_mask(
            people, entry["height"], entry["width"], bystander_share, where=str(index_path)
        )
        if (mask == PERSON).mean() >= _LEAST_PERSON_SHARE:
            source = "coco" if entry["source"].startswith("coco") else entry["source"]
            path = folder / "images" / entry["file_name"]
            image = read_rgb(path)
            if image.shape[:2] != mask.shape:
                raise ConfigError(
                    f"{path}: {image.shape[1]}x{image.shape[0]}, instances.json says "
                    f"{mask.shape[1]}x{mask.shape[0]}"
                )
            samples.append(Sample(image, mask, source))
    return samples


_NEEDED = {
    "images": ("id", "file_name", "width", "height", "source", "labelled_categories"),
    "annotations": ("id", "image_id", "category_id", "iscrowd", "area", "segmentation"),
}


def read_index(path: Path) -> dict[str, Any]:
    """The COCO file at `path`, which has every entry that is read here.

    Raises: ConfigError naming the file and what is missing.
    """
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable COCO file") from error
    for section, keys in _NEEDED.items():
        rows = index.get(section) if isinstance(index, dict) else None
        if not isinstance(rows, list):
            raise ConfigError(f"{path}: expected a COCO file with images and annotations")
        for row in rows:
            missing = [key for key in keys if key not in row]
            if missing:
                raise ConfigError(f"{path}: {section} {row.get('id', '?')}: no {missing[0]!r}")
    return dict(index)


def load_backgrounds(data: Path) -> list[NDArray[np.uint8]]:
    """Pictures without people, from instances/train and CamVid's train split.

    Of the many pictures of one car, and of CamVid's video, only every fourth is taken.
    """
    folder = data / "instances" / "train"
    index = read_index(folder / "instances.json")
    peopled = {a["image_id"] for a in index["annotations"] if a["category_id"] == PERSON}
    names = [
        entry["file_name"]
        for entry in index["images"]
        if entry["id"] not in peopled and entry["labelled_categories"] != [PERSON]
    ]
    cars = [name for name in names if name.startswith("car")]
    names = [name for name in names if name not in set(cars)] + cars[::4]
    pictures = [read_rgb(folder / "images" / name) for name in names]
    camvid = data / "camvid" / "train"
    for label_path in sorted((camvid / "labels").glob("*.png"))[::4]:
        if not np.isin(read_labels(label_path), _CAMVID_PEOPLE).any():
            found = sorted((camvid / "images").glob(f"{label_path.stem}.*"))
            pictures.extend(read_rgb(path) for path in found)
    return pictures


def surroundings(sample: Sample, *, least_px: int = 96) -> NDArray[np.uint8] | None:
    """The larger strip left or right of the person, if it is at least `least_px` wide."""
    columns = np.flatnonzero((sample.mask != 0).any(axis=0))
    width = sample.mask.shape[1]
    if not len(columns):
        return sample.image
    margin = 4
    left, right = columns[0] - margin, width - columns[-1] - 1 - margin
    if max(left, right) < least_px:
        return None
    return sample.image[:, :left] if left >= right else sample.image[:, width - right :]


class SampleBank:
    """Training pictures by source, plus backgrounds for pasting and person-free frames."""

    def __init__(self, samples: list[Sample], backgrounds: list[NDArray[np.uint8]]) -> None:
        self.by_source: dict[str, list[Sample]] = {}
        for sample in samples:
            self.by_source.setdefault(sample.source, []).append(sample)
        self.backgrounds = backgrounds

    @classmethod
    def load(cls, data: Path, *, bystander_share: float = 0.0) -> SampleBank:
        """Everything used for training the portrait networks, below `data`."""
        samples = load_portraits(data, "train")
        samples += load_instance_people(data, "train", bystander_share=bystander_share)
        rooms = [surroundings(s) for s in samples if s.source in ("vik", "meow")]
        backgrounds = load_backgrounds(data) + [room for room in rooms if room is not None]
        return cls(samples, backgrounds)

    def draw(self, source: str, rng: np.random.Generator) -> Sample:
        """A random picture of `source`."""
        samples = self.by_source[source]
        return samples[int(rng.integers(len(samples)))]

    def background(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A random picture without people."""
        return self.backgrounds[int(rng.integers(len(self.backgrounds)))]
