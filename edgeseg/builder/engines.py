"""TensorRT engines of a build. Never run on a GPU so far."""

from __future__ import annotations

import json
from typing import Any

from edgeseg.builder.bench import Bench


def build_engine(bench: Bench) -> dict[str, Any]:
    """Finds or builds the engine of what is asked for; returns what the report says of it.

    Raises BackendUnavailable without a GPU or TensorRT, ModelError when it cannot be built, and
    ConfigError when it cannot be kept.
    """
    from edgeseg.cuda import open_driver
    from edgeseg.engine.build import ensure_engine
    from edgeseg.engine.request import EngineRequest

    options = bench.options
    request = EngineRequest(
        precision=options.precision,
        rtx=bench.target.backend == "tensorrt-rtx",
        dla=options.dla,
        rebuild=options.rebuild,
    )
    driver = open_driver("auto", options.gpu)
    try:
        file = ensure_engine(bench.model, request, driver=driver)
    finally:
        driver.close()
    manifest = json.loads(file.manifest.to_json())
    return {"path": str(file.path), "built": file.built, "reason": file.reason, **manifest}
