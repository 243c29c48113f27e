"""A COCO folder as pictures with object maps; everything odd about it is said before training.

`<folder>/{images,instances.json}`: COCO format with uncompressed RLE and, per image, `source` and
`labelled_categories`: "all", a list of category ids, or [] for one object and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import ConfigError
from edgeseg.ops.metrics import IGNORE
from edgeseg.spec import one_line
from edgeseg.training.instance.objects import MOST_OBJECTS, ObjectPicture
from edgeseg.training.pictures import decode_rle, read_rgb

Entry = dict[str, Any]


def load_objects(
    folder: Path, classes: Sequence[str], *, similar: Sequence[str] = ()
) -> list[ObjectPicture]:
    """The pictures of a COCO folder; objects named in `similar`, and crowds, are not judged.

    Raises: ConfigError naming the file, and the picture or annotation, that is not as described.
    """
    path = folder / "instances.json"
    index = _read_index(path)
    by_image: dict[int, list[Entry]] = {}
    for annotation in index["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    names = {category["id"]: category["name"] for category in index["categories"]}
    reader = _Reader(path, names, tuple(classes), tuple(similar))
    return [reader.picture(entry, by_image.get(entry["id"], [])) for entry in index["images"]]


def _read_index(path: Path) -> Entry:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable JSON: {one_line(error)}") from error
    missing = [key for key in ("images", "annotations", "categories") if key not in index]
    if missing:
        raise ConfigError(
            f"{path}: no {missing[0]!r}; expected COCO's images, annotations and categories"
        )
    if not index["images"]:
        raise ConfigError(f"{path}: it lists no images")
    _check_references(path, index)
    return dict(index)


def _check_references(path: Path, index: Entry) -> None:
    images = {entry["id"] for entry in index["images"]}
    categories = {category["id"] for category in index["categories"]}
    for annotation in index["annotations"]:
        for what, known in (("image", images), ("category", categories)):
            if annotation[f"{what}_id"] not in known:
                raise ConfigError(
                    f"{path}: annotation {annotation.get('id')} is of {what} "
                    f"{annotation[f'{what}_id']}, which the file does not list"
                )


@dataclass(frozen=True)
class _Reader:
    """Entries of one COCO file as pictures."""

    path: Path
    names: dict[int, str]
    classes: tuple[str, ...]
    similar: tuple[str, ...]

    def picture(self, entry: Entry, annotations: list[Entry]) -> ObjectPicture:
        """The picture of `entry` with its object map."""
        image = read_rgb(self.path.parent / "images" / entry["file_name"])
        if image.shape[:2] != (entry["height"], entry["width"]):
            raise ConfigError(
                f"{self.path}: {entry['file_name']} should be {entry['width']}x{entry['height']}, "
                f"the file is {image.shape[1]}x{image.shape[0]}"
            )
        known = entry.get("labelled_categories", "all")
        own = {self.names[a["category_id"]] for a in annotations}
        listed = set(self.classes) if known == "all" else {self.names[i] for i in known}
        ids, numbers = self._object_map(annotations, image.shape[:2])
        labelled = tuple(name in (listed or own) for name in self.classes)
        source = str(entry.get("source", "all"))
        return ObjectPicture(image, ids, numbers, labelled, known == [], source)

    def _object_map(
        self, annotations: list[Entry], shape: tuple[int, ...]
    ) -> tuple[NDArray[np.uint8], tuple[int, ...]]:
        """Object numbers [H, W] and their classes; small objects lie on top of large ones."""
        ids = np.zeros(shape, np.uint8)
        numbers: list[int] = []
        for annotation in sorted(annotations, key=lambda a: (not a["iscrowd"], -a["area"])):
            name = self.names[annotation["category_id"]]
            if name not in self.classes and name not in self.similar:
                continue
            mask = self._mask(annotation, shape)
            if annotation["iscrowd"] or name in self.similar or len(numbers) == MOST_OBJECTS:
                ids[mask] = IGNORE
            else:
                numbers.append(self.classes.index(name))
                ids[mask] = len(numbers)
        return ids, tuple(numbers)

    def _mask(self, annotation: Entry, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        rle = annotation["segmentation"]
        where = f"{self.path}: annotation {annotation.get('id')}"
        if not isinstance(rle, dict) or not isinstance(rle.get("counts"), list):
            raise ConfigError(f"{where}: expected an uncompressed run-length mask")
        if tuple(rle["size"]) != shape or sum(rle["counts"]) != shape[0] * shape[1]:
            raise ConfigError(
                f"{where}: its mask covers {sum(rle['counts'])} pixels of {list(rle['size'])}, the "
                f"picture is {list(shape)} (height, width)"
            )
        mask = decode_rle(rle)
        if not mask.any():
            raise ConfigError(f"{where}: its mask is empty")
        return mask
