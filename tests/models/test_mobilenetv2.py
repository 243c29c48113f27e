"""The pretrained encoder: names, pruning, loading."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="models need the [train] extra (PyTorch)")

import torch

from edgeseg.models.mobilenetv2 import (
    MobileNetV2Features,
    important_hidden,
    load_features,
    prune_hidden,
)


@pytest.fixture
def full() -> MobileNetV2Features:
    torch.manual_seed(0)
    return MobileNetV2Features(4)


def test_names_and_shapes_are_torchvisions(full: MobileNetV2Features) -> None:
    state = full.state_dict()
    assert state["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert state["features.1.conv.0.0.weight"].shape == (32, 1, 3, 3)
    assert state["features.2.conv.2.weight"].shape == (24, 96, 1, 1)
    assert state["features.4.conv.3.running_var"].shape == (32,)


def test_taps_come_at_their_strides(full: MobileNetV2Features) -> None:
    outputs = full.eval()(torch.zeros((1, 3, 64, 96)), (1, 3, 4))
    assert [tuple(o.shape[1:]) for o in outputs] == [(16, 32, 48), (24, 16, 24), (32, 8, 12)]


def test_importance_is_scale_times_outgoing_weight(full: MobileNetV2Features) -> None:
    state = full.state_dict()
    state["features.2.conv.1.1.weight"].fill_(1.0)
    state["features.2.conv.2.weight"].fill_(0.01)
    state["features.2.conv.2.weight"][:, [3, 50]] = 1.0
    state["features.2.conv.1.1.weight"][50] = -4.0
    state["features.2.conv.1.1.weight"][3] = 0.0
    assert important_hidden(state, 2, 1).tolist() == [50]


def test_pruning_channels_that_do_nothing_changes_nothing(full: MobileNetV2Features) -> None:
    state = full.state_dict()
    idle = torch.arange(0, 96, 2)
    state["features.2.conv.2.weight"][:, idle] = 0.0
    narrow = MobileNetV2Features(4, {2: 48})
    load_features(narrow, state)
    image = torch.rand((1, 3, 64, 64))
    expected = full.eval()(image, (4,))[0]
    assert torch.allclose(narrow.eval()(image, (4,))[0], expected, atol=1e-5)


def test_pruning_leaves_the_given_state_alone(full: MobileNetV2Features) -> None:
    state = full.state_dict()
    pruned = prune_hidden(state, {3: 16})
    assert pruned["features.3.conv.1.0.weight"].shape == (16, 1, 3, 3)
    assert pruned["features.3.conv.0.1.running_mean"].shape == (16,)
    assert state["features.3.conv.1.0.weight"].shape == (144, 1, 3, 3)
    assert pruned["features.2.conv.2.weight"] is state["features.2.conv.2.weight"]
