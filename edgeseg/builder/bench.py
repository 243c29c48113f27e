"""Opening a model's files side by side, on the backend they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseg.backends import OrtBackend, open_backend
from edgeseg.backends.options import BackendOptions
from edgeseg.builder.files import Stage
from edgeseg.builder.judge import Judge, Score
from edgeseg.builder.options import BuildOptions
from edgeseg.builder.target import Target
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend
from edgeseg.spec import Precision, Variant
from edgeseg.types import Frame

REFERENCE = "onnxruntime"
"""What FP32's accuracy is measured with, whatever is built for."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A model, where its files will run, and a place for those on trial.

    clip: consecutive frames for flicker, may be empty. clip_name: of the file they come from.
    """

    model: ModelFile
    target: Target
    options: BuildOptions
    stage: Stage
    clip: Sequence[Frame] = ()
    clip_name: str = ""

    def open(self, precision: Precision, file: ModelFile | None) -> Backend:
        """Opens what is built for, in one thread: a file, or what a GPU backend finds for itself.

        Raises BackendUnavailable, ModelError.
        """
        options = BackendOptions(
            precision=precision,
            gpu=self.options.gpu,
            dla=self.options.dla if precision == "fp16" else None,
            rebuild=self.options.rebuild,
        )
        on_cpu = None if self.target.on_gpu else file
        return open_backend(on_cpu or self.model, kind=self.target.backend, options=options)

    def reference(self) -> Backend:
        """Opens the FP32 model as it is on ONNX Runtime's CPU provider."""
        return open_backend(self.model, kind=REFERENCE, options=BackendOptions())

    def reference_score(self, judge: Judge) -> Score:
        """Returns the score of FP32's reference."""
        backend = self.reference()
        try:
            return judge.score(backend)
        finally:
            backend.close()

    def on_trial(self, variant: Variant, data: bytes) -> ModelFile:
        """Returns a file that was made, loaded from where it is on trial."""
        return self.stage.load(self.model, variant, data)

    def score(self, file: ModelFile, judge: Judge) -> Score:
        """Scores a file on a CPU; what is for TensorRT without fusing away its rounding.

        Only FP32-typed ones: ONNX Runtime 1.31's optimiser makes FP16-typed INT8 files wrong
        (measured: person IoU 0.53 instead of 0.92; right with all optimisation off).
        """
        backend: Backend
        if self.target.on_gpu:
            backend = OrtBackend(file, graph_level="basic")
        else:
            options = BackendOptions(precision=file.spec.precision)
            backend = open_backend(file, kind=self.target.backend, options=options)
        try:
            return judge.score(backend)
        finally:
            backend.close()
