"""The driving networks: strides for every picture size, classes, where context comes from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch

from edgeseg.errors import ConfigError
from edgeseg.models import zoo
from edgeseg.models.deeplabv3plus import DeepLabV3Plus
from edgeseg.models.mobilenetv2 import MobileNetV2Features


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


STRIDES = {"driving": (2, 4, 16), "driving-icnet": (4, 16, 32)}


def ceil_div(side: int, stride: int) -> int:
    return -(-side // stride)


@pytest.mark.parametrize("name", sorted(STRIDES))
@pytest.mark.parametrize("size", [(64, 96), (72, 88), (67, 101), (33, 47)])
@pytest.mark.parametrize("training", [False, True])
def test_logits_come_at_their_strides_for_any_size(
    name: str, size: tuple[int, int], training: bool
) -> None:
    network = zoo.build(name, 5).train(training)
    logits = network(torch.zeros((2, 3, *size)))
    for logit, stride in zip(logits, STRIDES[name], strict=True):
        assert logit.shape[:2] == (2, 5)
        for given, side in zip(logit.shape[2:], size, strict=True):
            # the cascade halves the picture first, rounding down
            assert abs(given - ceil_div(side, stride)) <= (name == "driving-icnet")


@pytest.mark.parametrize(("output_stride", "side"), [(8, 16), (16, 8), (32, 4)])
def test_the_backbone_keeps_its_resolution_by_dilation(output_stride: int, side: int) -> None:
    backbone = MobileNetV2Features(17, output_stride=output_stride).eval()
    (deep,) = backbone(torch.zeros((1, 3, 128, 128)), (17,))
    assert deep.shape == (1, 320, side, side)
    rates = [m.dilation[0] for m in backbone.modules() if getattr(m, "groups", 1) > 1]
    assert sorted(set(rates)) == {8: [1, 2, 4], 16: [1, 2], 32: [1]}[output_stride]


def test_dilation_computes_what_striding_would_have_at_every_position() -> None:
    """The stride-16 features of stride 32's positions: dense where the strided net is sparse."""
    torch.manual_seed(0)
    strided, dense = (MobileNetV2Features(14, output_stride=s).eval() for s in (32, 16))
    dense.load_state_dict(strided.state_dict())
    image = torch.randn(1, 3, 96, 96)
    (sparse,), (full,) = strided(image, (14,)), dense(image, (14,))
    assert torch.allclose(full[:, :, ::2, ::2], sparse, atol=1e-5)


def test_atrous_rates_double_when_the_output_stride_halves() -> None:
    """Chen et al. 2017, arXiv 1706.05587, sec. 4.1."""
    for output_stride, rates in ((16, [6, 12, 18]), (8, [12, 24, 36])):
        network = DeepLabV3Plus(3, output_stride=output_stride)
        found = [b[0][0].dilation[0] for b in list(network.aspp.branches)[1:4]]
        assert found == rates
        logits = network.eval()(torch.zeros((1, 3, 64, 96)))
        assert logits[2].shape[2:] == (64 // output_stride, 96 // output_stride)


def test_parameter_budgets() -> None:
    assert zoo.parameter_count(zoo.build("driving")) <= 2_300_000
    assert zoo.parameter_count(zoo.build("driving-icnet")) <= 2_100_000


@pytest.mark.parametrize("name", sorted(STRIDES))
def test_the_finest_logits_depend_on_pixels_near_and_far(name: str) -> None:
    torch.manual_seed(0)
    network = zoo.build(name, 3).eval()
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    logit = network(image)[0]
    (slope,) = torch.autograd.grad(
        logit[0, :, logit.shape[2] // 2, logit.shape[3] // 2].sum(), image
    )
    assert slope[0, :, 60:68, 60:68].abs().max() > 0
    assert slope[0, :, :8, :8].abs().max() > 0


def test_unknown_architectures_get_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"got 'drivin'; did you mean 'driving'\?"):
        zoo.build("drivin")
    with pytest.raises(ConfigError, match="for scene, got 'portrait', which is for portrait"):
        zoo.architecture("portrait", task="scene")
