"""Classes that an effect is about are checked against the model's before anything opens."""

from __future__ import annotations

import pytest

from edgeseg.config import EffectConfig
from edgeseg.effects import check_classes, make_effect
from edgeseg.errors import ConfigError
from edgeseg.labels import CAMVID_NAMES
from edgeseg.spec import InputSpec, ModelSpec, OutputSpec, Task
from edgeseg.types import Size


def spec(*classes: str, task: Task = "semantic") -> ModelSpec:
    return ModelSpec(
        name="net",
        task=task,
        input=InputSpec(name="x", size=Size(8, 8)),
        outputs=(OutputSpec(name="y", meaning="person" if task == "portrait" else "scores"),),
        classes=classes,
    )


DRIVING = spec(*CAMVID_NAMES)
ANIMALS = spec("cat", "dog")
PORTRAIT = spec("background", "person", task="portrait")


def check(effect: str, model: ModelSpec, *names: str) -> None:
    check_classes(names, make_effect(effect, EffectConfig(classes=names)), model)


@pytest.mark.parametrize("effect", ["overlay", "blur", "anonymize", "side-by-side=color", "none"])
def test_classes_that_exist_pass(effect: str) -> None:
    check(effect, DRIVING)
    check(effect, DRIVING, "Car", "road")
    check(effect, ANIMALS, "dog")
    check(effect, PORTRAIT)
    check(effect, PORTRAIT, "person")


def test_an_overlay_needs_no_people() -> None:
    check("overlay", ANIMALS)
    check("side-by-side", ANIMALS)


@pytest.mark.parametrize(
    ("effect", "model", "names", "message"),
    [
        ("overlay", DRIVING, ("caar",), "net has no class 'caar'; did you mean 'car'?"),
        ("blur", DRIVING, ("road", "Pedestrain"), "did you mean 'pedestrian'?"),
        ("none", ANIMALS, ("xyz",), "no class 'xyz'; the classes of net: cat, dog"),
        ("overlay", PORTRAIT, ("car",), "no class 'car'; the classes of net: person"),
        ("overlay", PORTRAIT, ("background",), "the classes of net: person"),
        (
            "anonymize",
            ANIMALS,
            (),
            "effect anonymize: net knows no people; name what to hide with --classes; "
            "the classes of net: cat, dog",
        ),
        ("blur", ANIMALS, (), "effect blur: net knows no people; name what to keep"),
        ("side-by-side=anonymize", ANIMALS, (), "effect anonymize: net knows no people"),
    ],
)
def test_others_are_refused_in_one_line(
    effect: str, model: ModelSpec, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(effect, model, *names)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
