"""Frame to result: network input, network, decoding, each timed."""

from __future__ import annotations

import time

from edgeseg.ops.image import network_input
from edgeseg.protocols import Backend, FrameBackend, StageTimer
from edgeseg.segment.decoders import decoder_for
from edgeseg.spec import ModelSpec
from edgeseg.types import Frame, Result


class NetworkSegmenter:
    """A Segmenter made of a recipe and a backend; ``segment`` is thread-safe.

    It owns the backend and closes it.
    """

    def __init__(self, spec: ModelSpec, backend: Backend, *, threshold: float | None = None):
        """threshold: probability from which a pixel counts, None = the model's own."""
        self._spec = spec
        self._backend = backend
        self._whole = backend if isinstance(backend, FrameBackend) else None
        given = spec.decided if self._whole else spec
        self._decoder = decoder_for(given, threshold=threshold)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._spec.name

    def segment(self, frame: Frame, timer: StageTimer) -> Result:
        """Returns the frame's result; records preprocess, infer and decode_result.

        Where a backend takes the frame itself, all it does counts as infer. Raises ModelError when
        the network fails or gives what its recipe does not describe.
        """
        clock, cpu = time.perf_counter, time.thread_time
        wall_0, cpu_0 = clock(), cpu()
        if self._whole:
            wall_1, cpu_1 = wall_0, cpu_0
            outputs, geometry = self._whole.infer_frame(frame)
        else:
            tensor, geometry = network_input(frame, self._spec.input)
            wall_1, cpu_1 = clock(), cpu()
            outputs = self._backend.infer({self._spec.input.name: tensor})
        wall_2, cpu_2 = clock(), cpu()
        result = self._decoder.decode(outputs, geometry)
        wall_3, cpu_3 = clock(), cpu()
        timer.record("preprocess", wall_1 - wall_0, cpu_1 - cpu_0)
        timer.record("infer", wall_2 - wall_1, cpu_2 - cpu_1)
        timer.record("decode_result", wall_3 - wall_2, cpu_3 - cpu_2)
        return result

    def close(self) -> None:
        """Releases the backend."""
        self._backend.close()
