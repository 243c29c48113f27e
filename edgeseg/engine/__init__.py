"""TensorRT engines: built on the device that runs them, kept with what they were built for.

``build.ensure_engine`` is the way in and gives an ``EngineFile``; ``runtime.open_engine`` loads it.
One path serves TensorRT 8.5 to 11.4 and TensorRT-RTX: what a version has is asked by name. Built
with TensorRT-RTX 1.7 and with fakes of the others; no engine has run on a GPU so far.
"""
