"""Official public networks from a checkout of their repository, for `import_parity.py`.

Nothing here is official code: each function imports it from the checkout, which must be on
`sys.path`, and says how that code prepares a picture and what its network gives.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Pixels = NDArray[np.uint8]
Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Official:
    """The official network, its preprocessing of RGB uint8 [H, W, 3], its raw outputs by name."""

    network: nn.Module
    prepare: Callable[[Pixels], Tensor]
    outputs: Callable[[nn.Module, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Form:
    """What the official constructors are told; size: of YOLACT's square picture."""

    classes: int
    size: int
    output_stride: int = 16
    separable: bool = False


Build = Callable[[Form], Official]


def _stub(name: str, **contents: Any) -> None:
    """Stand in for a package the official files import but do not use here."""
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        module = sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
        if depth > 1:
            setattr(sys.modules[".".join(parts[: depth - 1])], parts[depth - 1], module)
    for key, value in contents.items():
        setattr(sys.modules[name], key, value)


def _imagenet(rgb: Pixels) -> Tensor:
    """torchvision's ToTensor and Normalize."""
    image = torch.from_numpy(rgb.transpose(2, 0, 1).copy()).float().div(255)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return ((image - mean) / std)[None]


def _sinet_portrait(rgb: Pixels) -> Tensor:
    """As `etc/Visualize_video.py` does it: BGR, divided by 255 last.

    The statistics are those users of the weights state; the repository reads them from a cache of
    its data set, which is not published.
    """
    image = rgb[..., ::-1].astype(np.float32)
    image -= np.array([102.89, 111.25, 126.91], np.float32)
    image /= np.array([62.93, 62.82, 66.36], np.float32)
    image /= 255
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None]


def official_sinet(_form: Form) -> Official:
    from models.SINet import Dnc_SINet  # type: ignore[import-not-found]

    network = Dnc_SINet(classes=2, p=2, q=8, chnn=1)
    return Official(network, _sinet_portrait, lambda net, x: {"person": net(x).softmax(1)[:, 1:]})


def official_sinet_cityscapes(form: Form) -> Official:
    from models.SINet import Dnc_SINaux

    network = Dnc_SINaux(classes=form.classes, p=3, q=10, chnn=4)
    return Official(network, _imagenet, lambda net, x: {"scores": net(x)})


def official_deeplab(form: Form) -> Official:
    import network as vainf  # type: ignore[import-not-found]

    net = vainf.modeling.deeplabv3plus_mobilenet(
        num_classes=form.classes, output_stride=form.output_stride, pretrained_backbone=False
    )

    if form.separable:
        vainf.convert_to_separable_conv(net.classifier)

    def low_resolution(module: Any, x: Tensor) -> dict[str, Tensor]:
        return {"scores": module.classifier(module.backbone(x))}

    return Official(net, _imagenet, low_resolution)


def official_icnet(form: Form) -> Official:
    _stub("torchsummary", summary=None)
    from models.icnet import ICNet  # type: ignore[import-not-found]

    network = ICNet(nclass=form.classes, backbone="resnet50", pretrained_base=False)
    return Official(network, _imagenet, lambda net, x: {"scores": net(x)[1]})


def official_yolact(configuration: str) -> Build:
    def build(form: Form) -> Official:
        torch.cuda.current_device = lambda: 0
        torch.cuda.device_count = lambda: 2  # two: no TorchScript
        torch.Tensor.cuda = lambda self, *_, **__: self
        _stub("torchvision.models.resnet", Bottleneck=None)
        _stub("torchvision.transforms")
        _stub("pycocotools.mask")
        from data import config  # type: ignore[import-not-found]

        pascal = configuration == "yolact_resnet50_config" and form.classes == 20
        config.set_cfg("yolact_resnet50_pascal_config" if pascal else configuration)
        scales = config.cfg.backbone.pred_scales
        rounded = [[int(s[0] / config.cfg.max_size * form.size)] for s in scales]
        config.cfg.backbone.replace({"pred_scales": rounded})
        config.cfg.replace({"max_size": form.size, "num_classes": form.classes + 1})
        from layers.box_utils import decode  # type: ignore[import-not-found]
        from utils.augmentations import FastBaseTransform  # type: ignore[import-not-found]
        from yolact import Yolact  # type: ignore[import-not-found]

        network = Yolact()
        network.detect = lambda found, _net: found
        transform = FastBaseTransform()

        def outputs(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
            found = net(x)
            return {
                "boxes": decode(found["loc"][0], found["priors"])[None],
                "scores": found["conf"][:, :, 1:],
                "coefficients": found["mask"],
                "prototypes": found["proto"],
            }

        def prepare(rgb: Pixels) -> Tensor:
            bgr = torch.from_numpy(rgb[..., ::-1].copy()).float()[None]
            prepared: Tensor = transform(bgr)
            return prepared

        return Official(network, prepare, outputs)

    return build


OFFICIAL: dict[str, Build] = {
    "sinet": official_sinet,
    "sinet-cityscapes": official_sinet_cityscapes,
    "deeplabv3plus-mobilenetv2": official_deeplab,
    "icnet-resnet50": official_icnet,
    "yolact-resnet50": official_yolact("yolact_resnet50_config"),
    "yolact-resnet101": official_yolact("yolact_base_config"),
    "yolact-darknet53": official_yolact("yolact_darknet53_config"),
}
