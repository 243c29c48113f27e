"""Puts the figures of an INT8 file, as ``edgeseg build --json`` reported them, on its model's card.

    python tools/add_build.py engines/driving.yaml R.json --command "edgeseg build ..."

Calling it again replaces what it wrote. ``--not-shipped`` says that the file does not come along.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edgeseg.spec import ModelSpec


def int8_metrics(report: dict[str, Any], *, shipped: bool) -> dict[str, Any]:
    """What a card says: scores, what they lost, time, flicker, how the file was made."""
    gate = report["gate"]
    ours, fp32 = gate["scores"]["int8"], gate["scores"]["fp32"]
    scores, before = _scores(ours), _scores(fp32)
    calibration = report["calibration"]
    flicker = {}
    if gate["clip"] is not None:
        flicker["flicker"] = {
            "clip": f"{gate['clip']['file']}, {gate['clip']['frames']} frames",
            "fp32": round(fp32["flicker"], 4),
            "int8": round(ours["flicker"], 4),
        }
    return {
        **({} if shipped else {"shipped": False}),
        **scores,
        "fp32_same_run": before,
        "points_lost": round(gate["drop"], 2) + 0.0,  # no minus before a zero
        "scored_on": f"{gate['data']['data']}/{gate['data']['split']}",
        "calibrated_on": f"{calibration['images']} pictures of {calibration['data']}, "
        f"{calibration['method']}",
        "layers_in_float": [one["layer"] for one in gate["kept"]],
        **flicker,
        "speed": {
            "median_ms": ours["ms"],
            "fp32_ms": fp32["ms"],
            "ratio": gate["speed"]["ratio"],
            "device": f"{gate['device']['cpu']}, 1 thread, {gate['speed']['backend']}",
            "date": gate["date"],
        },
    }


def _scores(row: dict[str, Any]) -> dict[str, float]:
    """A precision's scores, named as the card's other keys are."""
    others = {"drop", "flicker", "ms", "bytes"}
    return {
        name.replace(" ", "_").lower(): round(value, 4)
        for name, value in row.items()
        if name not in others
    }


def with_build(
    card: ModelSpec, report: dict[str, Any], command: str, *, shipped: bool
) -> ModelSpec:
    """The card with an INT8 section, and the command that made the file as the last one."""
    earlier = [text for text in card.commands if not text.startswith("edgeseg build ")]
    metrics = {**card.metrics, "int8": int8_metrics(report, shipped=shipped)}
    return card.model_copy(update={"metrics": metrics, "commands": (*earlier, command)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--not-shipped", action="store_true")
    given = parser.parse_args()
    report = json.loads(given.report.read_text(encoding="utf-8"))
    card = ModelSpec.from_card(given.card)
    made = with_build(card, report, given.command, shipped=not given.not_shipped)
    given.card.write_text(made.to_card(), encoding="utf-8")


if __name__ == "__main__":
    main()
