"""From a network's low-resolution matte to alpha planes that follow the picture's own edges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.ops.image import shrink
from edgeseg.ops.scratch import Scratch
from edgeseg.types import F32, U8, Matte, Planes, Size

_GRID = 120  # longest side, in pixels, of the grid on which the guided filter is fitted
_COLORS = 480  # longest side of the grid on which what U and V say is added up
_WINDOW = np.full(3, 1 / 3, np.float32)  # of its windows, in pixels of that grid, along each axis
_EPSILON = np.float32(1e-4)  # of guides in 0..1: contrast below 3 grey levels counts as noise
_CERTAIN = 0.03  # scores this close to 0 and 1 are never soft, whatever the threshold


@dataclass(frozen=True, slots=True)
class Alpha:
    """How much of each pixel is person, 0..255, for the Y plane and for the U and V planes.

    luma: uint8 [H, W]. chroma: uint8 [(H+1)//2, (W+1)//2]. Exactly 0 and 255 away from edges.
    """

    luma: U8
    chroma: U8


def cut_out(
    planes: Planes, matte: Matte, *, scratch: Scratch, feather: float = 1.0, refine: bool = True
) -> Alpha:
    """Returns the alpha of a picture and its matte, the edge at ``matte.threshold``.

    feather: width of the soft edge; 0 cuts hard, 1 keeps what the matte and the picture give,
    more widens it on both sides. refine: move the edge to where the picture's colours change.
    The result lies in ``scratch`` and is valid until the thread's next call with it.
    """
    chroma = _cut(planes, matte, planes.size.chroma, scratch, feather, refine)
    return Alpha(enlarge_chroma(chroma, planes.size, scratch, "alpha.luma"), chroma)


def cut_out_roughly(
    planes: Planes, matte: Matte, *, scratch: Scratch, feather: float, refine: bool
) -> U8:
    """Returns the alpha of the U and V planes, uint8 [(H+1)//2, (W+1)//2], edges worked out at half
    that size or less: 0.55 ms instead of 0.7 ms at 720p, 1.1 ms instead of 1.5 ms at 1080p.
    """
    size = planes.size.chroma
    rough = _cut(planes, matte, _halved(size, _COLORS), scratch, feather, refine)
    if rough.shape == (size.height, size.width):
        return rough
    chroma = scratch.u8("alpha.enlarged", size)
    cv2.resize(src=rough, dsize=tuple(size), dst=chroma, interpolation=cv2.INTER_LINEAR)
    return chroma


def _cut(
    planes: Planes, matte: Matte, size: Size, scratch: Scratch, feather: float, refine: bool
) -> U8:
    if refine:
        scores = guided(planes, matte.person, size, scratch)
    else:
        scores = _resize(matte.person, scratch.f32("scores", size))
    alpha = scratch.u8("alpha.chroma", size)
    _with_edge(scores, threshold=matte.threshold, feather=feather, out=alpha)
    return _widen(alpha, feather) if feather > 1 else alpha


def empty_alpha(size: Size) -> Alpha:
    """Returns the alpha of a picture without a person."""
    chroma = size.chroma
    return Alpha(
        np.zeros((size.height, size.width), np.uint8),
        np.zeros((chroma.height, chroma.width), np.uint8),
    )


def guided(planes: Planes, person: F32, size: Size, scratch: Scratch) -> F32:
    """Returns scores as float32 of a size, their edges fitted to the picture's Y, U and V.

    The fast guided filter (He, Sun, Ren 2013 and He, Sun 2015) with a colour guide: within each
    small window the score is modelled as ``a . (Y, U, V) + b``. Coefficients are found on a grid
    a sixteenth of a 720p picture and applied at ``size``, those of U and V at half chroma size:
    0.7 ms at 720p. Measured on 50 frames of a moving head with exact masks, our portrait network
    at 112x112, against bilinear enlargement: mean error 1.13 % for 1.38 %, IoU .982 for .974,
    change of alpha where the mask stands still .103 % for .109 %. A grid twice as fine, windows of
    5 pixels and all three guides at chroma size: 1.15 %, .982, .099 %, and 1.1 ms.
    On third-party mattes a guide of Y alone was worse than bilinear, YUV was not.
    Values far from every edge stay what they are; the result may leave 0..1 slightly.
    """
    grid, coarse = _halved(size, _GRID), _halved(size, _COLORS)
    y, u, v = shrink(planes.y, size), shrink(planes.u, coarse), shrink(planes.v, coarse)
    slopes, offset = _coefficients([shrink(p, grid) for p in (y, u, v)], _to_grid(person, grid))
    scores = _resize(offset, scratch.f32("colors", coarse))
    for slope, plane in zip(slopes[1:], (u, v), strict=True):
        _add_product(slope, plane, scores, scratch)
    if size != coarse:
        scores = _resize(scores, scratch.f32("scores", size))
    _add_product(slopes[0], y, scores, scratch)
    return scores


def _add_product(slope: F32, guide: U8, scores: F32, scratch: Scratch) -> None:
    size = Size(guide.shape[1], guide.shape[0])
    exact, enlarged = scratch.f32("guide", size), scratch.f32("slope", size)
    np.copyto(exact, guide)
    cv2.accumulateProduct(src1=exact, src2=_resize(slope, enlarged), dst=scores)


def _resize(scores: F32, out: F32) -> F32:
    cv2.resize(src=scores, dsize=out.shape[::-1], dst=out, interpolation=cv2.INTER_LINEAR)
    return out


def enlarge_chroma(chroma: U8, size: Size, scratch: Scratch, name: str) -> U8:
    """Resizes a plane of chroma size to luma size; odd sizes are cut from the next even one."""
    double = Size(chroma.shape[1] * 2, chroma.shape[0] * 2)
    big = scratch.u8(name, double)
    cv2.resize(src=chroma, dsize=tuple(double), dst=big, interpolation=cv2.INTER_LINEAR)
    return big[: size.height, : size.width]


def _halved(chroma: Size, longest: int) -> Size:
    width, height = chroma
    while max(width, height) > longest:
        width, height = (width + 1) // 2, (height + 1) // 2
    return Size(width, height)


def _to_grid(person: F32, grid: Size) -> F32:
    smaller = grid.width < person.shape[1] and grid.height < person.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    out: F32 = cv2.resize(src=person, dsize=tuple(grid), interpolation=how)
    return out


def _coefficients(guides: list[U8], p: F32) -> tuple[F32, F32]:
    """Returns slopes per guide level (0..255), float32 [3, h, w] on the grid, and the offset."""
    height, width = p.shape
    values = np.empty((4, height, width), np.float32)  # Y, U, V and the score
    for value, guide in zip(values, guides, strict=False):
        np.multiply(guide, np.float32(1 / 255), out=value)
    values[:3] -= np.float32(0.5)
    values[3] = p
    means = _means(np.concatenate([values, values[_FIRST] * values[_SECOND]]))
    covariances = means[4:] - means[_FIRST] * means[_SECOND]
    slopes = _solve(covariances)
    offset = means[3] - (slopes * means[:3]).sum(axis=0)
    smooth = _means(np.concatenate([slopes, offset[None]]))
    offset = smooth[3] - np.float32(0.5) * smooth[:3].sum(axis=0)
    return smooth[:3] * np.float32(1 / 255), offset


_FIRST = np.array([0, 0, 0, 1, 1, 2, 0, 1, 2])  # yy yu yv uu uv vv yp up vp
_SECOND = np.array([0, 1, 2, 1, 2, 2, 3, 3, 3])


def _solve(covariances: F32) -> F32:
    """Returns slopes [3, h, w] by elimination (LDL) in every pixel, stable in float32."""
    yy, yu, yv, uu, uv, vv, yp, up, vp = covariances
    yy = yy + _EPSILON
    u_y, v_y = yu / yy, yv / yy
    floor = np.float32(_EPSILON / 2)  # rounding must not make a pivot vanish
    duu = np.maximum(uu + _EPSILON - u_y * yu, floor)
    duv = uv - u_y * yv
    v_u = duv / duu
    dvv = np.maximum(vv + _EPSILON - v_y * yv - v_u * duv, floor)
    ru = up - u_y * yp
    slopes = np.empty((3, *yy.shape), np.float32)
    slopes[2] = (vp - v_y * yp - v_u * ru) / dvv
    slopes[1] = (ru - duv * slopes[2]) / duu
    slopes[0] = (yp - yu * slopes[1] - yv * slopes[2]) / yy
    return slopes


def _means(stack: F32) -> F32:
    """Returns window means of each picture of a stack [n, h, w], all in one call of OpenCV."""
    count, height, width = stack.shape
    tall = np.concatenate([stack[:, :1], stack, stack[:, -1:]], axis=1).reshape(-1, width)
    # 0.8 of the time of cv2.blur, which adds in double precision
    out: F32 = cv2.sepFilter2D(
        src=tall, ddepth=-1, kernelX=_WINDOW, kernelY=_WINDOW, borderType=cv2.BORDER_REPLICATE
    )
    return out.reshape(count, height + 2, width)[:, 1:-1]


def _with_edge(scores: F32, *, threshold: float, feather: float, out: U8) -> None:
    """Writes alpha: half at the threshold, with a slope that ends well inside 0..1."""
    steepest = 1000.0
    reach = max(min(threshold, 1 - threshold) - _CERTAIN, 0.01)
    gain = steepest if feather <= 0 else min(max(2 / feather, 0.5 / reach), steepest)
    # addWeighted scales, shifts, rounds and saturates to uint8 in one pass.
    cv2.addWeighted(
        src1=scores,
        alpha=255 * gain,
        src2=scores,
        beta=0,
        gamma=255 * (0.5 - gain * threshold),
        dst=out,
        dtype=cv2.CV_8U,
    )


def _widen(alpha: U8, feather: float) -> U8:
    """Softens the edge by a share of the picture's shorter side, 1 % per unit of feather."""
    radius = round((feather - 1) * 0.005 * min(alpha.shape))
    side = 2 * radius + 1
    out: U8 = cv2.blur(src=alpha, ksize=(side, side), borderType=cv2.BORDER_REPLICATE)
    return out
