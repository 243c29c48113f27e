"""ONNX Runtime's CUDA provider as a network on a GPU: its tensors stay in device memory.

Written against ONNX Runtime's documentation and source, and tested with its CPU provider on host
memory; it has not run on a GPU yet.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgeseg.backends.options import BackendOptions
from edgeseg.backends.ort import OrtBackend
from edgeseg.backends.ort_session import (
    CPU_ONLY,
    Provider,
    check_available,
    import_ort,
    open_session,
    ort_errors,
    reason,
)
from edgeseg.backends.tensors import neutral_inputs
from edgeseg.backends.variant import file_to_run
from edgeseg.errors import ConfigError, ModelError
from edgeseg.model_file import ModelFile
from edgeseg.protocols import Backend, BackendInfo, DeviceLane, Tensor, TensorInfo

log = logging.getLogger(__name__)

INSTALL = "'edgeseg[gpu]'"


class OrtNetwork:
    """A model for ONNX Runtime on a GPU: a DeviceNetwork.

    A session belongs to the stream it was made with, so that each lane has a session, and with it
    the weights, of its own.
    """

    def __init__(self, model: ModelFile, *, gpu: int = 0, device: str = "cuda") -> None:
        """Reads the model's tensors; sessions open with the lanes. device: "cpu" in tests.

        Raises:
            BackendUnavailable: no onnxruntime here, or without its CUDA provider.
            ModelError: ONNX Runtime cannot load the graph, or it has outputs of no fixed size.
            SpecMismatch: the loaded graph is not what the recipe says.
        """
        self._model, self._gpu, self._device = model, gpu, device
        self._fp16 = model.spec.precision == "fp16"
        if device == "cuda":
            load_cuda_libraries()
        inputs, outputs = fixed_tensors(model)
        self._info = BackendInfo(
            name="onnxruntime-cuda",
            device=device,
            precision=model.spec.precision,
            threads=1,
            inputs=inputs,
            outputs=outputs,
            file=str(model.path),
            sha256=model.sha256,
        )

    @property
    def info(self) -> BackendInfo:
        """What runs the network, and its tensors; every shape is fixed."""
        return self._info

    def lane(self, stream: int) -> DeviceLane:
        """Opens a session that computes on a stream, which must outlive it.

        Raises BackendUnavailable when ONNX Runtime would compute elsewhere, ModelError.
        """
        providers = CPU_ONLY
        if self._device == "cuda":
            options = cuda_options(gpu=self._gpu, stream=stream, fp16=self._fp16)
            providers = (Provider("CUDAExecutionProvider", options, INSTALL),)
        session = open_session(self._model, threads=1, providers=providers)
        return OrtLane(session, self._info, stream=stream, place=(self._device, self._gpu))

    def close(self) -> None:
        """Nothing is left to close but lanes."""


class OrtLane:
    """One session whose inputs and outputs lie at fixed addresses; one run at a time.

    Not capturable: ONNX Runtime copies small tensors from host buffers that it uses again after
    the run, so that a replay of our graph would read something else (onnxruntime PR 32081 is to
    allow it). Its own graphs (``enable_cuda_graph``) are kept per calling thread and captured in
    the mode in which no other thread may allocate meanwhile, and workers share lanes.
    """

    capturable = False

    def __init__(
        self, session: Any, info: BackendInfo, *, stream: int, place: tuple[str, int]
    ) -> None:
        """place: kind and number of the device the addresses belong to."""
        self._session, self._info, self._stream, self._place = session, info, stream, place
        self._binding: Any = None
        self._errors = ort_errors()
        self._options = import_ort().RunOptions()
        # The caller waits for the stream when it needs the result.
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Says where each input is read from and each output is written to.

        Raises ModelError when a tensor has no address.
        """
        tensors = (*self._info.inputs, *self._info.outputs)
        missing = [tensor.name for tensor in tensors if tensor.name not in addresses]
        if missing:
            raise ModelError(f"{self._info.file}: no device address for {', '.join(missing)}")
        binding = self._session.io_binding()
        outputs = {output.name for output in self._info.outputs}
        for tensor in tensors:
            bind = binding.bind_output if tensor.name in outputs else binding.bind_input
            kind, shape = np.dtype(tensor.dtype), [side or 1 for side in tensor.shape]
            bind(tensor.name, *self._place, kind.type, shape, addresses[tensor.name])
        self._binding = binding

    def enqueue(self, stream: int) -> None:
        """Puts one run on the stream the lane was opened with. Raises ModelError."""
        assert stream == self._stream, "a session computes on the stream it was made with"
        assert self._binding is not None, "bind comes before enqueue"
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except self._errors as error:
            raise ModelError(f"{self._info.file}: the network failed: {reason(error)}") from error

    def close(self) -> None:
        """Lets the session and its copy of the weights go."""
        self._binding = self._session = None


