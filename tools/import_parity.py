"""Compare an imported model with the official public code on the same weights and pictures.

    python tools/import_parity.py yolact-resnet50 --official yolact/
    python tools/import_parity.py sinet --official ext_portrait_segmentation/ --checkpoint SINet.pth

--official is a checkout of the repository that README names for the architecture. Without a
checkpoint every weight and batch norm statistic is made up from its name, so that any two people
get the same numbers. The official network gets each picture through its own preprocessing; ours is
the imported ONNX file in ONNX Runtime, fed with the same uint8 pixels. Prints one JSON object with
the largest absolute difference and the largest value of each output.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from made_up import made_up_picture, made_up_state
from numpy.typing import NDArray
from official_networks import OFFICIAL, Form, Official, Pixels

from edgeseg.models.export import INPUT, open_session
from edgeseg.models.importing import ARCHITECTURES, Architecture, Wishes, import_checkpoint
from edgeseg.spec import parse_size
from edgeseg.types import Size

SAMPLES = 300
CLASSES = {"portrait": 2, "semantic": 19, "instance": 80}


def differences(
    official: Official, known: Architecture, model: Path, pictures: list[Pixels]
) -> dict[str, dict[str, float]]:
    """Largest absolute difference and value of each output, and of the softmax of scores."""
    session = open_session(str(model))
    names = [output.name for output in session.get_outputs()]
    worst: dict[str, list[float]] = {}
    for picture in pictures:
        with torch.inference_mode():
            expected = official.outputs(official.network, official.prepare(picture))
        given = dict(zip(names, session.run(names, {INPUT: picture[None]}), strict=True))
        pairs = {name: (expected[name], torch.from_numpy(given[name])) for name in names}
        if known.head == "semantic":
            one, other = pairs["scores"]
            pairs["softmax(scores)"] = one.softmax(1), other.softmax(1)
        for name, (one, other) in pairs.items():
            if one.shape != other.shape:
                raise SystemExit(f"{name}: official {one.shape}, imported {other.shape}")
            found = worst.setdefault(name, [0.0, 0.0])
            found[0] = max(found[0], float((one - other).abs().max()))
            found[1] = max(found[1], float(one.abs().max()))
    return {name: {"difference": d, "largest": v} for name, (d, v) in worst.items()}


def load_official(args: argparse.Namespace, size: Size) -> Official:
    """The official network in evaluation mode, with the checkpoint's or made-up weights."""
    sys.path.insert(0, str(args.official))
    known = ARCHITECTURES[args.arch]
    state = None
    if args.checkpoint:
        state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
        state = state.get("model_state", state)
    classes = args.classes or (known.classes(state) if state else None) or CLASSES[known.task]
    form = Form(classes, size.width, args.output_stride, separable=args.separable)
    official = OFFICIAL[args.arch](form)
    if state is None:
        shapes = {k: tuple(v.shape) for k, v in official.network.state_dict().items()}
        state = made_up_state(shapes)
    official.network.load_state_dict(state)
    official.network.eval()
    return official


def record(official: Official, size: Size, path: Path) -> None:
    """Store the state's names and shapes and samples of the outputs, for tests without the code."""
    state = official.network.state_dict()
    with torch.inference_mode():
        x = official.prepare(made_up_picture(size.height, size.width))
        outputs = official.outputs(official.network, x)
    stored: dict[str, NDArray[Any]] = {
        "size": np.array(size),
        "state": np.frombuffer(
            json.dumps({key: list(value.shape) for key, value in state.items()}).encode(), np.uint8
        ),
    }
    for name, value in outputs.items():
        flat = value.flatten().numpy()
        stored[f"shape_{name}"] = np.array(value.shape)
        stored[f"sample_{name}"] = flat[:: max(1, flat.size // SAMPLES)]
        stored[f"step_{name}"] = np.array(max(1, flat.size // SAMPLES))
    np.savez_compressed(path, allow_pickle=False, **stored)


def _pictures(folder: Path | None, size: Size) -> list[Pixels]:
    if folder is None:
        return [made_up_picture(size.height, size.width, seed) for seed in range(3)]
    loaded = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    sized = [cv2.resize(p, dsize=tuple(size)) for p in loaded if p is not None]
    return [np.ascontiguousarray(picture[..., ::-1]) for picture in sized]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("arch", choices=sorted(OFFICIAL))
    parser.add_argument("--official", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--checkpoint", type=Path, help="default: made-up weights")
    parser.add_argument("--size", help="WIDTHxHEIGHT, default: the architecture's own")
    parser.add_argument("--classes", type=int, help="of made-up weights")
    parser.add_argument("--output-stride", type=int, default=16, choices=(8, 16))
    parser.add_argument("--separable", action="store_true", help="DeepLabv3+'s --separable_conv")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="default: three made up")
    parser.add_argument("--record", type=Path, metavar="FILE.npz", help="write a golden file only")
    return parser.parse_args()


def main() -> None:
    args = parse()
    known = ARCHITECTURES[args.arch]
    classes = args.classes or CLASSES[known.task]
    size = parse_size(args.size) if args.size else known.default_size(classes)
    torch.manual_seed(0)
    official = load_official(args, size)
    if args.record:
        record(official, size, args.record)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = folder / "official.pth"
        torch.save(official.network.state_dict(), checkpoint)
        wishes = Wishes(size=size, output_stride=args.output_stride)
        model, _ = import_checkpoint(checkpoint, args.arch, folder, wishes)
        found = differences(official, known, model, _pictures(args.pictures, size))
    report = {
        "arch": args.arch,
        "repository": known.repository,
        "weights": args.checkpoint.name if args.checkpoint else "made up",
        "size": str(size),
        "outputs": found,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
