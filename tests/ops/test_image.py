from fractions import Fraction

import cv2
import numpy as np
import pytest

from edgeseg.ops.image import LETTERBOX_GREY, fit, network_input, shrink
from edgeseg.ops.planes import rgb_to_yuv_matrix, yuv_to_rgb_matrix
from edgeseg.spec import InputSpec
from edgeseg.types import U8, ColorSpace, Frame, Planes, Rect, Size

COLORS = [ColorSpace(m, r) for m in ("bt601", "bt709") for r in (False, True)]


def scene(size: Size, color: ColorSpace) -> Frame:
    """A smooth colourful picture, converted in float64 and rounded once."""
    y, x = np.mgrid[0 : size.height, 0 : size.width].astype(np.float64)
    x, y = x / size.width, y / size.height
    waves = [np.sin(14 * x + 1), np.cos(17 * y), np.sin(9 * x + 11 * y)]
    rgb = np.stack([127 + 80 * w for w in waves], axis=-1)
    m = rgb_to_yuv_matrix(color).astype(np.float64)
    yuv = np.clip(rgb @ m[:, :3].T + m[:, 3], 0, 255)
    padded = np.pad(yuv, ((0, size.height % 2), (0, size.width % 2), (0, 0)), mode="edge")
    halved = padded.reshape(size.chroma.height, 2, size.chroma.width, 2, 3).mean(axis=(1, 3))
    planes = Planes(
        np.round(yuv[..., 0]).astype(np.uint8),
        np.round(halved[..., 1]).astype(np.uint8),
        np.round(halved[..., 2]).astype(np.uint8),
    ).freeze()
    return Frame(planes, 0, 0.0, Fraction(0), color)


def reference_rgb(frame: Frame, size: Size) -> np.ndarray:
    """Full-size float conversion, then an area resize in float: slow and right."""
    p, full = frame.planes, frame.size
    big = [np.kron(c, np.ones((2, 2)))[: full.height, : full.width] for c in (p.u, p.v)]
    yuv = np.stack([p.y.astype(np.float64), *big], axis=-1)
    m = yuv_to_rgb_matrix(frame.color).astype(np.float64)
    rgb = np.clip(yuv @ m[:, :3].T + m[:, 3], 0, 255).astype(np.float32)
    enlarge = size.width > full.width
    how = cv2.INTER_LINEAR if enlarge else cv2.INTER_AREA
    return np.asarray(cv2.resize(src=rgb, dsize=tuple(size), interpolation=how))


SMALL = Size(64, 48)


