"""FP16 and INT8 files from an FP32 ONNX; needs the ``onnx`` package, never used while running."""
