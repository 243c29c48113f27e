"""Run networks of public packages through edgeseg and compare with the packages' own results.

    pip install ultralytics torchvision onnx     # in an environment of their own
    python tools/prove_foreign_models.py --out proof/ [FAMILY ...]

Weights are random (seeded): what is proven is that an export with a card is understood, not that it
segments. Each family is built, exported to ONNX, gets the card that `edgeseg models check` prints
with its classes filled in, runs on drawn pictures, and is compared with the package's own
post-processing of the same network. The table goes to stdout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import yaml
from torch import nn

from edgeseg import frame_from_bgr
from edgeseg.backends import open_backend
from edgeseg.meter import NoTimer
from edgeseg.model_check import drawn_frames
from edgeseg.model_file import ModelFile, load_model, read_onnx, suggest_card
from edgeseg.ops.image import network_input
from edgeseg.ops.labels import label_map
from edgeseg.ops.planes import to_bgr
from edgeseg.protocols import Tensor
from edgeseg.segment import NetworkSegmenter
from edgeseg.segment.instance import drawable
from edgeseg.types import Frame, Instances, SemanticMap

SIDE = 320
"""Width and height of the networks' inputs."""


class Proof(NamedTuple):
    """One row of the table."""

    family: str
    head: str
    result: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--out", type=Path, required=True, help="folder for ONNX files and cards")
    arguments = parser.parse_args()
    unknown = set(arguments.families) - set(FAMILIES)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(FAMILIES)}")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(out))
    print("| family | head | compared with the package's own |\n| --- | --- | --- |")
    for family in arguments.families or FAMILIES:
        torch.manual_seed(0)
        proof = FAMILIES[family](family, out / f"{family}.onnx")
        print(f"| {proof.family} | `{proof.head}` | {proof.result} |", flush=True)


def export(network: nn.Module, path: Path, outputs: list[str]) -> None:
    """Writes the network with one input ``images`` [1, 3, SIDE, SIDE]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.rand(1, 3, SIDE, SIDE),),
            str(path),
            input_names=["images"],
            output_names=outputs,
            opset_version=17,
            dynamo=False,
        )


def with_card(path: Path, **changes: Any) -> ModelFile:
    """Writes the card that edgeseg suggests, changed as a user would, and loads the model."""
    graph = read_onnx(path.read_bytes(), where=str(path))
    card = yaml.safe_load(suggest_card(path.stem, graph.inputs, graph.outputs))
    card["input"] |= changes.pop("input", {})
    text = yaml.safe_dump(card | changes, sort_keys=False)
    path.with_suffix(".yaml").write_text(text, encoding="utf-8")
    return load_model(path)


def pictures() -> list[Frame]:
    """Returns the drawn pictures at odd sizes; letterbox bars end between prototype pixels."""
    sizes = ((320, 240), (641, 321), (161, 322))
    drawn = [(to_bgr(frame.planes), size) for frame in drawn_frames() for size in sizes]
    return [frame_from_bgr(cv2.resize(src=bgr, dsize=size)) for bgr, size in drawn]


def compare_frames(
    model: ModelFile, compare: Callable[[Frame, Any, dict[str, Tensor]], Any]
) -> list[Any]:
    """Returns what ``compare`` says of each drawn picture, our result and the raw outputs."""
    backend = open_backend(model)
    segmenter = NetworkSegmenter(model.spec, backend)
    found = []
    for frame in pictures():
        raw = backend.infer({model.spec.input.name: network_input(frame, model.spec.input)[0]})
        found.append(compare(frame, segmenter.segment(frame, NoTimer()), raw))
    segmenter.close()
    return found


# ---- semantic: torchvision ----------------------------------------------------------------------


class OnlyScores(nn.Module):
    """A torchvision segmentation network without its dictionary of outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.network(images)["out"]
        return scores


def prove_torchvision_scores(family: str, path: Path) -> Proof:
    """Scores, and labels at frame size, against torch's own forward, enlarged and argmaxed."""
    from torchvision.models import segmentation

    built = getattr(segmentation, family)(weights=None, weights_backbone=None, num_classes=21)
    network = OnlyScores(liven(built)).eval()
    export(network, path, ["scores"])
    imagenet = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
    model = with_card(path, input=imagenet)

    def compare(frame: Frame, ours: SemanticMap, raw: dict[str, Tensor]) -> tuple[float, float]:
        tensor = torch.from_numpy(np.asarray(network_input(frame, model.spec.input)[0]))
        size = (frame.size.height, frame.size.width)
        with torch.no_grad():
            scores = network(tensor)
            big = nn.functional.interpolate(scores, size, mode="bilinear", align_corners=False)
        theirs = scores[0].numpy()
        assert ours.scores is not None
        off = np.abs(ours.scores - theirs).max() / np.abs(theirs).max()
        same = (label_map(ours) == big.argmax(1)[0].numpy()).mean()
        return float(off), float(same)

    found = compare_frames(model, compare)
    off, same = max(o for o, _ in found), min(s for _, s in found)
    classes = f"scores differ by {off:.1e} of their largest, {same:.3%} of the pixels of the frame"
    return Proof(family, model.spec.outputs_as, f"{classes} get the same class")


