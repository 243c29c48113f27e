from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from edgeseg.ops import planes as ops
from edgeseg.types import BT601, U8, ColorSpace, Planes, Size

COLORS = [
    ColorSpace("bt601", False),
    ColorSpace("bt601", True),
    ColorSpace("bt709", False),
    ColorSpace("bt709", True),
]
SIZES = [Size(1, 1), Size(2, 2), Size(3, 2), Size(101, 67), Size(64, 48), Size(33, 80)]


def smooth_bgr(size: Size) -> U8:
    y, x = np.mgrid[0 : size.height, 0 : size.width] / 64.0
    waves = [np.sin(3 * x + 1), np.cos(2 * y), np.sin(x + 2 * y)]
    return np.stack([127 + 90 * w for w in waves], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("color", "rgb", "yuv"),
    [
        (ColorSpace("bt601", False), (255, 255, 255), (235, 128, 128)),
        (ColorSpace("bt601", False), (0, 0, 0), (16, 128, 128)),
        (ColorSpace("bt601", False), (255, 0, 0), (81, 90, 240)),
        (ColorSpace("bt601", False), (0, 255, 0), (145, 54, 34)),
        (ColorSpace("bt601", True), (0, 0, 255), (29, 255, 107)),
        (ColorSpace("bt709", False), (255, 0, 0), (63, 102, 240)),
        (ColorSpace("bt709", False), (0, 255, 0), (173, 42, 26)),
        (ColorSpace("bt709", True), (255, 255, 255), (255, 128, 128)),
    ],
)
def test_known_colours(
    color: ColorSpace, rgb: tuple[int, int, int], yuv: tuple[int, int, int]
) -> None:
    assert ops.color_to_yuv(rgb, color) == yuv


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_matrices_are_inverse(color: ColorSpace) -> None:
    rgb = np.array([[10, 200, 90], [255, 0, 128]], np.float64)
    forward = ops.rgb_to_yuv_matrix(color).astype(np.float64)
    back = ops.yuv_to_rgb_matrix(color).astype(np.float64)
    yuv = rgb @ forward[:, :3].T + forward[:, 3]
    np.testing.assert_allclose(yuv @ back[:, :3].T + back[:, 3], rgb, atol=1e-3)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_bgr_survives_the_way_there_and_back(size: Size) -> None:
    bgr = smooth_bgr(size)
    planes = ops.from_bgr(bgr)
    assert planes.size == size
    assert planes.u.shape == planes.v.shape == (size.chroma.height, size.chroma.width)
    difference = np.abs(ops.to_bgr(planes).astype(int) - bgr)
    assert difference.mean() < 4
    assert difference.max() < 16


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("size", [Size(64, 48), Size(101, 67)], ids=str)
def test_to_bgr_agrees_with_swscale(size: Size, color: ColorSpace) -> None:
    matrix = {"bt601": Colorspace.ITU601, "bt709": Colorspace.ITU709}[color.matrix]
    levels = ColorRange.JPEG if color.full_range else ColorRange.MPEG
    picture: Any = av.VideoFrame.from_ndarray(smooth_bgr(size), format="bgr24").reformat(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=levels
    )
    shapes = [(size.height, size.width), *[(size.chroma.height, size.chroma.width)] * 2]
    arrays = []
    for plane, (height, width) in zip(picture.planes, shapes, strict=True):
        flat = np.frombuffer(memoryview(plane), np.uint8)
        arrays.append(flat.reshape(-1, plane.line_size)[:height, :width])
    want = picture.reformat(
        format="bgr24", src_colorspace=matrix, src_color_range=levels
    ).to_ndarray()
    got = ops.to_bgr(Planes(*arrays), color)
    assert np.abs(got.astype(int) - want).mean() < 3


@pytest.mark.parametrize("color", COLORS, ids=str)
def test_one_colour_comes_back_as_itself(color: ColorSpace) -> None:
    planes = Planes.empty(Size(7, 5))
    for plane, level in zip(
        (planes.y, planes.u, planes.v), ops.color_to_yuv((180, 60, 30), color), strict=True
    ):
        plane[:] = level
    assert np.abs(ops.to_bgr(planes, color).astype(int) - [30, 60, 180]).max() <= 2


def test_packed_planes_split_into_the_same_planes() -> None:
    planes = ops.from_bgr(smooth_bgr(Size(64, 48)))
    again = ops.split_i420(ops.pack_i420(planes), Size(64, 48))
    for one, two in zip((planes.y, planes.u, planes.v), (again.y, again.u, again.v), strict=True):
        np.testing.assert_array_equal(one, two)


def test_copies_become_opaque_where_the_source_has_no_alpha() -> None:
    source = ops.from_bgr(smooth_bgr(Size(9, 6)))
    out = Planes.empty(Size(9, 6), alpha=True)
    ops.copy_planes(source, out)
    assert out.a is not None
    assert (out.a == 255).all()
    np.testing.assert_array_equal(out.y, source.y)
    with_alpha = Planes(source.y, source.u, source.v, np.full((6, 9), 7, np.uint8))
    ops.copy_planes(with_alpha, out)
    assert (out.a == 7).all()


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))]
)
def test_rotation_is_clockwise(degrees: int, corner: tuple[int, int]) -> None:
    y, chroma = np.zeros((3, 5), np.uint8), np.zeros((2, 3), np.uint8)
    y[0, 0] = chroma[0, 0] = 9
    turned = ops.rotate(Planes(y, chroma, chroma, y), degrees)
    assert turned.size == (Size(5, 3) if degrees % 180 == 0 else Size(3, 5))
    assert turned.y[corner] == 9
    assert turned.u[corner] == 9
    assert turned.a is not None
    assert turned.a[corner] == 9
    assert int(turned.y.sum()) == 9


def test_bt601_is_the_default() -> None:
    assert ColorSpace("bt601", full_range=False) == BT601
