"""What comes back from a network on a GPU: a byte per pixel, or its outputs as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseg.cuda.driver import Driver
from edgeseg.cuda.kernels import Kernels
from edgeseg.cuda.memory import Memory
from edgeseg.cuda.recipes import SCORE_RECIPE, score_recipe
from edgeseg.cuda.tensors import fixed_shape
from edgeseg.errors import ModelError
from edgeseg.once import TellOnce
from edgeseg.protocols import Tensor, TensorInfo
from edgeseg.spec import ModelSpec

_NOT_NUMBERS = "is the model file damaged, or are mean and std wrong?"


class Results(Protocol):
    """Outputs of one lane. ``damaged`` is the address of the kernels' flag."""

    damaged: int

    def enqueue(self, stream: int) -> None: ...
    def take(self) -> dict[str, Tensor]: ...
    def close(self) -> None: ...


def results_for(
    driver: Driver,
    kernels: Kernels,
    spec: ModelSpec,
    infos: Sequence[TensorInfo],
    addresses: Mapping[str, int],
    tell: TellOnce,
) -> Results:
    """Returns how ``spec.decided`` comes from a network's outputs at these addresses.

    Raises ModelError for an output that no kernel can read.
    """
    if spec.outputs_as in ("semantic", "person"):
        return Decision(driver, kernels, spec, infos, addresses, tell)
    return Downloads(driver, spec, infos, addresses)


class Decision:
    """Class numbers or probabilities made by a kernel, downloaded with its flag in one copy.

    Class numbers are made at the size of the network's input: without their scores nobody can
    smooth them later.
    """

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        spec: ModelSpec,
        infos: Sequence[TensorInfo],
        addresses: Mapping[str, int],
        tell: TellOnce,
    ) -> None:
        self._driver = driver
        self._kernels = kernels
        self._tell = tell
        self._labels = spec.outputs_as == "semantic"
        self._name = spec.outputs[0].name
        self._scores = addresses[self._name]
        info = next(info for info in infos if info.name == self._name)
        recipe = score_recipe(spec.outputs[0], info, spec.input.size if self._labels else None)
        width, height = int(recipe["width"]), int(recipe["height"])
        self._shape = (1, height, width) if self._labels else (1, 1, height, width)
        self._pixels = height * width
        self._memory = Memory(driver)
        flag = -(-self._pixels // 4) * 4
        self._out = self._memory.device(flag + 4)
        self.damaged = self._out + flag
        self._host = self._memory.pinned((flag + 4,))
        self._flag = self._host[flag:].view(np.uint32)
        self._recipe = self._memory.device(SCORE_RECIPE.itemsize)
        self._upload(recipe)

    def _upload(self, recipe: np.void) -> None:
        told = self._memory.pinned((1,), SCORE_RECIPE)
        told[0] = recipe
        stream = self._driver.stream()
        self._driver.upload(self._recipe, told, stream)
        self._driver.synchronize(stream)
        self._driver.close_stream(stream)

    def enqueue(self, stream: int) -> None:
        """Puts the kernel and the download on a stream."""
        self._kernels.decide(
            "scores_to_labels" if self._labels else "person_to_bytes",
            scores=self._scores,
            recipe=self._recipe,
            out=self._out,
            damaged=self.damaged,
            pixels=self._pixels,
            stream=stream,
        )
        self._driver.download(self._host, self._out, stream)

    def take(self) -> dict[str, Tensor]:
        """Returns a copy of what was downloaded; scores that are no numbers as on a processor.

        Raises ModelError for class scores that are none; a person is then nowhere, said once.
        """
        values: NDArray[Any] = self._host[: self._pixels].reshape(self._shape).copy()
        if self._flag[0] and self._labels:
            raise ModelError(f"output {self._name!r} holds NaN or infinity: {_NOT_NUMBERS}")
        if self._flag[0]:
            values[...] = 0
            self._tell(
                "output %r holds NaN or infinity; such frames count as all background: %s",
                self._name,
                _NOT_NUMBERS,
            )
        return {self._name: values}

    def close(self) -> None:
        """Frees its memory."""
        self._memory.close()


class Downloads:
    """Outputs as the network gives them."""

    def __init__(
        self,
        driver: Driver,
        spec: ModelSpec,
        infos: Sequence[TensorInfo],
        addresses: Mapping[str, int],
    ) -> None:
        self._driver = driver
        self._memory = Memory(driver)
        self.damaged = self._memory.device(4)
        self._from = {output.name: addresses[output.name] for output in spec.outputs}
        self._hosts = {
            info.name: self._memory.pinned(fixed_shape(info), info.dtype)
            for info in infos
            if info.name in self._from
        }

    def enqueue(self, stream: int) -> None:
        """Puts the downloads on a stream."""
        for name, host in self._hosts.items():
            self._driver.download(host, self._from[name], stream)

    def take(self) -> dict[str, Tensor]:
        """Returns copies of what was downloaded."""
        return {name: host.copy() for name, host in self._hosts.items()}

    def close(self) -> None:
        """Frees its memory."""
        self._memory.close()
