"""The GPU below TensorRT and ONNX Runtime: memory, streams, kernels, graphs."""

from edgeseg.cuda.driver import Driver, GpuInfo
from edgeseg.cuda.libcuda import Probe, gpus, probe
from edgeseg.cuda.opening import open_driver

__all__ = ["Driver", "GpuInfo", "Probe", "gpus", "open_driver", "probe"]
