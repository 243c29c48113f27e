"""Building blocks: two ways of computing one thing agree."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch
import torch.nn.functional as F

from edgeseg.models.deeplabv3plus import ImagePooling
from edgeseg.models.icnet import BINS, PyramidPooling, pooling_matrix
from edgeseg.models.layers import AtrousDepthwise, conv_bn, resized_like


@pytest.mark.parametrize("dilation", [2, 3])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 5), (2, 2), (13, 6)])
def test_atrous_depthwise_trains_on_what_it_computes(dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = AtrousDepthwise(5, dilation)
    plain, subsampled = (torch.randn(2, 5, *size) for _ in range(2))
    subsampled.copy_(plain)
    plain.requires_grad_(True)
    subsampled.requires_grad_(True)
    expected = layer.eval()(plain)
    given = layer.train()(subsampled)
    assert torch.allclose(given, expected, atol=1e-6)

    weights = torch.randn_like(expected)
    (expected_slope,) = torch.autograd.grad((expected * weights).sum(), layer.weight)
    (given_slope,) = torch.autograd.grad((given * weights).sum(), layer.weight)
    assert torch.allclose(given_slope, expected_slope, atol=1e-4)


def test_only_the_dilation_that_pays_is_computed_so() -> None:
    kinds = {rate: type(conv_bn(4, 4, 3, groups=4, dilation=rate)[0]) for rate in (1, 2, 6)}
    assert kinds == {1: torch.nn.Conv2d, 2: AtrousDepthwise, 6: torch.nn.Conv2d}


def test_atrous_state_has_the_names_of_a_plain_convolution() -> None:
    ours, plain = conv_bn(4, 4, 3, groups=4, dilation=2), conv_bn(4, 4, 3, groups=4, dilation=6)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


@pytest.mark.parametrize("bins", BINS)
@pytest.mark.parametrize("size", [(6, 6), (12, 15), (7, 23), (1, 3), (5, 2)])
def test_pooling_matrices_are_adaptive_pooling(bins: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size)
    ours = pooling_matrix(size[0], bins) @ x @ pooling_matrix(size[1], bins).T
    assert torch.allclose(ours, F.adaptive_avg_pool2d(x, bins), atol=1e-6)


def test_pyramid_pooling_of_a_constant_adds_it_once_per_level() -> None:
    x = torch.full((1, 2, 5, 9), 3.0)
    assert torch.allclose(PyramidPooling()(x), x * (1 + len(BINS)), atol=1e-5)


def test_image_pooling_is_constant_over_the_picture_and_sees_all_of_it() -> None:
    torch.manual_seed(0)
    pooling, x = ImagePooling(4, 3), torch.rand(1, 4, 5, 7)
    with torch.no_grad():
        pooling.project[0].weight.abs_()
    y = pooling(x)
    assert y.shape == (1, 3, 5, 7)
    assert torch.equal(y, y[:, :, :1, :1].expand_as(y))
    x[0, :, 4, 6] += 10.0
    assert not torch.equal(pooling(x), y)


def test_resizing_follows_the_reference() -> None:
    x = torch.rand(1, 2, 3, 4)
    assert resized_like(x, torch.zeros(1, 9, 7, 11)).shape == (1, 2, 7, 11)
    assert torch.allclose(resized_like(x, x), x)
