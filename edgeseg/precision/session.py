"""ONNX Runtime on the CPU, to measure a network while it is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.errors import ModelError
from edgeseg.ort_import import import_ort, ort_errors
from edgeseg.spec import one_line


def open_session(data: bytes, where: str, *, threads: int = 1, basic_to: Path | None = None) -> Any:
    """Returns a session of an ONNX file.

    basic_to: where to write the graph after basic optimisation, which is then all there is.
    Raises ModelError naming ``where`` when ONNX Runtime cannot load it.
    """
    ort = import_ort()
    levels = ort.GraphOptimizationLevel
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if basic_to is not None:
        options.graph_optimization_level = levels.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(basic_to)
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except ort_errors() as error:
        raise ModelError(
            f"{where}: onnxruntime {ort.__version__} cannot load it: {one_line(error)}"
        ) from error


def signal_to_noise_db(signal: Any, other: Any) -> float:
    """Returns how much of a signal is left in another, in dB; 200 where they are the same."""
    exact = np.asarray(signal, np.float64)
    noise = float(((exact - other) ** 2).sum())
    power = float((exact**2).sum())
    if noise == 0 or power == 0:
        return 200.0 if noise == 0 else -200.0
    return min(float(10 * np.log10(power / noise)), 200.0)
