"""A process of its own that builds an engine: ``building_process.py MODEL FOLDER PAUSE_AT``.

Prints ``at PAUSE_AT`` and waits there: ``build`` in the middle of the build, ``rename`` when the
engine is written but not yet in its place, ``never`` nowhere. Ends with ``built=True`` or not.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(model: str, folder: str, pause_at: str) -> None:
    from engine_kit import driver_of, request_of
    from fake_tensorrt import FakeGpu, make_tensorrt

    from edgeseg.engine.build import ensure_engine
    from edgeseg.model_file import load_model

    def pause(where: str) -> None:
        if where == pause_at:
            say(f"at {where}")
            time.sleep(30 if where != "slowly" else 0)
        elif pause_at == "slowly":
            time.sleep(0.3)

    replace = os.replace

    def slow_replace(source: Any, target: Any) -> None:
        if str(target).endswith(".engine"):
            pause("rename")
        replace(source, target)

    vars(os)["replace"] = slow_replace
    sys.modules["tensorrt"] = make_tensorrt("10.3.0", FakeGpu())
    made = ensure_engine(
        load_model(model),
        request_of("10.3.0", Path(folder)),
        driver=driver_of(),
        progress=lambda phase, share: pause("build"),
    )
    say(f"built={made.built} {made.manifest.engine_sha256}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
