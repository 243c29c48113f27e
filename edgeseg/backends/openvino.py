"""OpenVINO: on Intel's and AMD's processors the faster one for INT8, often for float, too."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edgeseg.backends.remembered import cache_folder
from edgeseg.backends.tensors import check_tensors, neutral_inputs, wrong_inputs
from edgeseg.errors import BackendUnavailable, ModelError
from edgeseg.file_lock import file_lock
from edgeseg.model_file import ModelFile
from edgeseg.protocols import BackendInfo, Tensor, TensorInfo
from edgeseg.spec import one_line

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""Compiling takes a fraction of it; then the network is compiled without the cache."""


class OpenvinoBackend:
    """One network compiled by OpenVINO for the CPU.

    ``infer`` may be called from several threads at once: each call takes an infer request of its
    own, ``workers`` of them run side by side with ``threads`` each, and what it returns is the
    caller's.
    """

    def __init__(self, model: ModelFile, *, threads: int = 1, workers: int = 1) -> None:
        """Compiles a model whose recipe was checked by ``load_model``; free axes are fixed.

        Raises:
            BackendUnavailable: no OpenVINO here.
            ModelError: OpenVINO cannot load the graph.
            SpecMismatch: the loaded graph is not what the recipe says.
        """
        self._where = str(model.path)
        self._compiled = _compile(model, threads, workers)
        self._idle: deque[Any] = deque()
        self._info = BackendInfo(
            name="openvino",
            device="cpu",
            precision=model.spec.precision,
            threads=threads,
            inputs=tuple(_tensor_info(port) for port in self._compiled.inputs),
            outputs=tuple(_tensor_info(port) for port in self._compiled.outputs),
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
        wrong = wrong_inputs(self._info.inputs, inputs)  # OpenVINO would convert other dtypes
        if wrong:
            raise ModelError(f"{self._where}: the network failed: {wrong}")
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            results = request.infer(dict(inputs), share_inputs=True)  # outputs are copied
        except RuntimeError as error:
            raise ModelError(f"{self._where}: the network failed: {_reason(error)}") from error
        finally:
            self._idle.append(request)
        return {name: results[name] for name in self._names}

    def warm_up(self) -> None:
        """Runs the network once on a grey picture, so that the first frame is not the slow one."""
        self.infer(neutral_inputs(self._info))

    def close(self) -> None:
        """Lets the network go; a call still running in another thread finishes first."""
        self._idle.clear()
        self._compiled = None


def _compile(model: ModelFile, threads: int, workers: int) -> Any:
    openvino = import_openvino()
    try:
        core = openvino.Core()
        # From the file, not from its bytes: weights may lie in files beside it.
        network = core.read_model(str(model.path))
        if network.is_dynamic():
            network.reshape({model.spec.input.name: list(model.spec.input.shape)})
        with ExitStack() as stack:
            settings = _settings(core, threads, workers) | _cache(stack)
            compiled = core.compile_model(network, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(
            f"{model.path}: openvino {version(openvino)} cannot load it: {_reason(error)}"
        ) from error
    log.info("openvino %s: %d x %d thread(s)", version(openvino), workers, threads)
    return compiled


def _settings(core: Any, threads: int, workers: int) -> dict[str, object]:
    """Returns OpenVINO's properties, those that this version and processor know.

    Pinned threads of two compiled networks land on the same core: x1.49 without (measured). The
    float parts are computed in f32, where OpenVINO takes bfloat16 by itself if the CPU has it.
    """
    wanted: dict[str, object] = {
        "INFERENCE_NUM_THREADS": threads * workers,  # of all streams together
        "NUM_STREAMS": workers,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    known = core.get_property("CPU", "SUPPORTED_PROPERTIES")
    return {key: value for key, value in wanted.items() if key in known}


def _cache(stack: ExitStack) -> dict[str, object]:
    """Returns OpenVINO's setting of a cache folder, its own until the stack ends; {} without one.

    It maps the file of a compiled network into memory while another process may still be writing
    that: of three first starts at once one died of SIGBUS (2026.4).
    """
    folder = cache_folder("openvino")
    if folder is None:
        return {}
    try:
        stack.enter_context(file_lock(Path(folder) / ".lock", patience_s=PATIENCE_S))
    except OSError as error:
        log.debug("openvino's cache is left aside: %s", error)
        return {}
    return {"CACHE_DIR": folder}


def import_openvino() -> Any:
    """Returns the openvino module. Raises BackendUnavailable where it cannot be imported."""
    try:
        with _telemetry_off():
            import openvino
    except ImportError as error:
        raise BackendUnavailable(
            f"openvino is not usable here: {one_line(error)}; pip install 'edgeseg[openvino]'"
        ) from error
    return openvino


@contextmanager
def _telemetry_off() -> Iterator[None]:
    """Keeps an OpenVINO imported meanwhile from reporting to its maker.

    Seen in 2026.4: ``import openvino`` writes an id below the home folder and, from a process it
    forks, sends an event to Google Analytics without having asked. It does neither, and takes a
    stand-in of its own, where the package for it is not installed: that is what it finds here.
    """
    name = "openvino_telemetry"
    before = {name: sys.modules[name]} if name in sys.modules else {}
    sys.modules[name] = None  # type: ignore[assignment]  # Python's way to forbid an import
    try:
        yield
    finally:
        del sys.modules[name]
        sys.modules.update(before)


def version(openvino: Any) -> str:
    """Returns "2026.4.1" for "2026.4.1-22982-e213a147257-releases/2026/4"."""
    return str(openvino.__version__).partition("-")[0]


def _reason(error: Exception) -> str:
    """Returns OpenVINO's message without source locations, on one line; what it sums up, if so."""
    text = str(error).rpartition("Summary:")[2]
    noise = ("Exception from ", "FrontEnd API failed")
    lines = [line.strip() for line in text.splitlines()]
    kept = " ".join(line for line in lines if line and not line.startswith(noise))
    return kept if len(kept) <= 300 else kept[:297] + "..."


def _tensor_info(port: Any) -> TensorInfo:
    shape = tuple(side.get_length() if side.is_static else None for side in port.partial_shape)
    return TensorInfo(port.any_name, shape, port.element_type.to_dtype().name)
