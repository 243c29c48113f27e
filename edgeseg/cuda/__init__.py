"""The GPU below TensorRT and ONNX Runtime: memory, streams, kernels, graphs."""
