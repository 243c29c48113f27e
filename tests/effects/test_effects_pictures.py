"""What each effect's pictures look like, measured."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from scenes import COLORS, matte, person_mask, scene, single, street

from edgeseg.config import EffectConfig
from edgeseg.effects import make_effect
from edgeseg.effects.paint_person import TINT_RGB
from edgeseg.ops.planes import color_to_yuv, to_bgr
from edgeseg.types import BT601, ColorSpace, Frame, Matte, Planes, Result, Size

SIZE = Size(320, 180)


def render(
    text: str, frame: Frame, result: Result | None, config: EffectConfig | None = None
) -> Planes:
    effect = make_effect(text, config)
    out = Planes.empty(effect.output_size(frame.size), alpha=effect.alpha)
    effect.render(frame, result, out)
    return out


@pytest.mark.parametrize("strength", [0, 0.3, 0.6, 1])
def test_blur_keeps_the_person_out_of_the_background(strength: float) -> None:
    frame = scene(SIZE, room=(50, 60), person=(255, 255, 255))
    out = render(f"blur={strength}", frame, matte(frame))
    outside = ~person_mask(SIZE, share=0.36)
    assert out.y[outside].max() <= 62
    assert out.y[outside].min() >= 48


def test_blur_has_no_halo_where_the_matte_is_a_little_small() -> None:
    """Hair just outside the mask does not light up the background beside it."""
    frame = scene(SIZE, room=(50, 50), person=(255, 255, 255))
    exact = matte(frame)
    kernel = np.ones((3, 3), np.uint8)
    small = Matte(cv2.erode(src=exact.person, kernel=kernel), exact.geometry)
    out = render("blur", frame, small, EffectConfig(refine=False))
    outside = ~person_mask(SIZE, share=0.34)
    assert out.y[outside].max() <= 55


def test_blur_gets_stronger() -> None:
    frame = scene(SIZE)
    spread = [render(f"blur={s}", frame, None).y.std() for s in (0, 0.25, 0.5, 1)]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] < 0.5 * frame.planes.y.std()


def test_default_blur_hides_what_a_line_of_text_says() -> None:
    """Along a line of letters a twelfth of the picture high, a tenth of the contrast is left."""
    frame = scene(Size(640, 360), room=(180, 180))
    y = np.array(frame.planes.y)
    cv2.putText(y, "SECRET", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (20,), 3)
    frame = Frame(Planes(y, frame.planes.u, frame.planes.v).freeze(), 0, 0.0)
    out = render("blur", frame, None)
    text = np.s_[40:50, 40:150]  # the middle of the word, without its ends
    assert out.y[text].std() < 0.1 * y[text].std()


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize(("name", "bgr"), [("#203080", (128, 48, 32)), ("white", (255, 255, 255))])
def test_color_is_the_colour_asked_for(
    name: str, bgr: tuple[int, int, int], color: ColorSpace
) -> None:
    frame = scene(SIZE, color=color)
    picture = to_bgr(render(f"color={name}", frame, matte(frame)), color)
    corner = picture[:20, :20].reshape(-1, 3).astype(int)
    assert np.abs(corner - bgr).max() <= 3


@pytest.mark.parametrize("person", [(240, 240, 235), (25, 20, 20)], ids=str)
def test_no_fringe_of_the_old_background(person: tuple[int, int, int]) -> None:
    """On a background of the person's own colour the old, contrasting room leaves no ring."""
    dark = sum(person) < 100
    frame = scene(SIZE, room=(220, 230) if dark else (30, 40), person=person)
    text = "color=#{:02x}{:02x}{:02x}".format(*person)
    own = color_to_yuv(person, frame.color)[0]
    rings = {}
    for free in (False, True):
        config = EffectConfig(decontaminate=free, refine=False)
        out = render(text, frame, matte(frame), config)
        rings[free] = np.abs(out.y.astype(int) - own)
    edge = person_mask(SIZE, share=0.34) & ~person_mask(SIZE, share=0.26)
    assert rings[True][edge].mean() < 0.65 * rings[False][edge].mean()


def test_alpha_holds_no_old_background() -> None:
    """The room's grey levels are found nowhere in the colours of soft and clear pixels."""
    frame = scene(SIZE, room=(60, 80), person=(255, 255, 255))
    out = render("alpha", frame, matte(frame))
    assert out.a is not None
    clear = out.a == 0
    assert not ((out.y[clear] >= 58) & (out.y[clear] <= 82)).any()
    assert set(np.unique(out.y[clear])) <= {16, *range(200, 256)}


def test_alpha_is_the_persons_shape() -> None:
    frame = scene(SIZE)
    out = render("alpha", frame, matte(frame))
    assert out.a is not None
    mask = person_mask(SIZE)
    assert ((out.a > 127) != mask).mean() < 0.01
    assert (out.a[person_mask(SIZE, share=0.2)] == 255).all()
    assert (out.a[~person_mask(SIZE, share=0.4)] == 0).all()