def liven(network: nn.Module) -> nn.Module:
    """Makes random weights strong enough for outputs that vary with the picture and the place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad:  # YOLO has a fixed one
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.3, 1.0)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.weight, 0.8, 1.4)
            nn.init.normal_(module.bias, 0, 0.2)
    return network


# ---- instances: ultralytics ---------------------------------------------------------------------


def prove_yolo(family: str, path: Path) -> Proof:
    """Boxes, scores, classes and masks against ultralytics' suppression and mask assembly."""
    from ultralytics import YOLO

    network = YOLO(f"{family}.yaml", task="segment")
    liven(network.model)
    with tempfile.TemporaryDirectory() as folder:
        network.model.yaml_file = network.ckpt_path = str(Path(folder) / f"{family}.pt")
        written = network.export(format="onnx", imgsz=SIDE, simplify=False, opset=17, verbose=False)
        shutil.move(written, path)
    least = score_of_the_best(path, 150)
    model = with_card(path, input={"fit": "letterbox"}, thresholds={"score": least, "overlap": 0.6})
    found = compare_frames(model, lambda *given: compare_yolo(model, *given))
    objects = sum(f.objects for f in found)
    boxes, scores = max(f.boxes for f in found), max(f.scores for f in found)
    masks, edges = sum(f.masks for f in found), sum(f.edges for f in found)
    pixels = sum(f.pixels for f in found)
    return Proof(
        family,
        model.spec.outputs_as,
        f"{objects} objects, the same ones; boxes differ by {boxes:.4f} px, "
        f"scores by {scores:.1e}, masks in {masks} of {pixels} pixels inside the boxes ({edges} "
        "more on their rims, where we keep a pixel that the box only touches)",
    )


def score_of_the_best(path: Path, count: int) -> float:
    """Returns a threshold that about ``count`` proposals of the noise picture reach."""
    model = with_card(path, input={"fit": "letterbox"})
    backend, spec = open_backend(model), model.spec
    raw = backend.infer({"images": network_input(drawn_frames()[2], spec.input)[0]})
    table = np.asarray(raw[spec.output("detections").name])[0]
    best = table[4 : 4 + len(spec.classes)].max(axis=0)
    backend.close()
    values = np.unique(best)
    return float(values[-count:][:2].mean())  # between two scores, never at one


class Difference(NamedTuple):
    """objects: their number. boxes: px. masks, edges: pixels that differ, of ``pixels``."""

    objects: int
    boxes: float
    scores: float
    masks: int
    edges: int
    pixels: int


def compare_yolo(
    model: ModelFile, frame: Frame, ours: Instances, raw: dict[str, Tensor]
) -> Difference:
    from ultralytics.utils import ops
    from ultralytics.utils.nms import non_max_suppression

    spec = model.spec
    table = torch.from_numpy(np.asarray(raw[spec.output("detections").name]))
    prototypes = torch.from_numpy(np.asarray(raw[spec.output("prototypes").name]))[0]
    limits = spec.thresholds
    (theirs,) = non_max_suppression(
        table, limits.score, limits.overlap, nc=len(spec.classes), max_det=limits.most,
        max_time_img=60,
    )  # fmt: skip
    boxes = theirs[:, :4].clone()
    masks = ops.process_mask(prototypes, theirs[:, 6:], boxes, (SIDE, SIDE)).numpy().astype(bool)
    size = (frame.size.height, frame.size.width)
    placed = ops.scale_boxes((SIDE, SIDE), boxes.clone(), size).numpy()
    assert len(ours) == len(theirs) > 0, f"{len(ours)} objects, ultralytics has {len(theirs)}"
    same = partners(ours, theirs[:, 5].numpy(), placed)
    theirs, boxes, placed, masks = theirs[same], boxes[same], placed[same], masks[same]
    inside, rims, pixels = 0, 0, 0
    for index in range(len(ours)):
        mine, touched = on_prototypes(ours, index, masks.shape[1:])
        left, top, right, bottom = boxes[index].numpy() * (masks.shape[2] / SIDE)
        rows, columns = np.mgrid[: masks.shape[1], : masks.shape[2]]
        core = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom) & touched
        inside += int((mine != masks[index])[core].sum())
        rims += int(mine[~core].sum())
        pixels += int(core.sum())
    return Difference(
        len(ours),
        float(np.abs(ours.boxes_xyxy - placed).max()),
        float(np.abs(ours.scores - theirs[:, 4].numpy()).max()),
        inside,
        rims,
        pixels,
    )


