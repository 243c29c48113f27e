"""Renders a short video of a person from one photograph, so that a demo needs no camera.

    python tools/make_demo_clip.py demo_input.mp4 [--seconds 8] [--size 1280x720] [--fps 30]

The photograph (tools/demo/README.md) is filmed as if by hand: the frame drifts, zooms, trembles
and tilts over it, a cloud passes, the white balance follows, and the sensor is noisy. A soft
chord over room noise makes audible whether audio is copied. The same arguments give the same
bytes with the same versions of OpenCV and FFmpeg.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.ops.planes import from_bgr, pack_i420
from edgeseg.spec import parse_size
from edgeseg.types import U8, Planes, Size

PHOTO = Path(__file__).resolve().parent / "demo" / "astronaut.jpg"

_ENLARGED = 2  # the photograph is enlarged once, well, and then sampled quickly
_FACE = (228.0, 118.0)  # px of the photograph
_NOISE = 2.2  # grey levels, standard deviation
_NOISE_MARGIN = 64
_AUDIO_RATE = 48_000
_AUDIO_FRAME = 1024
_TAGS = {"color_range": 1, "colorspace": 6, "color_primaries": 6, "color_trc": 6}  # BT.601 limited


class Shot(NamedTuple):
    """Where the camera looks at one moment: centre and width in pixels of the photograph."""

    x: float
    y: float
    width: float
    degrees: float


def aim(t: float, shape: tuple[int, ...], size: Size) -> Shot:
    """Returns the camera's aim at t seconds; the frame never leaves the photograph."""
    zoom = 0.5 - 0.5 * math.cos(2 * math.pi * t / 8)
    degrees = 0.9 * math.sin(1.1 * t) + 0.25 * math.sin(4.1 * t + 1)
    tilt, aspect = math.radians(abs(degrees)), size.height / size.width
    # Half the upright box around the tilted frame, as a share of the frame's width.
    across = 0.5 * (math.cos(tilt) + aspect * math.sin(tilt))
    down = 0.5 * (aspect * math.cos(tilt) + math.sin(tilt))
    height, width = shape[:2]
    widest = min((width - 2) / (2 * across), (height - 2) / (2 * down))
    shown = widest * (0.98 - 0.16 * zoom)
    x = _FACE[0] + 24 * math.sin(0.8 * t) + 1.6 * math.sin(5.3 * t) + 0.8 * math.sin(8.9 * t + 2)
    y = _FACE[1] + 24 - 18 * zoom + 1.4 * math.sin(4.7 * t + 1) + 0.7 * math.sin(9.7 * t)
    x = min(max(x, 1 + across * shown), width - 1 - across * shown)
    y = min(max(y, 1 + down * shown), height - 1 - down * shown)
    return Shot(x, y, shown, degrees)


