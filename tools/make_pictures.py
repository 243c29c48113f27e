"""Renders README's pictures: real output of ``edgeseg run`` on the demo clip.

    python tools/make_pictures.py [--folder tools/demo]

Each panel is the same frame of the same clip through one effect, with the shipped default model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import edgeseg

TOOLS = Path(__file__).resolve().parent
FRAME = 61
PANEL = (800, 450)


def frame_of(uri: str, effect: str, folder: Path, *, live: bool = False) -> np.ndarray:
    """Returns the last of ``FRAME`` frames of a run, uint8 [H, W, 3] BGR.

    live: played at its own speed with the figures on the picture.
    """
    target = Path(tempfile.mkdtemp(dir=folder))
    edgeseg.run(
        {
            "source": {"uri": uri, "max_frames": FRAME, "paced": live},
            "effect": {"name": effect},
            "output": {"sinks": [f"{target}/f_%06d.{'jpg' if live else 'png'}"]},
            "hud": {"show": "on" if live else "off"},
        }
    )
    picture = cv2.imread(str(max(target.iterdir())))
    assert picture is not None
    return picture


def panel(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(src=picture, dsize=PANEL, interpolation=cv2.INTER_AREA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=TOOLS / "demo")
    target = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        make = [sys.executable, str(TOOLS / "make_demo_clip.py"), str(clip), "--seconds", "3"]
        subprocess.run(make, check=True, capture_output=True)
        street = folder / "street.png"
        road = frame_of("synthetic://road?size=1280x720&seed=4", "none", folder)
        cv2.imwrite(str(street), road)
        effects = ["blur", f"replace={street}", "color=#1f6f54"]
        shown = [frame_of(str(clip), effect, folder) for effect in effects]
        live = frame_of(str(clip), "overlay", folder, live=True)
    rows = [
        np.hstack([panel(p) for p in pair]) for pair in ((shown[0], shown[1]), (shown[2], live))
    ]
    path = target / "readme_demo.jpg"
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
