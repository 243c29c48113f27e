"""ONNX Runtime: the backend that runs everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeseg.backends.options import BackendOptions
from edgeseg.backends.options import GraphLevel as GraphLevel
from edgeseg.backends.ort_session import CPU_ONLY, Provider, open_session, ort_errors, reason
from edgeseg.backends.ort_session import GRAPH_LEVELS as GRAPH_LEVELS
from edgeseg.backends.ort_session import tensor_info as tensor_info
from edgeseg.backends.tensors import check_tensors
from edgeseg.backends.tensors import neutral_inputs as neutral_inputs
from edgeseg.backends.variant import file_for_cpu
from edgeseg.errors import ModelError
from edgeseg.model_file import ModelFile
from edgeseg.protocols import BackendInfo, Tensor


class OrtBackend:
    """One network in one ONNX Runtime session.

    ``infer`` may be called from several threads at once; each call gets arrays of its own. With
    ``threads`` 1 the network runs in the calling thread.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        threads: int = 1,
        graph_level: GraphLevel = "all",
        providers: Sequence[Provider] = CPU_ONLY,
        name: str = "onnxruntime",
        device: str = "cpu",
    ) -> None:
        """Loads a model whose recipe was checked by ``load_model``.

        name, device: what ``info`` is to call it.

        Raises:
            BackendUnavailable: no onnxruntime here, or not the providers asked for.
            ModelError: ONNX Runtime cannot load the graph.
            SpecMismatch: the loaded graph is not what the recipe says.
        """
        self._session = open_session(
            model, threads=threads, graph_level=graph_level, providers=providers
        )
        self._errors = ort_errors()
        self._where = str(model.path)
        self._info = BackendInfo(
            name=name,
            device=device,
            precision=model.spec.precision,
            threads=threads,
            inputs=tuple(tensor_info(i) for i in self._session.get_inputs()),
            outputs=tuple(tensor_info(o) for o in self._session.get_outputs()),
            file=str(model.path),
            sha256=model.sha256,
        )
        check_tensors(model.spec, self._info)
        self._names = [output.name for output in model.spec.outputs]

    @property
    def info(self) -> BackendInfo:
        """What runs the network, and its tensors."""
        return self._info

    def infer(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs the network once and returns the outputs the recipe names.

        Raises ModelError when an input has the wrong name, shape or dtype, or the network fails.
        """
        try:
            values = self._session.run(self._names, inputs)
        except self._errors as error:
            raise ModelError(f"{self._where}: the network failed: {reason(error)}") from error
        return dict(zip(self._names, values, strict=True))

    def warm_up(self) -> None:
        """Runs the network once on a grey picture, so that the first frame is not the slow one."""
        self.infer(neutral_inputs(self._info))

    def close(self) -> None:
        """Lets the session go; a call still running in another thread finishes first."""
        self._session = None


def open_ort(model: ModelFile, options: BackendOptions) -> OrtBackend:
    """Opens the file of a precision in ONNX Runtime on the CPU. Raises as OrtBackend does."""
    file = file_for_cpu(model, options.precision)
    return OrtBackend(file, threads=options.threads, graph_level=options.graph_level)