def film(photo: U8, shot: Shot, size: Size) -> U8:
    """Returns uint8 [H, W, 3], what the camera sees of the enlarged photograph."""
    scale = _ENLARGED * shot.width / size.width  # photograph pixels a frame pixel
    c = scale * math.cos(math.radians(shot.degrees))
    s = scale * math.sin(math.radians(shot.degrees))
    x, y = _ENLARGED * shot.x, _ENLARGED * shot.y
    half_w, half_h = size.width / 2, size.height / 2
    matrix = np.array([[c, -s, x - c * half_w + s * half_h], [s, c, y - s * half_w - c * half_h]])
    seen: U8 = cv2.warpAffine(
        src=photo, M=matrix, dsize=tuple(size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return seen


def expose(planes: Planes, t: float) -> Planes:
    """Returns the picture under the light of the moment: a passing cloud, a drifting balance."""
    cloud = math.exp(-(((t % 8 - 5.2) / 0.9) ** 2))
    gain = 1 + 0.05 * math.sin(1.3 * t) - 0.16 * cloud
    warmth = 2.5 * math.sin(0.7 * t) - 3.0 * cloud
    y = cv2.convertScaleAbs(src=planes.y, alpha=gain, beta=16 * (1 - gain))
    u = cv2.convertScaleAbs(src=planes.u, alpha=gain, beta=128 * (1 - gain) - warmth)
    v = cv2.convertScaleAbs(src=planes.v, alpha=gain, beta=128 * (1 - gain) + warmth)
    return Planes(y, u, v)


def frames(photo: U8, size: Size, fps: Fraction, count: int) -> Iterator[U8]:
    """Yields packed I420 pictures, uint8 [H*3/2, W]."""
    big = cv2.resize(
        src=photo, dsize=None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_LANCZOS4
    )
    rng = np.random.default_rng(1)
    shape = size.height + _NOISE_MARGIN, size.width + _NOISE_MARGIN
    grain = np.rint(rng.standard_normal(shape, np.float32) * _NOISE)
    brighter, darker = (np.clip(g, 0, 255).astype(np.uint8) for g in (grain, -grain))
    for k in range(count):
        t = float(k / fps)
        planes = expose(from_bgr(film(big, aim(t, photo.shape, size), size)), t)
        left, top = rng.integers(_NOISE_MARGIN, size=2)
        window = slice(top, top + size.height), slice(left, left + size.width)
        cv2.add(src1=planes.y, src2=brighter[window], dst=planes.y)
        cv2.subtract(src1=planes.y, src2=darker[window], dst=planes.y)
        yield pack_i420(planes)


def sound(seconds: float) -> NDArray[np.float32]:
    """Returns float32 [samples], a soft swelling chord over room noise, mono at 48 kHz."""
    t = np.arange(round(seconds * _AUDIO_RATE)) / _AUDIO_RATE
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * t / 4)
    chord = sum(np.sin(2 * np.pi * f * t) for f in (196.0, 246.94, 293.66))
    hiss = np.random.default_rng(2).standard_normal(len(t))
    room = np.convolve(hiss, np.ones(24) / 24, mode="same")
    fade = np.minimum(1, np.minimum(t, seconds - t) / 0.2)
    mixed: NDArray[np.float32] = (fade * (0.04 * swell * chord + 0.02 * room)).astype(np.float32)
    return mixed


def write_clip(path: Path, *, size: Size, fps: Fraction, seconds: float) -> int:
    """Renders the clip to a file and returns its number of frames."""
    photo = cv2.imread(filename=str(PHOTO), flags=cv2.IMREAD_COLOR)
    if photo is None:
        raise SystemExit(f"{PHOTO}: cannot be read; restore it with git checkout")
    count = max(1, round(seconds * fps))
    samples, sent = sound(count / float(fps)), 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as output:
        video = output.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = size.width, size.height, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20"}
        for name, value in _TAGS.items():
            setattr(video.codec_context, name, value)
        audio = output.add_stream("aac", rate=_AUDIO_RATE, layout="mono")
        for k, packed in enumerate(frames(photo, size, fps, count)):
            frame = av.VideoFrame.from_ndarray(packed, format="yuv420p")
            frame.pts, frame.time_base = k, 1 / fps
            output.mux(video.encode(frame))
            while sent < min(len(samples), (k + 1) / float(fps) * _AUDIO_RATE):
                output.mux(audio.encode(_audio_frame(samples, sent)))
                sent += _AUDIO_FRAME
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return count


def _audio_frame(samples: NDArray[np.float32], start: int) -> av.AudioFrame:
    chunk = samples[None, start : start + _AUDIO_FRAME]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = _AUDIO_RATE, start, Fraction(1, _AUDIO_RATE)
    return frame


def _even_size(text: str) -> Size:
    size = Size(*parse_size(text))
    if size.width % 2 or size.height % 2:
        raise ValueError(text)
    return size


def _positive(text: str) -> Fraction:
    value = Fraction(text)
    if not 0 < value <= 1000:
        raise ValueError(text)
    return value


def main(arguments: list[str]) -> None:
    """Reads the command line and writes the clip."""
    parser = argparse.ArgumentParser(description="Render the demo clip from the photograph.")
    parser.add_argument("output", type=Path, help="the .mp4 to write")
    parser.add_argument("--seconds", type=_positive, default=Fraction(8))
    parser.add_argument("--size", type=_even_size, default=Size(1280, 720), help="even WxH")
    parser.add_argument("--fps", type=_positive, default=Fraction(30), help="30 or 30000/1001")
    chosen = parser.parse_args(arguments)
    count = write_clip(
        chosen.output, size=chosen.size, fps=chosen.fps, seconds=float(chosen.seconds)
    )
    print(f"{chosen.output}: {count} frames of {chosen.size}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
