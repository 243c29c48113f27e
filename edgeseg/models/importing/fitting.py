"""A published state in the network it belongs to, or one line on why it does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from edgeseg.errors import ModelError
from edgeseg.models.importing.architectures import ARCHITECTURES, Architecture, Settings

_COUNTERS = "num_batches_tracked"
"""Batch norms of old checkpoints lack them, and evaluation does not use them."""
_DEFORMABLE = "conv_offset_mask"
_NAMED = 3


def fitted(
    state: Mapping[str, Tensor], known: Architecture, settings: Settings, *, path: Path
) -> nn.Module:
    """The network of `known`, in evaluation mode, with the weights of `state`.

    Raises: ModelError naming the file and what is missing, foreign, of another shape or no number.
    """
    problem = _problem(state, known, settings)
    if problem:
        others = [
            other.name
            for other in ARCHITECTURES.values()
            if other is not known
            and not _problem(state, other, other.settings(state, settings.size, 16))
        ]
        advice = f"; it is a checkpoint for --arch {' or '.join(others)}" if others else ""
        if any(_DEFORMABLE in key for key in state):
            advice = "; it is a YOLACT++ checkpoint: deformable convolutions cannot be imported"
        raise ModelError(
            f"{path}: not a state of {known.name} ({known.repository}): {problem}{advice}"
        )
    broken = [k for k, v in known.needed(state).items() if not bool(torch.isfinite(v).all())]
    if broken:
        raise ModelError(f"{path}: {_listed(broken)} hold values that are not finite numbers")
    network = known.build(settings)
    own = network.state_dict()
    network.load_state_dict({k: state.get(known.official_key(k), v) for k, v in own.items()})
    return network.eval()


def _problem(state: Mapping[str, Tensor], known: Architecture, settings: Settings) -> str:
    """What keeps `state` from fitting, empty when it fits."""
    with torch.device("meta"):
        network = known.build(settings)
    own = {known.official_key(k): tuple(v.shape) for k, v in network.state_dict().items()}
    wanted = {key: shape for key, shape in own.items() if not key.endswith(_COUNTERS)}
    given = {k: tuple(v.shape) for k, v in known.needed(state).items() if not k.endswith(_COUNTERS)}
    missing, foreign = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    parts = []
    if missing:
        some = _listed([key for key in wanted if key in missing])
        parts.append(f"{len(missing)} of {len(wanted)} tensors are missing ({some})")
    if foreign:
        some = _listed([key for key in given if key in foreign])
        parts.append(f"{len(foreign)} of {len(given)} are foreign ({some})")
    wrong = [key for key in wanted if key in given and given[key] != wanted[key]]
    if wrong and not parts:
        first = wrong[0]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        parts.append(f"{first} is {_shape(given[first])}, expected {_shape(wanted[first])}{more}")
    return ", ".join(parts)


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