def partners(ours: Instances, labels: Any, boxes_xyxy: Any) -> list[int]:
    """Returns which of theirs each of ours is; objects of equal scores come in any order."""
    free, found = set(range(len(labels))), []
    for label, box in zip(ours.labels, ours.boxes_xyxy, strict=True):
        rivals = [row for row in free if labels[row] == label]
        found.append(min(rivals, key=lambda row: np.abs(boxes_xyxy[row] - box).max()))
        free.remove(found[-1])
    return found


def on_prototypes(ours: Instances, index: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Returns our mask on the grid of the prototypes, and where it lies."""
    content = ours.geometry.content
    scale = (content.right - content.left) / ours.frame_size.width * shape[1] / SIDE
    start = np.array([content.left, content.top]) * shape[1] / SIDE
    left, top = np.rint(ours.areas_xyxy[index, :2] * scale + start).astype(int)
    mask = ours.masks[index] >= 128
    height, width = mask.shape
    whole, touched = np.zeros(shape, bool), np.zeros(shape, bool)
    whole[top : top + height, left : left + width] = mask
    touched[top : top + height, left : left + width] = True
    return whole, touched


# ---- instances: Mask R-CNN ----------------------------------------------------------------------


class OnePicture(nn.Module):
    """A torchvision detector as a function of one picture [1, 3, H, W] to four tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.network([images[0]])
        found = found[1] if isinstance(found, tuple) else found
        return tuple(found[0][key] for key in ("boxes", "labels", "scores", "masks"))


def prove_mask_rcnn(family: str, path: Path) -> Proof:
    """Boxes, labels, scores and pasted masks against torchvision's own, run by torch."""
    from torchvision.models import detection

    built = getattr(detection, family)(
        weights=None,
        weights_backbone=None,
        num_classes=4,
        min_size=SIDE,
        max_size=SIDE,
        box_score_thresh=0.0,
        box_detections_per_img=20,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=30,
    )
    network = OnePicture(built).eval()
    export(network, path, ["boxes", "labels", "scores", "masks"])
    model = with_card(
        path,
        classes=["background", "a", "b", "c"],
        thresholds={"score": 0.01},
    )

    def compare(frame: Frame, ours: Instances, raw: dict[str, Tensor]) -> tuple[int, float, float]:
        tensor = torch.from_numpy(np.asarray(network_input(frame, model.spec.input)[0]))
        with torch.no_grad():
            boxes, labels, _, masks = (t.numpy() for t in network(tensor))
        scale = np.array([*frame.size] * 2) / SIDE
        seen = drawable(boxes * scale)  # without those less than half a pixel wide or high
        boxes, labels, masks = boxes[seen], labels[seen], masks[seen]
        assert len(ours) == len(boxes) > 0, f"{len(ours)} objects, torchvision has {len(boxes)}"
        np.testing.assert_array_equal(ours.labels + 1, labels)
        off = float(np.abs(ours.boxes_xyxy - boxes * scale).max())
        worst = 0.0
        for index in range(len(ours)):
            left, top = np.rint(ours.areas_xyxy[index, :2] / scale[:2]).astype(int)
            height, width = ours.masks[index].shape
            theirs = masks[index, 0, top : top + height, left : left + width]
            worst = max(worst, float(np.abs(ours.masks[index] / 255 - theirs).max()))
        return len(ours), off, worst

    found = compare_frames(model, compare)
    return Proof(
        family,
        model.spec.outputs_as,
        f"{sum(f[0] for f in found)} objects, the same ones; boxes differ by "
        f"{max(f[1] for f in found):.4f} px, mask probabilities by {max(f[2] for f in found):.4f}",
    )


FAMILIES: dict[str, Callable[[str, Path], Proof]] = {
    "deeplabv3_mobilenet_v3_large": prove_torchvision_scores,
    "lraspp_mobilenet_v3_large": prove_torchvision_scores,
    "fcn_resnet50": prove_torchvision_scores,
    "yolo11n-seg": prove_yolo,
    "yolov8n-seg": prove_yolo,
    "maskrcnn_resnet50_fpn": prove_mask_rcnn,
}

if __name__ == "__main__":
    main()
