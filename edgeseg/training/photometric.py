"""Changes of light, colour and camera quality; images are RGB uint8 [H, W, 3], masks untouched."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.training.config import PhotoConfig, PortraitAugment

Image = NDArray[np.uint8]


def change_tone(image: Image, rng: np.random.Generator, *, low_light: bool) -> Image:
    """Random gamma, contrast, brightness and white balance, as one table per channel."""
    x = np.linspace(0.0, 1.0, 256, dtype=np.float32)
    gamma = np.exp(rng.normal(0.0, 0.25))
    gain = rng.uniform(0.3, 0.6) if low_light else np.exp(rng.normal(0.0, 0.18))
    shift = rng.normal(0.0, 0.04)
    tables = []
    for _ in range(3):
        curve = gain * np.exp(rng.normal(0.0, 0.07)) * x ** np.float32(gamma) + shift
        tables.append(np.clip(curve * 255.0, 0, 255).astype(np.uint8))
    table = np.stack(tables, axis=-1)[None]
    return np.asarray(cv2.LUT(src=image, lut=table), np.uint8)


def change_saturation(image: Image, rng: np.random.Generator) -> Image:
    """Colours stronger, weaker, or gone."""
    amount = 0.0 if rng.random() < 0.05 else float(np.exp(rng.normal(0.0, 0.3)))
    grey = cv2.cvtColor(
        src=cv2.cvtColor(src=image, code=cv2.COLOR_RGB2GRAY), code=cv2.COLOR_GRAY2RGB
    )
    return np.asarray(
        cv2.addWeighted(src1=image, alpha=amount, src2=grey, beta=1.0 - amount, gamma=0), np.uint8
    )


def side_light(image: Image, rng: np.random.Generator) -> Image:
    """A brightness ramp across the picture, as from a window or a lamp."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    ramp = (xs / width - 0.5) * np.cos(angle) + (ys / height - 0.5) * np.sin(angle)
    factor = (1.0 + rng.uniform(0.2, 1.0) * ramp).astype(np.float32)
    return np.asarray(np.clip(image * factor[..., None], 0, 255), np.uint8)


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, in motion, or enlarged from fewer pixels."""
    kind = rng.integers(3)
    height, width = image.shape[:2]
    if kind == 0:
        sigma = float(rng.uniform(0.4, 1.6))
        return np.asarray(cv2.GaussianBlur(src=image, ksize=(0, 0), sigmaX=sigma), np.uint8)
    if kind == 1:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        if rng.random() < 0.5:
            kernel[length // 2] = 1.0 / length
        else:
            np.fill_diagonal(kernel, 1.0 / length)
        return np.asarray(cv2.filter2D(src=image, ddepth=-1, kernel=kernel), np.uint8)
    share = rng.uniform(0.35, 0.8)
    small = cv2.resize(
        src=image,
        dsize=(max(1, int(width * share)), max(1, int(height * share))),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(
        cv2.resize(src=small, dsize=(width, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )


def add_noise(image: Image, rng: np.random.Generator) -> Image:
    """Sensor noise, grey or coloured."""
    channels = 3 if rng.random() < 0.5 else 1
    noise = rng.standard_normal((*image.shape[:2], channels), np.float32)
    return np.asarray(np.clip(image + noise * np.float32(rng.uniform(2, 11)), 0, 255), np.uint8)


def recompress(image: Image, rng: np.random.Generator) -> Image:
    """JPEG at a low quality and back."""
    quality = int(rng.integers(20, 85))
    _, coded = cv2.imencode(ext=".jpg", img=image, params=[cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(buf=coded, flags=cv2.IMREAD_COLOR), np.uint8)


def change_photo(
    image: Image, rng: np.random.Generator, config: PortraitAugment | PhotoConfig
) -> Image:
    """All of the above, each as often as `config` says."""
    low_light = bool(rng.random() < config.low_light)
    image = change_tone(image, rng, low_light=low_light)
    image = change_saturation(image, rng)
    if rng.random() < 0.15:
        image = side_light(image, rng)
    if rng.random() < config.blur:
        image = blur(image, rng)
    if low_light or rng.random() < config.noise:
        image = add_noise(image, rng)
    if rng.random() < config.jpeg:
        image = recompress(image, rng)
    return image
