"""I420 planes: to and from BGR, copies, quarter turns, and colours as YUV."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edgeseg.types import BT601, F32, U8, ColorSpace, Planes, Size

NEUTRAL = 128
"""Chroma of grey."""

_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # Kr, Kb; ITU-R BT.601-7, BT.709-6


def rgb_to_yuv_matrix(color: ColorSpace) -> F32:
    """Returns float32 [3, 4]: RGB in 0..255 to Y, U, V in 0..255 (ITU-R BT.601-7 / BT.709-6)."""
    kr, kb = _LUMA[color.matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    u = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
    v = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
    rows = np.stack([luma, u, v])
    if color.full_range:
        offset = np.array([0, NEUTRAL, NEUTRAL])
    else:
        rows *= np.array([[219], [224], [224]]) / 255
        offset = np.array([16, NEUTRAL, NEUTRAL])
    return np.concatenate([rows, offset[:, None]], axis=1).astype(np.float32)


@lru_cache(maxsize=16)
def yuv_to_rgb_matrix(color: ColorSpace, *, bgr: bool = False) -> F32:
    """Returns float32 [3, 4]: the inverse of ``rgb_to_yuv_matrix``, rows R, G, B or B, G, R."""
    forward = rgb_to_yuv_matrix(color).astype(np.float64)
    inverse = np.linalg.inv(forward[:, :3])
    rows = np.concatenate([inverse, -inverse @ forward[:, 3:]], axis=1)
    out: F32 = (rows[::-1] if bgr else rows).astype(np.float32)
    return out


@lru_cache(maxsize=64)  # asked for every frame; 0.04 ms each time without
def color_to_yuv(rgb: tuple[int, int, int], color: ColorSpace) -> tuple[int, int, int]:
    """Returns one RGB colour as Y, U, V of a colour space."""
    yuv = rgb_to_yuv_matrix(color) @ np.array([*rgb, 1], np.float32)
    y, u, v = (round(float(np.clip(x, 0, 255))) for x in yuv)
    return y, u, v


def from_bgr(bgr: U8) -> Planes:
    """Converts uint8 [H, W, 3] BGR of any size to BT.601 limited-range planes that it owns."""
    height, width = bgr.shape[:2]
    even = _pad_to_even(bgr)
    packed = cv2.cvtColor(src=even, code=cv2.COLOR_BGR2YUV_I420)
    full = split_i420(packed, Size(even.shape[1], even.shape[0]))
    return full if even is bgr else Planes(full.y[:height, :width], full.u, full.v)


def _pad_to_even(image: U8) -> U8:
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    padded: U8 = cv2.copyMakeBorder(
        src=image,
        top=0,
        bottom=height % 2,
        left=0,
        right=width % 2,
        borderType=cv2.BORDER_REPLICATE,
    )
    return padded


def split_i420(packed: U8, size: Size) -> Planes:
    """Views a contiguous uint8 [H*3/2, W] I420 buffer of even size as planes."""
    flat = packed.reshape(-1)
    luma = size.width * size.height
    half = (size.chroma.height, size.chroma.width)
    u, v = flat[luma : luma + luma // 4], flat[luma + luma // 4 :]
    return Planes(flat[:luma].reshape(size.height, size.width), u.reshape(half), v.reshape(half))


def to_bgr(planes: Planes, color: ColorSpace = BT601) -> U8:
    """Converts planes of any size to a new uint8 [H, W, 3] BGR picture; alpha is ignored."""
    size = planes.size
    if color == BT601 and size.width % 2 == 0 and size.height % 2 == 0:
        out: U8 = cv2.cvtColor(src=pack_i420(planes), code=cv2.COLOR_YUV2BGR_I420)
        return out
    u, v = (_to_luma_size(plane, size) for plane in (planes.u, planes.v))
    yuv = cv2.merge(mv=[planes.y, u, v])
    converted: U8 = cv2.transform(src=yuv, m=yuv_to_rgb_matrix(color, bgr=True))
    return converted


def _to_luma_size(chroma: U8, size: Size) -> U8:
    big: U8 = cv2.resize(
        src=chroma,
        dsize=(size.chroma.width * 2, size.chroma.height * 2),
        interpolation=cv2.INTER_LINEAR,
    )
    return big[: size.height, : size.width]


def pack_i420(planes: Planes) -> U8:
    """Copies planes of even size into one contiguous uint8 [H*3/2, W] I420 buffer."""
    width, height = planes.size
    packed = np.empty((height * 3 // 2, width), np.uint8)
    views = split_i420(packed, planes.size)
    copy_planes(planes, views)
    return packed


def copy_planes(source: Planes, out: Planes) -> None:
    """Copies a picture into planes of the same size; alpha becomes opaque where source has none."""
    np.copyto(out.y, source.y)
    np.copyto(out.u, source.u)
    np.copyto(out.v, source.v)
    if out.a is not None:
        np.copyto(out.a, 255 if source.a is None else source.a)


def rotate(planes: Planes, degrees: int) -> Planes:
    """Turns a picture clockwise by 0, 90, 180 or 270 degrees; 0 returns the same planes."""
    turns = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if degrees % 360 == 0:
        return planes
    code = turns[degrees % 360]
    turned = [cv2.rotate(src=p, rotateCode=code) for p in (planes.y, planes.u, planes.v)]
    alpha = None if planes.a is None else cv2.rotate(src=planes.a, rotateCode=code)
    return Planes(turned[0], turned[1], turned[2], alpha)
