"""The GPU below TensorRT and ONNX Runtime: memory, streams, kernels, graphs.

Both drivers, graphs and kernels run in tests on a stand-in for NVIDIA's driver library that
computes on the processor; on a GPU they have not run yet.
"""

from edgeseg.cuda.driver import Driver, GpuInfo
from edgeseg.cuda.libcuda import Probe, gpus, probe
from edgeseg.cuda.opening import open_driver

__all__ = ["Driver", "GpuInfo", "Probe", "gpus", "open_driver", "probe"]
