"""Our portrait networks: shapes, sizes, and the ideas they claim."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch

from edgeseg.models import zoo
from edgeseg.models.edge_sinet import SpatialSqueeze, uncertainty
from edgeseg.models.layers import GatedContext
from edgeseg.models.mobilenetv2 import MobileNetV2Features

PORTRAIT = [name for name, found in zoo.ARCHITECTURES.items() if found.task == "portrait"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", PORTRAIT)
@pytest.mark.parametrize("side", [(64, 64), (96, 160)])
def test_logits_are_at_stride_two_of_any_multiple_of_32(name: str, side: tuple[int, int]) -> None:
    network = zoo.build(name).eval()
    logits = network(torch.zeros((2, 3, *side)))
    assert logits[0].shape == (2, 1, side[0] // 2, side[1] // 2)


def test_parameter_budgets() -> None:
    assert zoo.parameter_count(zoo.build("portrait-sinet")) <= 300_000
    assert zoo.parameter_count(zoo.build("portrait")) <= 800_000


@pytest.mark.parametrize("name", sorted(zoo.ARCHITECTURES))
def test_a_pretrained_state_fills_the_encoder(name: str) -> None:
    torch.manual_seed(1)
    state = MobileNetV2Features(17).state_dict()
    network = zoo.build(name)
    zoo.start_from_imagenet(network, state)
    stem = network.state_dict()["backbone.features.0.0.weight"]
    assert torch.equal(stem, state["features.0.0.weight"])


def test_both_squeeze_branches_share_out_all_pretrained_channels() -> None:
    torch.manual_seed(1)
    state = MobileNetV2Features(8).state_dict()
    block = SpatialSqueeze(64, 192)
    block.load_inverted_residual(state, 8)
    ours = torch.cat([block.fine.conv[2].weight, block.squeezed.conv[2].weight], dim=1)
    theirs = state["features.8.conv.2.weight"]
    assert ours.shape == theirs.shape
    assert torch.equal(ours.sum(dim=1).sort().values, theirs.sum(dim=1).sort().values) or (
        torch.allclose(ours.sum(dim=1), theirs.sum(dim=1), atol=1e-5)
    )


def test_the_blocking_gate_is_open_where_unsure_and_closed_where_sure() -> None:
    gate = uncertainty(torch.tensor([0.0, 30.0, -30.0]))
    assert gate.tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_the_context_gate_sees_the_whole_picture() -> None:
    context = GatedContext(8, 4).eval()
    image = torch.rand((1, 8, 4, 4))
    before = context(image)[0, :, 0, 0]
    image[0, :, 3, 3] += 5.0
    assert not torch.equal(before, context(image)[0, :, 0, 0])
