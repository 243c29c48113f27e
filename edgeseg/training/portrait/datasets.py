"""Images and masks in memory, and the balanced order in which they are drawn.

Folder layout: `<data>/portrait/{train,val}/{images,masks}/<source>_<id>.*` with masks 0 background,
1 person, 255 ignore; `<data>/instances/<split>/{images,instances.json}` (COCO format with
uncompressed RLE); `<data>/camvid/train/{images,labels}` for backgrounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.metrics import IGNORE
from edgeseg.training.pictures import decode_rle, read_labels, read_rgb

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
    """All pictures of `<data>/portrait/<split>`, in file order."""
    folder = data / "portrait" / split
    images = {path.stem: path for path in (folder / "images").iterdir()}
    samples = []
    for mask_path in sorted((folder / "masks").glob("*.png")):
        image = read_rgb(images[mask_path.stem])
        samples.append(Sample(image, read_labels(mask_path), mask_path.stem.split("_")[0]))
    return samples


def people_mask(
    people: list[dict[str, Any]], height: int, width: int, bystander_share: float
) -> NDArray[np.uint8]:
    """Mask [H, W] of COCO person annotations; crowds and small bystanders are ignored pixels."""
    largest = max((a["area"] for a in people if not a["iscrowd"]), default=0)
    mask = np.zeros((height, width), np.uint8)
    for annotation in sorted(people, key=lambda a: (not a["iscrowd"], a["area"])):
        aside = annotation["iscrowd"] or annotation["area"] < bystander_share * largest
        mask[decode_rle(annotation["segmentation"])] = IGNORE if aside else PERSON
    return mask


def load_instance_people(data: Path, split: str, *, bystander_share: float = 0.0) -> list[Sample]:
    """Pictures of `<data>/instances/<split>` with labelled people."""
    folder = data / "instances" / split
    index = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    samples = []
    for entry in index["images"]:
        people = [
            a
            for a in index["annotations"]
            if a["image_id"] == entry["id"] and a["category_id"] == PERSON
        ]
        mask = people_mask(people, entry["height"], entry["width"], bystander_share)
        if (mask == PERSON).mean() >= _LEAST_PERSON_SHARE:
            source = "coco" if entry["source"].startswith("coco") else entry["source"]
            samples.append(Sample(read_rgb(folder / "images" / entry["file_name"]), mask, source))
    return samples


def load_backgrounds(data: Path) -> list[NDArray[np.uint8]]:
    """Pictures without people, from instances/train and CamVid's train split.

    Of the many pictures of one car, and of CamVid's video, only every fourth is taken.
    """
    folder = data / "instances" / "train"
    index = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
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


def balanced_sources(
    mixture: Mapping[str, float], count: int, rng: np.random.Generator
) -> list[str]:
    """`count` source names in random order, each as often as its share of `mixture` says."""
    names = sorted(mixture)
    shares = np.array([mixture[name] for name in names], np.float64)
    shares = shares / shares.sum() * count
    quota = np.floor(shares).astype(int)
    short = count - int(quota.sum())
    quota[np.argsort(quota - shares, kind="stable")[:short]] += 1
    order = [name for name, n in zip(names, quota, strict=True) for _ in range(n)]
    return [order[i] for i in rng.permutation(count)]


def batches(items: list[str], batch_size: int) -> Iterator[list[str]]:
    """Consecutive full batches of `items`; a shorter rest is dropped."""
    for start in range(0, len(items) - batch_size + 1, batch_size):
        yield items[start : start + batch_size]
