"""The worst pictures on one sheet: what was missed and what was invented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import SinkError
from edgeseg.evaluate.labelled_folder import PERSON, LabelledFolder, Sample
from edgeseg.evaluate.run import decide
from edgeseg.meter import NoTimer
from edgeseg.ops.metrics import IGNORE
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.types import U8, Frame

TILE, COLUMNS, CAPTION = 240, 6, 22
HIT, MISSED, INVENTED, UNSCORED = (90, 180, 60), (60, 60, 230), (230, 140, 30), (128, 128, 128)
"""BGR: found person green, missed person red, invented person blue, not scored grey."""


def write_contact_sheet(
    path: Path,
    worst: Sequence[tuple[float, Sample]],
    *,
    folder: LabelledFolder,
    segmenter: Segmenter,
) -> None:
    """Writes the pictures as a PNG sheet, worst first, errors coloured. Raises SinkError."""
    tiles = []
    for iou, sample in worst:
        image, truth = folder.read(sample)
        predicted = decide(segmenter.segment(Frame(from_bgr(image), 0, 0.0), NoTimer()))
        tiles.append(
            _tile(colour_errors(image, predicted, truth), f"{iou:.2f} {sample.image.stem}")
        )
    sheet = _arrange(tiles)
    ok, png = cv2.imencode(".png", sheet)
    try:
        if not ok:
            raise SinkError(f"{path}: cannot encode the contact sheet")
        path.write_bytes(png.tobytes())
    except OSError as error:
        raise SinkError(f"{path}: cannot write the contact sheet: {error.strerror}") from error


def colour_errors(image: U8, predicted: U8, truth: U8) -> U8:
    """Returns the picture [H, W, 3] dimmed, with hits, misses and inventions tinted."""
    person, ours = truth == PERSON, predicted == PERSON
    unscored = truth == IGNORE
    tint = np.zeros_like(image)
    strength = np.full(truth.shape, 0.35, np.float32)
    for where, colour, amount in (
        (person & ours, HIT, 0.3),
        (person & ~ours, MISSED, 0.7),
        (~person & ours & ~unscored, INVENTED, 0.7),
        (unscored, UNSCORED, 0.6),
    ):
        tint[where] = colour
        strength[where] = amount
    mixed = image * (1 - strength[..., None]) + tint * strength[..., None]
    out: U8 = mixed.astype(np.uint8)
    return out


def _tile(picture: U8, caption: str) -> U8:
    """Returns [TILE + CAPTION, TILE, 3]: the picture fitted, its caption below."""
    tile: U8 = np.full((TILE + CAPTION, TILE, 3), 24, np.uint8)
    scale = TILE / max(picture.shape[:2])
    width, height = (max(1, round(side * scale)) for side in picture.shape[1::-1])
    small = cv2.resize(src=picture, dsize=(width, height), interpolation=cv2.INTER_AREA)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    tile[top : top + height, left : left + width] = small
    cv2.putText(
        img=tile,
        text=caption[:30],
        org=(5, TILE + 15),
        fontFace=cv2.FONT_HERSHEY_SIMPLEX,
        fontScale=0.4,
        color=(235, 235, 235),
        thickness=1,
        lineType=cv2.LINE_AA,
    )
    return tile


def _arrange(tiles: Sequence[U8]) -> U8:
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    blank = np.full_like(tiles[0], 24)
    padded = [*tiles, *[blank] * (rows * columns - len(tiles))]
    return np.vstack([np.hstack(padded[r * columns : (r + 1) * columns]) for r in range(rows)])
