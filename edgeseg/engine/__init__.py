"""TensorRT engines: built on the device that runs them, kept with what they were built for."""
