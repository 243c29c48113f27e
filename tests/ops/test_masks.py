import cv2
import numpy as np
import pytest

from edgeseg.ops.masks import Alpha, cut_out, cut_out_roughly, empty_alpha, guided
from edgeseg.ops.scratch import Scratch
from edgeseg.types import F32, Geometry, Matte, Planes, Rect, Size


def disc(size: Size, *, radius: float = 0.3) -> np.ndarray:
    """A disc in the middle, bool [H, W]; its radius as a share of the shorter side."""
    y, x = np.mgrid[0 : size.height, 0 : size.width] + 0.5
    reach = radius * min(size)
    return np.asarray((x - size.width / 2) ** 2 + (y - size.height / 2) ** 2 < reach**2)


def picture(mask: np.ndarray, *, noise: float = 0, seed: int = 1) -> Planes:
    """A bright reddish disc before a dark bluish background."""
    rng = np.random.default_rng(seed)
    height, width = mask.shape
    y = np.where(mask, 170, 90) + rng.normal(0, noise, mask.shape)
    half = cv2.resize(
        src=mask.astype(np.float32),
        dsize=((width + 1) // 2, (height + 1) // 2),
        interpolation=cv2.INTER_AREA,
    )
    levels = [128 + half * gain + rng.normal(0, noise, half.shape) for gain in (-20, 30)]
    as_u8 = [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (y, *levels)]
    return Planes(*as_u8).freeze()


def matte(mask: np.ndarray, *, size: int = 64, threshold: float = 0.5, blur: float = 1.0) -> Matte:
    """What a network would give: small and soft."""
    small: F32 = cv2.resize(
        src=mask.astype(np.float32), dsize=(size, size), interpolation=cv2.INTER_AREA
    )
    if blur:
        small = cv2.GaussianBlur(src=small, ksize=(0, 0), sigmaX=blur)
    height, width = mask.shape
    network = Size(size, size)
    geometry = Geometry(Size(width, height), network, Rect(0, 0, size, size))
    return Matte(small, geometry, threshold)


def cut(planes: Planes, result: Matte, *, feather: float = 1.0, refine: bool = True) -> Alpha:
    return cut_out(planes, result, scratch=Scratch(), feather=feather, refine=refine)


SIZES = [
    Size(1, 1),
    Size(2, 1),
    Size(3, 2),
    Size(101, 67),
    Size(67, 101),
    Size(320, 180),
    Size(1280, 720),
]


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shapes_and_certain_regions(size: Size, refine: bool) -> None:
    mask = disc(size)
    alpha = cut(picture(mask), matte(mask), refine=refine)
    assert alpha.luma.shape == (size.height, size.width)
    assert alpha.chroma.shape == (size.chroma.height, size.chroma.width)
    assert alpha.luma.dtype == alpha.chroma.dtype == np.uint8
    if min(size) >= 100:
        assert (alpha.luma[disc(size, radius=0.2)] == 255).all()
        assert (alpha.luma[~disc(size, radius=0.4)] == 0).all()


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize(("level", "want"), [(0.0, 0), (0.02, 0), (0.98, 255), (1.0, 255)])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_certain_scores_give_exactly_nothing_or_everything(
    threshold: float, level: float, want: int, refine: bool
) -> None:
    rng = np.random.default_rng(3)
    shapes = ((90, 160), (45, 80), (45, 80))
    planes = Planes(*[rng.integers(0, 256, shape, np.uint8) for shape in shapes])
    flat = np.full((32, 32), level, np.float32)
    geometry = Geometry(Size(160, 90), Size(32, 32), Rect(0, 0, 32, 32))
    alpha = cut(planes, Matte(flat, geometry, threshold), refine=refine)
    assert (alpha.luma == want).all()
    assert (alpha.chroma == want).all()


def test_the_threshold_is_half_opaque() -> None:
    size = Size(128, 96)
    planes = picture(np.zeros((96, 128), bool))
    for threshold in (0.3, 0.5, 0.7):
        flat = np.full((32, 32), threshold, np.float32)
        geometry = Geometry(size, Size(32, 32), Rect(0, 0, 32, 32))
        alpha = cut(planes, Matte(flat, geometry, threshold))
        assert np.abs(alpha.luma.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [Size(640, 360), Size(501, 333)], ids=str)
def test_refining_moves_the_edge_to_the_pictures_edge(size: Size) -> None:
    mask = disc(size)
    planes, small = picture(mask, noise=1.5), matte(mask, size=32)
    errors = {}
    for refine in (False, True):
        alpha = cut(planes, small, refine=refine).luma / 255
        errors[refine] = np.abs(alpha - mask).sum() / np.sqrt(mask.sum())
    assert errors[True] < 0.7 * errors[False]


def test_refining_undoes_a_shifted_matte() -> None:
    mask = disc(Size(640, 360))
    shifted = np.roll(mask, 8, axis=1)
    refined = cut(picture(mask), matte(shifted)).luma > 127
    plain = cut(picture(mask), matte(shifted), refine=False).luma > 127
    assert (refined != mask).sum() < 0.5 * (plain != mask).sum()


def test_texture_far_from_the_edge_does_not_show_in_alpha() -> None:
    mask = disc(Size(640, 360))
    alpha = cut(picture(mask, noise=40), matte(mask)).luma
    assert (alpha[disc(Size(640, 360), radius=0.18)] == 255).all()
    assert (alpha[~disc(Size(640, 360), radius=0.42)] == 0).all()


def test_feather_sets_the_width_of_the_edge() -> None:
    mask = disc(Size(640, 360))
    widths = []
    for feather in (0.0, 0.5, 1.0, 3.0, 10.0):
        alpha = cut(picture(mask), matte(mask), feather=feather).luma
        widths.append(int(((alpha > 0) & (alpha < 255)).sum()))
    assert widths == sorted(widths)
    assert widths[0] < 0.7 * widths[2]
    assert widths[-1] > 3 * widths[2]


def test_guided_scores_keep_a_flat_matte() -> None:
    rng = np.random.default_rng(5)
    shapes = ((360, 640), (180, 320), (180, 320))
    planes = Planes(*[rng.integers(0, 256, shape, np.uint8) for shape in shapes])
    for size in (Size(320, 180), Size(160, 90), Size(121, 77)):
        scores = guided(planes, np.full((48, 48), 0.4, np.float32), size, Scratch())
        assert scores.shape == (size.height, size.width)
        np.testing.assert_allclose(scores, 0.4, atol=1e-3)


def test_grey_pictures_without_any_contrast_are_fine() -> None:
    size = Size(320, 180)
    planes = Planes.empty(size)
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = 128
    mask = disc(size)
    refined, plain = cut(planes, matte(mask)), cut(planes, matte(mask), refine=False)
    assert np.abs((refined.luma > 127).astype(int) - (plain.luma > 127)).mean() < 0.02


@pytest.mark.parametrize("size", [*SIZES, Size(1921, 1079)], ids=str)
@pytest.mark.parametrize("refine", [False, True])
def test_a_rough_cut_is_nearly_the_exact_one(size: Size, refine: bool) -> None:
    mask = disc(size)
    planes, small = picture(mask), matte(mask)
    rough = cut_out_roughly(planes, small, scratch=Scratch(), feather=1.0, refine=refine)
    exact = cut(planes, small, refine=refine).chroma
    assert rough.shape == exact.shape
    assert ((rough > 127) != (exact > 127)).mean() < 0.003


def test_empty_alpha_is_all_background() -> None:
    alpha = empty_alpha(Size(5, 3))
    assert alpha.luma.shape == (3, 5)
    assert alpha.chroma.shape == (2, 3)
    assert not alpha.luma.any()
    assert not alpha.chroma.any()
