"""Renders README's pictures: real output of ``edgeseg run`` with the shipped models.

    python tools/make_pictures.py [--folder tools/demo]

``readme_demo.jpg`` shows one frame of the demo clip through four effects of ``portrait``;
``readme_scenes.jpg`` the drawn street and the demo clip through ``driving`` and ``instances``.
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
STREET = "synthetic://road?size=1280x720&seed=5"


def frame_of(
    uri: str, effect: str, folder: Path, *, model: str = "portrait", live: bool = False
) -> np.ndarray:
    """Returns the last of ``FRAME`` frames of a run, uint8 [H, W, 3] BGR.

    live: played at its own speed with the figures on the picture.
    """
    target = Path(tempfile.mkdtemp(dir=folder))
    edgeseg.run(
        {
            "source": {"uri": uri, "max_frames": FRAME, "paced": live},
            "model": {"name": model},
            "effect": {"name": effect},
            "output": {"sinks": [f"{target}/f_%06d.{'jpg' if live else 'png'}"]},
            "hud": {"show": "on" if live else "off"},
        }
    )
    picture = cv2.imread(str(max(target.iterdir())))
    assert picture is not None
    return picture


def demo_panels(clip: str, folder: Path) -> list[np.ndarray]:
    """Returns blur, replace, color, and the live overlay with its figures."""
    street = folder / "street.png"
    cv2.imwrite(str(street), frame_of("synthetic://road?size=1280x720&seed=4", "none", folder))
    effects = ["blur", f"replace={street}", "color=#1f6f54"]
    shown = [frame_of(clip, effect, folder) for effect in effects]
    return [*shown, frame_of(clip, "overlay", folder, live=True)]


def scene_panels(clip: str, folder: Path) -> list[np.ndarray]:
    """Returns classes and objects of the street, objects and hidden people of the demo clip."""
    return [
        frame_of(STREET, "overlay", folder, model="driving"),
        frame_of(STREET, "overlay", folder, model="instances"),
        frame_of(clip, "overlay", folder, model="instances"),
        frame_of(clip, "anonymize", folder, model="instances"),
    ]


def write_grid(path: Path, panels: list[np.ndarray]) -> None:
    """Writes four panels, two by two."""
    small = [cv2.resize(src=p, dsize=PANEL, interpolation=cv2.INTER_AREA) for p in panels]
    grid = np.vstack([np.hstack(small[:2]), np.hstack(small[2:])])
    cv2.imwrite(str(path), grid, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=TOOLS / "demo")
    target = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        make = [sys.executable, str(TOOLS / "make_demo_clip.py"), str(clip), "--seconds", "3"]
        subprocess.run(make, check=True, capture_output=True)
        write_grid(target / "readme_demo.jpg", demo_panels(str(clip), folder))
        write_grid(target / "readme_scenes.jpg", scene_panels(str(clip), folder))


if __name__ == "__main__":
    main()
