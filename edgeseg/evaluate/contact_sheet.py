"""The worst pictures on one sheet: what was missed and what was invented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgeseg.evaluate.drawing import INK, PAPER, draw_legend, put_text, write_png
from edgeseg.evaluate.picture_folder import read_picture
from edgeseg.evaluate.scoring import Scoring
from edgeseg.meter import NoTimer
from edgeseg.ops.planes import from_bgr
from edgeseg.protocols import Segmenter
from edgeseg.types import U8, Frame

TILE, CAPTION = 240, 22
COLUMNS = {1: 6, 2: 3}
"""Tiles in a row, by how many panels wide a drawing is."""


def write_contact_sheet(
    path: Path, worst: Sequence[tuple[float, int]], *, scoring: Scoring, segmenter: Segmenter
) -> None:
    """Writes the pictures as a PNG sheet, worst first, with what is wrong. Raises SinkError.

    worst: (score, number of the picture).
    """
    drawings, captions = [], []
    panels = 1
    for score, index in worst:
        file = scoring.pictures[index]
        image = read_picture(file)
        result = segmenter.segment(Frame(from_bgr(image), 0, 0.0), NoTimer())
        drawing = scoring.drawing(index, image, result)
        panels = drawing.shape[1] // image.shape[1]
        drawings.append(drawing)
        captions.append(f"{score:.2f} {file.stem}")
    width = TILE if panels == 1 else 2 * TILE
    tiles = [_tile(d, c, width) for d, c in zip(drawings, captions, strict=True)]
    sheet = _arrange(tiles, COLUMNS[panels])
    legend = draw_legend(scoring.legend(), sheet.shape[1])
    write_png(path, np.vstack([sheet, legend]), "contact sheet")


def _tile(picture: U8, caption: str, width: int) -> U8:
    """Returns a picture fitted to a width, at most as high, on a tile with its caption below."""
    scale = min(width / picture.shape[1], width / picture.shape[0])
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    height = TILE if width == TILE else size[1]
    tile: U8 = np.full((height + CAPTION, width, 3), PAPER, np.uint8)
    small = cv2.resize(src=picture, dsize=size, interpolation=cv2.INTER_AREA)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    room = 30 * width // TILE
    put_text(tile, caption[:room], at=(5, height + 15), scale=0.4, color=INK)
    return tile


def _arrange(tiles: Sequence[U8], columns: int) -> U8:
    """Returns the tiles in rows; a row is as high as its highest tile."""
    columns = min(columns, len(tiles))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    return np.vstack([_row(row, columns) for row in rows])


def _row(tiles: Sequence[U8], columns: int) -> U8:
    height, width = max(tile.shape[0] for tile in tiles), tiles[0].shape[1]
    row: U8 = np.full((height, columns * width, 3), PAPER, np.uint8)
    for column, tile in enumerate(tiles):
        row[: tile.shape[0], column * width : (column + 1) * width] = tile
    return row
