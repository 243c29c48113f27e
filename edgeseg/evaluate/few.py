"""A few pictures of a data set, chosen by a seed, from each of its sources in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from random import Random
from typing import Protocol, TypeVar

from edgeseg.evaluate.coco_data import CocoData


class _HasSource(Protocol):
    @property
    def source(self) -> str: ...


class _Limit(Protocol):
    @property
    def most(self) -> int | None: ...
    @property
    def seed(self) -> int: ...


Picture = TypeVar("Picture", bound=_HasSource)


def few(pictures: Sequence[Picture], limit: _Limit) -> tuple[Picture, ...]:
    """Returns at most ``limit.most`` of the pictures, in their order; all where that is None."""
    if limit.most is None or limit.most >= len(pictures):
        return tuple(pictures)
    chosen = set(list(_in_turn(pictures, limit.seed))[: limit.most])
    return tuple(picture for index, picture in enumerate(pictures) if index in chosen)


def few_of_coco(data: CocoData, limit: _Limit) -> CocoData:
    """Returns the same of objects: fewer pictures, with the objects in them."""
    images = few(data.images, limit)
    kept = {image.id for image in images}
    return replace(
        data, images=images, objects=tuple(o for o in data.objects if o.image_id in kept)
    )


def _in_turn(pictures: Sequence[_HasSource], seed: int) -> Iterator[int]:
    """Gives the pictures' numbers, shuffled within each source, one of each source at a time."""
    sources: dict[str, list[int]] = {}
    for index, picture in enumerate(pictures):
        sources.setdefault(picture.source, []).append(index)
    chance = Random(seed)
    for name in sorted(sources):
        chance.shuffle(sources[name])
    for round_ in zip_longest(*(sources[name] for name in sorted(sources))):
        yield from (index for index in round_ if index is not None)
