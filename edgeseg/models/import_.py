"""Published checkpoints as edgeseg models: `import_sinet` for the official portrait SINet."""

from __future__ import annotations

import hashlib
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from edgeseg.errors import ModelError
from edgeseg.models.export import INPUT, OUTPUT, Deployed, Triple, write_model
from edgeseg.models.sinet import SINet
from edgeseg.spec import InputSpec, ModelSpec, OutputSpec, TrainedOn
from edgeseg.types import Size

# Pixel statistics of the official training set, BGR; the official code divides by 255 after
# dividing by the deviation, so its network sees values within about +-0.01.
SINET_MEAN: Triple = (102.89, 111.25, 126.91)
SINET_STD: Triple = (62.93, 62.82, 66.36)
SINET_SIZE = Size(320, 320)
_UNREADABLE = (RuntimeError, TypeError, EOFError, OSError, UnpicklingError)
_CITATION = (
    "Park, Sjösund, Yoo, Monet, Bang, Kwak: SINet: Extreme Lightweight Portrait Segmentation "
    "Networks with Spatial Squeeze Modules and Information Blocking Decoder, WACV 2020, "
    "arXiv 1911.09099"
)


class PersonLogit(nn.Module):
    """The logit of class 1 of a two-class network: softmax(s)[1] = sigmoid(s1 - s0)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, 1, H, W]."""
        scores: Tensor = self.network(image)
        return scores[:, 1:] - scores[:, :1]


def load_sinet(checkpoint: Path) -> SINet:
    """The official network with the weights of `checkpoint`.

    Raises: ModelError when the file is not a state of the two-class portrait SINet.
    """
    network = SINet()
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"{checkpoint}: expected the state of the official portrait SINet: {reason}"
        ) from error
    network.eval()
    return network


def sinet_spec(checkpoint: Path, size: Size) -> ModelSpec:
    """The recipe of the official network at `size`."""
    return ModelSpec(
        name="sinet-official",
        title="SINet, official portrait weights",
        input=InputSpec(name=INPUT, size=size),
        outputs=(OutputSpec(name=OUTPUT),),
        licence="MIT (NAVER); trained on EG1800, whose pictures have their own terms",
        trained_on=(TrainedOn(data="EG1800 portraits and extra data", terms="research use"),),
        citation=_CITATION,
        source_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    )


def import_sinet(checkpoint: Path, path: Path, *, size: Size = SINET_SIZE) -> ModelSpec:
    """Write the official checkpoint as an edgeseg model at `path`; returns its recipe."""
    blue, green, red = (1.0 / (255.0 * s) for s in SINET_STD)
    deployed = Deployed(
        PersonLogit(load_sinet(checkpoint)),
        mean=SINET_MEAN,
        scale=(blue, green, red),
        reverse_channels=True,
    )
    return write_model(deployed, sinet_spec(checkpoint, size), path)