def open_ort_cuda(model: ModelFile, options: BackendOptions) -> Backend:
    """Opens a model in ONNX Runtime on an NVIDIA GPU, a lane per worker.

    Raises ConfigError, BackendUnavailable, ModelError.
    """
    if options.precision == "int8":
        raise ConfigError("int8 on onnxruntime-cuda runs in float: use --backend tensorrt")
    if options.dla is not None:
        raise ConfigError("model.dla: onnxruntime-cuda runs on the GPU; use --backend tensorrt")
    check_available(import_ort(), [Provider("CUDAExecutionProvider", {}, INSTALL)])
    file = file_to_run(model, options.precision)
    from edgeseg.backends.gpu import GpuBackend
    from edgeseg.cuda import open_driver

    driver = open_driver(kind=options.cuda, gpu=options.gpu)
    try:
        network = OrtNetwork(file, gpu=options.gpu)
    except BaseException:
        driver.close()
        raise
    return GpuBackend(file.spec, network, driver, lanes=options.workers)


def cuda_options(*, gpu: int, stream: int, fp16: bool) -> dict[str, str]:
    """Returns the CUDA provider's options: compute on our stream, FP32 as FP32.

    Channels come last for FP16 only: that is what tensor cores take.
    """
    return {
        "device_id": str(gpu),
        "user_compute_stream": str(stream),
        "use_tf32": "0",
        "prefer_nhwc": str(int(fp16)),
        "cudnn_conv_algo_search": "EXHAUSTIVE",  # once, in the warm-up
        "cudnn_conv_use_max_workspace": "1",
        "arena_extend_strategy": "kSameAsRequested",
    }


def fixed_tensors(model: ModelFile) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Returns a model's inputs and outputs with every side known, by running it once on the CPU.

    Only the outputs the recipe names, in its order. Raises ModelError when a side depends on what
    is in the picture.
    """
    backend = OrtBackend(model, graph_level="basic")
    try:
        shape = tuple(model.spec.input.shape)
        inputs = tuple(replace(info, shape=shape) for info in backend.info.inputs)
        outputs = [_run_shapes(backend, replace(backend.info, inputs=inputs), s) for s in (0, 255)]
    finally:
        backend.close()
    if outputs[0] != outputs[1]:
        raise ModelError(
            f"{model.path}: the size of its outputs depends on the picture; "
            "use --backend onnxruntime"
        )
    return inputs, outputs[0]


def _run_shapes(backend: OrtBackend, info: BackendInfo, level: int) -> tuple[TensorInfo, ...]:
    feeds: dict[str, Tensor] = {
        name: np.full_like(tensor, level) for name, tensor in neutral_inputs(info).items()
    }
    found = backend.infer(feeds)
    return tuple(TensorInfo(name, each.shape, each.dtype.name) for name, each in found.items())


def load_cuda_libraries() -> None:
    """Has ONNX Runtime load CUDA and cuDNN from the packages they were installed with, if it can.

    It prints what it does not find; what matters is raised when the session opens.
    """
    preload = getattr(import_ort(), "preload_dlls", None)
    if preload is None:
        return
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        preload()
    log.debug("onnxruntime.preload_dlls: %s", said.getvalue().strip() or "all found")
