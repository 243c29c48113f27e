"""What every effect promises, over the table in the code."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import cv2
import numpy as np
import pytest
from scenes import CAR, COLORS, SIZES, as_tuple, matte, person_mask, poisoned, scene, single, street

from edgeseg.config import EffectConfig
from edgeseg.effects import EFFECTS, make_effect
from edgeseg.protocols import Effect
from edgeseg.types import ColorSpace, Frame, Matte, Planes, Result, Size


class Make(Protocol):
    def __call__(self, text: str, config: EffectConfig | None = None) -> Effect: ...


Kind = Callable[[Frame], Result]

CASES = [
    "overlay",
    "blur",
    "blur=0",
    "blur=1",
    "replace",
    "color=#102030",
    "alpha",
    "anonymize",
    "anonymize=blur",
    "side-by-side",
    "side-by-side=blur",
    "side-by-side=alpha",
    "none",
]
COVERING = ["blur", "blur=0", "blur=1", "replace", "color=#102030", "alpha"]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    path = tmp_path_factory.mktemp("backdrop") / "beach.png"
    y, x = np.mgrid[0:90, 0:160]
    image = np.stack([x, 255 - x, 2 * y], axis=-1).astype(np.uint8)
    assert cv2.imwrite(filename=str(path), img=image)

    def build(text: str, config: EffectConfig | None = None) -> Effect:
        return make_effect(f"replace={path}" if text == "replace" else text, config)

    return build


def render(effect: Effect, frame: Frame, result: Result | None, *, level: int = 7) -> Planes:
    out = poisoned(effect.output_size(frame.size), alpha=effect.alpha, level=level)
    effect.render(frame, result, out)
    return out


def test_the_cases_name_every_effect() -> None:
    assert {case.partition("=")[0] for case in CASES} == set(EFFECTS)


@pytest.mark.parametrize("case", CASES)
def test_says_what_it_is(case: str, make: Make) -> None:
    effect = make(case)
    assert effect.name == case.partition("=")[0]
    hides = "objects" if case.startswith("anonymize") else "nothing"
    assert effect.hides == ("background" if case in COVERING else hides)
    assert effect.alpha == case.endswith("alpha")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_writes_every_pixel_and_leaves_its_input_alone(case: str, size: Size, make: Make) -> None:
    effect, frame = make(case), scene(size)
    before = as_tuple(frame.planes)
    for result in (
        matte(frame),
        matte(frame, present=False),
        street(frame),
        single(frame),
        single(frame, []),
        None,
    ):
        one = render(effect, frame, result, level=7)
        two = render(effect, frame, result, level=193)
        assert as_tuple(one) == as_tuple(two)
    assert as_tuple(frame.planes) == before


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_draws_in_every_colour_space(case: str, color: ColorSpace, make: Make) -> None:
    frame = scene(Size(101, 67), color=color)
    effect = make(case)
    for result in (matte(frame), street(frame), single(frame)):
        assert render(effect, frame, result).size == effect.output_size(frame.size)


@pytest.mark.parametrize("case", CASES)
def test_output_size(case: str, make: Make) -> None:
    doubled = case.startswith("side-by-side")
    assert make(case).output_size(Size(101, 67)) == Size(202 if doubled else 101, 67)


@pytest.mark.parametrize("case", CASES)
def test_threads_get_the_pictures_one_thread_gets(case: str, make: Make) -> None:
    effect = make(case)
    frames = [scene(size, seed=i) for i, size in enumerate([Size(160, 90), Size(101, 67)] * 6)]
    kinds = (matte, street, single, matte, lambda frame: None)
    jobs = [(frame, kinds[i % 5](frame)) for i, frame in enumerate(frames)]
    want = [as_tuple(render(effect, *job)) for job in jobs]
    with ThreadPoolExecutor(max_workers=2) as pool:
        got = list(pool.map(lambda job: as_tuple(render(effect, *job)), jobs * 3))
    assert got == want * 3


@pytest.mark.parametrize("size", [Size(1, 1), Size(101, 67), Size(256, 144)], ids=str)
@pytest.mark.parametrize("case", ["replace", "color=#102030", "alpha"])
def test_without_a_person_nothing_of_the_frame_is_left(case: str, size: Size, make: Make) -> None:
    effect = make(case)
    one, two = scene(size, seed=1), scene(size, seed=2, person=(10, 240, 240))
    pictures = {
        as_tuple(render(effect, frame, result))
        for frame in (one, two)
        for result in (None, matte(frame, present=False))
    }
    assert len(pictures) == 1


@pytest.mark.parametrize("case", COVERING)
@pytest.mark.parametrize("kind", ["nobody on the street", "no objects", "only cars"])
def test_nothing_of_the_chosen_classes_covers_everything(case: str, kind: str, make: Make) -> None:
    frame = scene(Size(101, 67))
    results: dict[str, Result] = {
        "nobody on the street": street(frame, number=CAR),
        "no objects": single(frame, []),
        "only cars": single(frame, classes=[1]),
    }
    effect, result = make(case), results[kind]
    assert as_tuple(render(effect, frame, result)) == as_tuple(render(effect, frame, None))


@pytest.mark.parametrize("case", COVERING)
@pytest.mark.parametrize("kind", [street, single])
def test_people_of_any_model_stay_as_filmed(case: str, kind: Kind, make: Make) -> None:
    frame = scene(Size(256, 144))
    out = render(make(case), frame, kind(frame))
    inside = person_mask(frame.size, share=0.2)
    np.testing.assert_array_equal(out.y[inside], frame.planes.y[inside])
    far = ~person_mask(frame.size, share=0.45)
    assert (out.y[far] != frame.planes.y[far]).mean() > 0.8


@pytest.mark.parametrize("case", ["color=#102030", "alpha"])
def test_other_classes_can_be_chosen(case: str, make: Make) -> None:
    frame = scene(Size(256, 144))
    people = render(make(case), frame, street(frame))
    cars = render(make(case, EffectConfig(classes=("car",))), frame, street(frame, number=CAR))
    assert as_tuple(cars) == as_tuple(people)


@pytest.mark.parametrize("case", COVERING)
def test_an_absent_person_is_covered_whatever_the_scores(case: str, make: Make) -> None:
    frame = scene(Size(101, 67))
    some = matte(frame)
    absent = Matte(some.person, some.geometry, present=False)
    effect = make(case)
    assert as_tuple(render(effect, frame, absent)) == as_tuple(render(effect, frame, None))


@pytest.mark.parametrize("case", ["blur", "blur=1"])
def test_without_a_person_everything_is_blurred(case: str, make: Make) -> None:
    frame = scene(Size(256, 144))
    for result in (None, matte(frame, present=False)):
        out = render(make(case), frame, result)
        raw = frame.planes.y.astype(float)
        raw -= cv2.blur(src=raw, ksize=(25, 25))
        left = out.y.astype(float)
        left -= cv2.blur(src=left, ksize=(25, 25))
        correlation = (raw * left).sum() / np.sqrt((raw**2).sum() * (left**2).sum())
        assert left.std() < 0.1 * raw.std()
        assert abs(correlation) < 0.5


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("case", ["replace", "color=#102030"])
def test_no_raw_background_where_alpha_is_nothing(case: str, refine: bool, make: Make) -> None:
    """Behind the person's outline stands the new background, to the very pixel."""
    frame = scene(Size(256, 144))
    config = EffectConfig(refine=refine)
    effect = make(case, config)
    transparent = render(make("alpha", config), frame, matte(frame))
    assert transparent.a is not None
    clear = transparent.a == 0
    assert clear.mean() > 0.5
    covered = render(effect, frame, None)
    out = render(effect, frame, matte(frame))
    np.testing.assert_array_equal(out.y[clear], covered.y[clear])


@pytest.mark.parametrize("case", COVERING)
def test_the_person_stays_as_filmed(case: str, make: Make) -> None:
    frame = scene(Size(256, 144))
    out = render(make(case), frame, matte(frame))
    inside = person_mask(frame.size, share=0.2)
    np.testing.assert_array_equal(out.y[inside], frame.planes.y[inside])


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("anonymize")])
def test_empty_matte_that_claims_presence_is_harmless(case: str, make: Make) -> None:
    frame = scene(Size(101, 67))
    absent = matte(frame, present=False)
    claimed = type(absent)(absent.person, absent.geometry, present=True)
    effect = make(case)
    one, two = render(effect, frame, claimed), render(effect, frame, None)
    difference = np.abs(one.y.astype(int) - two.y)
    assert difference.max() <= 1


@pytest.mark.parametrize("case", COVERING)
def test_full_matte_shows_the_whole_frame(case: str, make: Make) -> None:
    frame = scene(Size(101, 67))
    some = matte(frame)
    full = type(some)(np.ones_like(some.person), some.geometry)
    out = render(make(case), frame, full)
    assert as_tuple(out)[:3] == as_tuple(frame.planes)[:3]
    assert out.a is None or (out.a == 255).all()
