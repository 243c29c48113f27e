from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeseg.evaluate import DataChoice
from edgeseg.evaluate.coco_data import CocoData, CocoImage, CocoObject
from edgeseg.evaluate.coco_masks import Mask
from edgeseg.evaluate.few import few, few_of_coco
from edgeseg.evaluate.picture_folder import Sample
from edgeseg.types import Size

SAMPLES = tuple(
    Sample(Path(f"{n}.png"), Path(f"{n}.png"), "rare" if n % 10 == 0 else "often")
    for n in range(40)
)
CHOICE = DataChoice(Path("data"), most=8)


def test_each_source_gives_as_many() -> None:
    chosen = few(SAMPLES, CHOICE)
    assert [sample.source for sample in chosen].count("rare") == 4
    assert [sample.source for sample in chosen].count("often") == 4
    assert list(chosen) == sorted(chosen, key=SAMPLES.index), "the order stays"


def test_the_seed_chooses() -> None:
    assert few(SAMPLES, CHOICE) == few(SAMPLES, CHOICE)
    assert few(SAMPLES, CHOICE) != few(SAMPLES, replace(CHOICE, seed=1))


def test_no_limit_and_a_large_one_leave_all() -> None:
    assert few(SAMPLES, DataChoice(Path("data"))) == SAMPLES
    assert few(SAMPLES, replace(CHOICE, most=400)) == SAMPLES


def test_objects_follow_their_pictures() -> None:
    images = tuple(CocoImage(n, Path(f"{n}.png"), Size(8, 8), "", None) for n in range(6))
    objects = tuple(CocoObject(10 + n, n, 1, Mask(None, ()), None, crowd=False) for n in range(6))
    data = CocoData(Path("instances.json"), images, objects, {1: "car"})
    part = few_of_coco(data, replace(CHOICE, most=2))
    assert len(part.images) == 2
    assert [o.image_id for o in part.objects] == [i.id for i in part.images]
