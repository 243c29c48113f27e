"""COCO's instances.json with its pictures: reading, and refusing what would spoil the scores.

Besides COCO's own keys an image may have ``source`` and ``labelled_categories``: "all" (COCO's
rule, and the default), or a list of the category ids that are exhaustively labelled in it. Of other
categories only those with an annotation in the image are judged there, strictly: a further object
of such a category counts as wrong even where it is only unlabelled (cf. LVIS, Gupta et al. 2019,
sec. 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.errors import ConfigError
from edgeseg.evaluate.coco_masks import Mask, MaskProblem, is_finite, read_mask
from edgeseg.evaluate.picture_folder import COCO_FILE, PICTURES, check_sources, files_by_name
from edgeseg.spec import one_line
from edgeseg.types import Size

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CocoImage:
    """judged: ids of the categories that are scored in this picture; None = all."""

    id: int
    path: Path
    size: Size
    source: str
    judged: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation. box_xywh: in pixels; None = to be taken from the mask."""

    id: int
    image_id: int
    category_id: int
    mask: Mask
    box_xywh: tuple[float, float, float, float] | None
    crowd: bool


@dataclass(frozen=True, slots=True)
class CocoData:
    """path: of the JSON file. categories: names by id. notes: what was left out."""

    path: Path
    images: tuple[CocoImage, ...]
    objects: tuple[CocoObject, ...]
    categories: Mapping[int, str]
    notes: tuple[str, ...] = ()


def open_coco(folder: Path, *, sources: Collection[str] = ()) -> CocoData:
    """Reads instances.json and checks every entry. Raises ConfigError.

    sources: only the pictures of these.
    """
    path = folder / COCO_FILE
    content = _read(path)
    categories = _categories(path, content)
    rows = _rows(path, content, "images")
    if not rows:
        raise ConfigError(f"{path}: no images; expected at least one with id and file_name")
    sizes = {row["id"]: _size(path, row) for row in rows}
    objects = tuple(
        _object(path, row, sizes, categories) for row in _rows(path, content, "annotations")
    )
    images = _images(path, rows, sizes, categories, objects)
    notes = _unlisted(path, images)
    check_sources(path, sources, {image.source for image in images})
    images = tuple(i for i in images if not sources or i.source in sources)
    kept = {image.id for image in images}
    objects = tuple(o for o in objects if o.image_id in kept)
    if not objects:
        raise ConfigError(f"{path}: no annotations of its {len(images)} images; nothing to score")
    return CocoData(path, images, objects, categories, notes)


def _categories(path: Path, content: Row) -> dict[int, str]:
    rows = _rows(path, content, "categories")
    names = {row["id"]: _text(path, row, "category", "name") for row in rows}
    if not names:
        raise ConfigError(f"{path}: no categories; expected at least one with id and name")
    if len({name.lower() for name in names.values()}) < len(names):
        raise ConfigError(f"{path}: two categories have one name; expected each name once")
    return names


def _unlisted(path: Path, images: Iterable[CocoImage]) -> tuple[str, ...]:
    """Says how many pictures lie there without being in the file, such as those of a subset."""
    folder = path.parent / "images"
    listed = {image.path for image in images}
    others = set(files_by_name(folder).values()) - listed if folder.is_dir() else set()
    return (f"not in {path.name}, left out: {len(others)} of {folder}",) if others else ()


def _read(path: Path) -> Row:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not readable JSON: {one_line(error)}") from error
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in keys):
        raise ConfigError(
            f"{path}: no COCO file; expected an object with the lists images, annotations and "
            "categories"
        )
    return content


def _rows(path: Path, content: Row, kind: str) -> list[Row]:
    """Returns the rows of one list, each an object with a whole-numbered id of its own."""
    seen: set[int] = set()
    singular = {"categories": "category"}.get(kind, kind.removesuffix("s"))
    for position, row in enumerate(content[kind]):
        number = row.get("id") if isinstance(row, dict) else None
        if type(number) is not int:
            raise ConfigError(
                f"{path}: {kind}[{position}] has no id; expected an object with a whole number id"
            )
        if number in seen:
            raise ConfigError(f"{path}: two {kind} have the id {number}; expected one {singular}")
        seen.add(number)
    rows: list[Row] = content[kind]
    return rows


def _size(path: Path, row: Row) -> Size:
    width, height = row.get("width"), row.get("height")
    if type(width) is not int or type(height) is not int or min(width, height) < 1:
        raise ConfigError(
            f"{path}: image {row['id']} is {width} x {height}; expected its width and height in "
            "pixels"
        )
    return Size(width, height)


def _object(
    path: Path, row: Row, sizes: Mapping[int, Size], categories: Mapping[int, str]
) -> CocoObject:
    where = f"{path}: annotation {row['id']}"
    for key, known, kind in (
        ("image_id", sizes, "images"),
        ("category_id", categories, "categories"),
    ):
        if type(row.get(key)) is not int or row[key] not in known:
            raise ConfigError(f"{where} has {key} {row.get(key)}, which is not among the {kind}")
    if row.get("iscrowd", 0) not in (0, 1):
        raise ConfigError(f"{where} has iscrowd {row['iscrowd']}; expected 0 or 1")
    try:
        mask = read_mask(row.get("segmentation"), sizes[row["image_id"]])
    except MaskProblem as problem:
        raise ConfigError(f"{where}: {problem}") from problem
    box = _box(where, row["bbox"]) if row.get("bbox") is not None else None
    crowd = bool(row.get("iscrowd", 0))
    return CocoObject(row["id"], row["image_id"], row["category_id"], mask, box, crowd)


def _box(where: str, box: object) -> tuple[float, float, float, float]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite, box)):
        raise ConfigError(f"{where} has bbox {box}; expected [x, y, width, height]")
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise ConfigError(
            f"{where} has a box of {width} x {height}; expected a width and height above 0"
        )
    return x, y, width, height


def _images(
    path: Path,
    rows: Iterable[Row],
    sizes: Mapping[int, Size],
    categories: Mapping[int, str],
    objects: Iterable[CocoObject],
) -> tuple[CocoImage, ...]:
    annotated: dict[int, set[int]] = {number: set() for number in sizes}
    for found in objects:
        annotated[found.image_id].add(found.category_id)
    images = []
    for row in rows:
        number = row["id"]
        name = _text(path, row, "image", "file_name")
        file = path.parent / "images" / name
        if not file.is_file() and (path.parent / name).is_file():
            file = path.parent / name
        if not file.is_file() or file.suffix.lower() not in PICTURES:
            raise ConfigError(f"{file}: no such picture, but {path.name} lists it as {number}")
        judged = _judged(path, row, categories)
        images.append(
            CocoImage(
                number,
                file,
                sizes[number],
                str(row.get("source", "")),
                None if judged is None else judged | annotated[number],
            )
        )
    return tuple(images)


def _judged(path: Path, row: Row, categories: Mapping[int, str]) -> frozenset[int] | None:
    listed = row.get("labelled_categories", "all")
    if listed == "all":
        return None
    if not isinstance(listed, list) or not all(type(i) is int and i in categories for i in listed):
        raise ConfigError(
            f"{path}: image {row['id']} has labelled_categories {listed}; expected 'all' or a list "
            "of category ids"
        )
    return frozenset(listed)


def _text(path: Path, row: Row, kind: str, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: {kind} {row['id']} has no {key}; expected text")
    return value