def test_overlay_tints_the_person_and_nothing_else() -> None:
    frame = scene(SIZE)
    out = render("overlay", frame, matte(frame))
    far = ~person_mask(SIZE, share=0.4)
    np.testing.assert_array_equal(out.y[far], frame.planes.y[far])
    before, after = to_bgr(frame.planes), to_bgr(out)
    inside = person_mask(SIZE, share=0.2)
    tint = np.array(TINT_RGB[::-1])
    nearer = np.abs(after[inside] - tint).sum() < np.abs(before[inside] - tint.astype(int)).sum()
    assert nearer


def test_overlay_draws_a_bright_contour() -> None:
    frame = scene(SIZE, room=(60, 60), person=(60, 60, 60))
    out = render("overlay=0", frame, matte(frame))
    ring = person_mask(SIZE, share=0.33) & ~person_mask(SIZE, share=0.27)
    inside = person_mask(SIZE, share=0.2)
    assert (out.y[ring] > 150).mean() > 0.1
    np.testing.assert_array_equal(out.y[inside], frame.planes.y[inside])


def test_overlay_grows_with_opacity() -> None:
    frame = scene(SIZE)
    inside = person_mask(Size(160, 90), share=0.2)
    blue = [
        int(render(f"overlay={o}", frame, matte(frame)).u[inside].mean()) for o in (0, 0.4, 0.8)
    ]
    assert blue[0] < blue[1] < blue[2]


def test_overlay_without_a_person_is_the_picture() -> None:
    frame = scene(SIZE)
    np.testing.assert_array_equal(render("overlay", frame, None).y, frame.planes.y)


@pytest.mark.parametrize("size", [Size(160, 90), Size(101, 67), Size(1, 1)], ids=str)
@pytest.mark.parametrize("inner", ["blur", "overlay", "none", "alpha"])
def test_side_by_side_holds_the_picture_and_the_effect(size: Size, inner: str) -> None:
    frame = scene(size)
    out = render(f"side-by-side={inner}", frame, matte(frame))
    alone = render(inner, frame, matte(frame))
    width, columns = size.width, size.chroma.width
    np.testing.assert_array_equal(out.y[:, :width], frame.planes.y)
    np.testing.assert_array_equal(out.y[:, width:], alone.y)
    np.testing.assert_array_equal(out.u[:, :columns], frame.planes.u)
    np.testing.assert_array_equal(out.u[:, columns:], alone.u[:, size.width % 2 :])
    np.testing.assert_array_equal(out.v[:, columns:], alone.v[:, size.width % 2 :])
    if inner == "alpha":
        assert out.a is not None
        assert alone.a is not None
        assert (out.a[:, :width] == 255).all()
        np.testing.assert_array_equal(out.a[:, width:], alone.a)


@pytest.mark.parametrize("kind", [matte, street, single])
def test_side_by_side_shows_the_overlay_by_default(kind: Callable[[Frame], Result]) -> None:
    frame = scene(Size(640, 360))
    want = render("overlay", frame, kind(frame))
    out = render("side-by-side", frame, kind(frame))
    np.testing.assert_array_equal(out.y[:, 640:], want.y)
    np.testing.assert_array_equal(out.u[:, 320:], want.u)


def test_feather_and_refine_reach_the_picture() -> None:
    frame = scene(SIZE)
    softness = []
    for feather in (0.0, 1.0, 5.0):
        out = render("alpha", frame, matte(frame), EffectConfig(feather=feather))
        assert out.a is not None
        softness.append(int(((out.a > 0) & (out.a < 255)).sum()))
    assert softness[0] < softness[1] < softness[2]
    plain = render("alpha", frame, matte(frame), EffectConfig(refine=False))
    fitted = render("alpha", frame, matte(frame))
    assert plain.a is not None
    assert fitted.a is not None
    assert (plain.a != fitted.a).any()


def test_planes_of_a_decoder_with_padded_rows_give_the_same_picture() -> None:
    frame = scene(SIZE)
    wide = [np.pad(p, ((0, 0), (0, 13))) for p in (frame.planes.y, frame.planes.u, frame.planes.v)]
    shapes = (frame.planes.y.shape[1], frame.planes.u.shape[1], frame.planes.v.shape[1])
    views = [array[:, :width] for array, width in zip(wide, shapes, strict=True)]
    padded = Frame(Planes(*views).freeze(), 0, 0.0, None, BT601)
    for text in ("blur", "overlay", "color=black", "alpha", "side-by-side", "none"):
        one, two = render(text, frame, matte(frame)), render(text, padded, matte(frame))
        np.testing.assert_array_equal(one.y, two.y)
        np.testing.assert_array_equal(one.u, two.u)