def spec(size: Size = SMALL, **changes: object) -> InputSpec:
    return InputSpec(name="image", size=size, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("size", [Size(1280, 720), Size(201, 133), Size(180, 320)], ids=str)
def test_matches_float_conversion_and_area_resize(size: Size, color: ColorSpace) -> None:
    frame = scene(size, color)
    tensor, geometry = network_input(frame, spec())
    want = reference_rgb(frame, Size(64, 48))
    difference = np.abs(tensor[0].astype(np.float64) - want)
    assert tensor.shape == (1, 48, 64, 3)
    assert tensor.dtype == np.uint8
    odd = size.width % 2  # half a chroma pixel hangs over the right edge
    assert difference.mean() < (3 if odd else 1.5)
    assert difference.max() < (16 if odd else 8)
    assert geometry.content == Rect(0, 0, 64, 48)
    assert geometry.frame == size


def test_fine_stripes_do_not_alias() -> None:
    y = np.tile(np.array([0, 255], np.uint8), (720, 640))
    assert np.abs(shrink(y, Size(256, 256)).astype(int) - 127).max() <= 1
    aliased = cv2.resize(src=y, dsize=(200, 200), interpolation=cv2.INTER_NEAREST)
    assert aliased.std() > 50  # the stripes are there to be seen


@pytest.mark.parametrize("source", [(720, 1280), (1080, 1920), (67, 101), (719, 1279)], ids=str)
def test_shrink_keeps_positions(source: tuple[int, int]) -> None:
    """A ramp keeps its value at the same relative place, to a third of an output pixel."""
    ramp = np.tile(np.linspace(0, 250, source[1]), (source[0], 1))
    small = shrink(np.round(ramp).astype(np.uint8), Size(50, 30)).astype(np.float64)
    x = (np.arange(50) + 0.5) * source[1] / 50 - 0.5
    assert np.abs(small - x * 250 / (source[1] - 1)).max() < 5 / 3


def test_shrink_returns_a_plane_of_the_right_size_untouched() -> None:
    y = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert shrink(y, Size(4, 3)) is y


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_one_pixel_frame_fills_the_input_with_its_colour(color: ColorSpace) -> None:
    yuv = rgb_to_yuv_matrix(color) @ np.array([200, 60, 30, 1], np.float32)
    y, u, v = (np.full((1, 1), round(float(c)), np.uint8) for c in yuv)
    tensor, _ = network_input(Frame(Planes(y, u, v).freeze(), 0, 0.0, color=color), spec())
    assert np.abs(tensor[0].reshape(-1, 3).astype(int) - [200, 60, 30]).max() <= 3


def test_bgr_is_rgb_reversed() -> None:
    frame = scene(Size(120, 90), COLORS[0])
    rgb, _ = network_input(frame, spec(order="rgb"))
    bgr, _ = network_input(frame, spec(order="bgr"))
    np.testing.assert_array_equal(rgb[..., ::-1], bgr)


def test_nchw_is_nhwc_transposed_and_contiguous() -> None:
    frame = scene(Size(120, 90), COLORS[1])
    last, _ = network_input(frame, spec(layout="nhwc"))
    first, _ = network_input(frame, spec(layout="nchw"))
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    assert first.flags.c_contiguous
    assert last.flags.c_contiguous


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_float_input_is_normalised_per_channel(layout: str, order: str) -> None:
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    frame = scene(Size(120, 90), COLORS[0])
    raw, _ = network_input(frame, spec(order=order))
    tensor, _ = network_input(
        frame, spec(order=order, layout=layout, dtype="float32", mean=mean, std=std)
    )
    want = (raw.astype(np.float64) - mean) / std
    want = want if layout == "nhwc" else want.transpose(0, 3, 1, 2)
    assert tensor.dtype == np.float32
    assert tensor.shape == want.shape
    assert np.abs(np.asarray(tensor, np.float64) - want).max() < 1e-5


@pytest.mark.parametrize(
    ("frame", "network", "content"),
    [
        (Size(1280, 720), Size(256, 256), Rect(0, 56, 256, 200)),
        (Size(720, 1280), Size(256, 256), Rect(56, 0, 200, 256)),
        (Size(101, 67), Size(64, 64), Rect(0, 11, 64, 53)),
        (Size(640, 360), Size(256, 144), Rect(0, 0, 256, 144)),
        (Size(1000, 1), Size(32, 32), Rect(0, 15, 32, 16)),
    ],
)
def test_letterbox_geometry(frame: Size, network: Size, content: Rect) -> None:
    assert fit(frame, spec(network, fit="letterbox")).content == content


def test_letterbox_bars_are_grey_and_content_is_the_stretched_picture() -> None:
    frame = scene(Size(320, 180), COLORS[2])
    boxed, geometry = network_input(frame, spec(Size(64, 64), fit="letterbox"))
    stretched, _ = network_input(frame, spec(Size(64, 36)))
    box = geometry.content
    np.testing.assert_array_equal(boxed[:, box.top : box.bottom], stretched)
    bars: U8 = np.concatenate([boxed[:, : box.top], boxed[:, box.bottom :]], axis=1)
    assert (bars == LETTERBOX_GREY).all()


def test_each_call_gives_its_own_tensor() -> None:
    frame = scene(Size(64, 48), COLORS[0])
    first, _ = network_input(frame, spec())
    second, _ = network_input(frame, spec())
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, frame.planes.y)


def test_a_larger_ratio_halves_less() -> None:
    """Stripes of one pixel are grey after a halving, and still stripes without one."""
    stripes = np.tile(np.array([0, 255], np.uint8), (40, 50))
    assert np.ptp(shrink(stripes, Size(40, 40))) < np.ptp(shrink(stripes, Size(40, 40), ratio=3))
    flat = np.full((90, 160), 77, np.uint8)
    assert (shrink(flat, Size(20, 13), ratio=3) == 77).all()
