"""The range of values each tensor of a network takes on pictures like those it is for."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
from onnx import helper

from edgeseg.assets import user_cache_dir
from edgeseg.atomic import write_whole
from edgeseg.device import available_cores
from edgeseg.errors import ConfigError, near_match
from edgeseg.model_file import ModelFile
from edgeseg.precision.calibration import Calibration as Calibration
from edgeseg.precision.graph import fp32_graph
from edgeseg.precision.histogram import Histogram
from edgeseg.precision.histogram import Method as Method
from edgeseg.precision.likeness import finds_something, refuse_plain
from edgeseg.precision.network import WEIGHTED, Network
from edgeseg.precision.pictures import Pictures, find_pictures, network_inputs
from edgeseg.precision.session import open_session
from edgeseg.protocols import Tensor
from edgeseg.spec import ModelSpec

log = logging.getLogger(__name__)

COUNT = 200
"""Pictures used if nothing else is asked for."""
FEW = 32
"""Pictures below which ranges are said to be uncertain."""
_VERSION = 2
"""Of what is remembered; raised when it is computed in another way."""


def calibration_inputs(
    spec: ModelSpec, source: Path, *, count: int = COUNT, seed: int = 0
) -> list[Tensor]:
    """Returns the network's input for pictures of a folder, or frames of a video.

    A folder is searched with its sub-folders, of which only those within an ``images/`` count
    where there is one. Which pictures, in which order, depends on their names and the seed only,
    and the first ones stay the same for a larger count. Fewer than ``count`` where there are not
    as many. A video's frames are spread over its length.

    Raises ConfigError: the source is missing, holds no picture or none that can be read.
    """
    return network_inputs(spec, find_pictures(source, count=count, seed=seed))


def calibrate(
    model: ModelFile,
    source: Path,
    *,
    method: Method = "percentile",
    count: int = COUNT,
    seed: int = 0,
) -> Calibration:
    """Returns the ranges of every float tensor of ``fp32_graph(model)``; remembered in the cache.

    Raises ConfigError as ``calibration_inputs`` does, for pictures of one colour, or an unknown
    method; ModelError for a model that is not FP32.
    """
    if method not in get_args(Method):
        known = list(get_args(Method))
        raise ConfigError(
            f"unknown calibration method {method!r}{near_match(method, known)} "
            f"(known: {', '.join(known)})"
        )
    pictures = find_pictures(source, count=count, seed=seed)
    place = _remembered_at(model, pictures, method, count)
    found = _recalled(place)
    if found is None:
        found = _measured(model, pictures, method, count=count, seed=seed)
        _remember(place, found)
    return found


def _measured(
    model: ModelFile, pictures: Pictures, method: Method, *, count: int, seed: int
) -> Calibration:
    inputs = network_inputs(model.spec, pictures)
    refuse_plain(inputs, str(pictures.source))
    watcher = _Watcher(model)
    seen = sum(watcher.watch(tensor) for tensor in inputs)
    data = {
        "data": "/".join(pictures.source.absolute().parts[-2:]),
        "method": method,
        "images": len(inputs),
        "seed": seed,
    }
    notes = _notes(str(pictures.source), wanted=count, got=len(inputs), seen=seen)
    return Calibration(watcher.ranges(method), data, tuple(notes), watcher.means(), model.sha256)


def _notes(source: str, *, wanted: int, got: int, seen: int) -> list[str]:
    notes = []
    if got < wanted:
        uncertain = "; ranges from so few are uncertain" if got < FEW else ""
        notes.append(f"{source}: {got} pictures, {wanted} were asked for{uncertain}")
    if not seen:
        notes.append(
            f"{source}: the model finds nothing in any of the {got} pictures; "
            "calibrate with pictures like those it is for"
        )
    return notes


class _Watcher:
    """Runs a network on pictures and keeps what its tensors are like."""

    def __init__(self, model: ModelFile) -> None:
        self._spec = model.spec
        network = Network(fp32_graph(model))
        produced = [name for node in network.nodes for name in node.output]
        floats = [name for name in produced if network.is_float(name)]
        picture = model.spec.input.name
        seen = [picture, *floats] if network.is_float(picture) else floats
        self._histograms = {name: Histogram() for name in seen}
        self._sums: dict[str, Any] = {
            node.input[0]: 0.0 for node in network.nodes if node.op_type in WEIGHTED
        }
        self._count = 0
        shown = {output.name for output in network.model.graph.output}
        network.model.graph.output.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in floats
            if name not in shown
        )
        data = network.model.SerializeToString()
        self._session = open_session(data, str(model.path), threads=available_cores())
        self._names = list(dict.fromkeys([*floats, *(o.name for o in model.spec.outputs)]))

    def watch(self, tensor: Tensor) -> bool:
        """Adds one picture; returns whether the network finds anything in it."""
        values = self._session.run(self._names, {self._spec.input.name: tensor})
        found = {self._spec.input.name: tensor, **dict(zip(self._names, values, strict=True))}
        for name, histogram in self._histograms.items():
            histogram.add(found[name], self._count)
        for name in self._sums:
            if name in found and found[name].ndim == 4:
                self._sums[name] += found[name].mean(axis=(0, 2, 3), dtype=np.float64)
        self._count += 1
        return finds_something(self._spec, found)

    def ranges(self, method: Method) -> dict[str, tuple[float, float]]:
        """Returns each tensor's range, to five digits."""
        found = {name: one.range(method) for name, one in self._histograms.items()}
        return {name: (_short(least), _short(most)) for name, (least, most) in found.items()}

    def means(self) -> dict[str, tuple[float, ...]]:
        """Returns the mean of each channel of what layers with weights read."""
        known = {name: one for name, one in self._sums.items() if np.ndim(one)}
        return {
            name: tuple(_short(value) for value in one / self._count) for name, one in known.items()
        }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _remembered_at(model: ModelFile, pictures: Pictures, method: Method, count: int) -> Path | None:
    cache = user_cache_dir()
    if cache is None:
        return None
    parts = [str(_VERSION), model.sha256, model.spec.input.model_dump_json(), method, str(count)]
    key = hashlib.sha256("\n".join([*parts, pictures.fingerprint]).encode()).hexdigest()
    return cache / "calibration" / f"{model.path.stem}-{key[:20]}.json"


def _recalled(place: Path | None) -> Calibration | None:
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        if place is not None:
            return Calibration.from_cache(place.read_text(encoding="utf-8"))
    return None


def _remember(place: Path | None, found: Calibration) -> None:
    """Writes in one step; a cache that cannot be written is no error."""
    if place is None:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, found.to_cache().encode())
    except OSError as error:
        log.debug("calibration not remembered in %s: %s", place, error)
