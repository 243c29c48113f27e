"""How a fake TensorRT builds: what it checks, and the plan it gives."""

from __future__ import annotations

import json
from typing import Any

from fake_driver import need_context
from fake_tensorrt import say

MAGIC = b"fake TensorRT engine\n"


def build(world: Any, logger: Any, network: Any, config: Any) -> Any:
    """Returns the plan as IHostMemory, or None after saying why."""
    target = config._targets.get(0)
    if world.gpu is not None and (target is None or target.name == "CURRENT"):
        need_context()
    problem = _problem(world, network, config)
    if problem:
        return say(logger, "ERROR", problem)
    if not _report_progress(config):
        return say(logger, "ERROR", "Error Code 2: Internal Error (Build cancelled)")
    if config._timing_cache is not None:
        config._timing_cache._count += network.num_layers
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    shapes = config._profiles[0]._shapes if config._profiles else {}
    sm = _of_target(target, world) if target is not None else "{}.{}".format(*world.gpu.sm)
    plan = {
        "version": world.version,
        "rtx": world.rtx,
        "sm": sm,
        "typed": network._typed,
        "flags": sorted(flag.name for flag in config._enabled),
        "layers": _layers(world, logger, network, config),
        "profile": {i.name: shapes.get(i.name, (i.shape,) * 3) for i in inputs},
        "level": config.__dict__.get("_builder_optimization_level"),
    }
    model = network._model.SerializeToString()
    return world.module.IHostMemory(MAGIC + json.dumps(plan).encode() + b"\n" + model)


def _problem(world: Any, network: Any, config: Any) -> str:
    flags = {flag.name for flag in config._enabled}
    ops = {node.op_type for node in network._model.graph.node}
    on_dla = config._default_device_type.name == "DLA"
    dynamic = any(-1 in network.get_input(i).shape for i in range(network.num_inputs))
    rules = {
        "Error Code 2: OutOfMemory (Requested size was 536870912 bytes.)": "memory" in world.faults,
        "Error Code 10: Internal Error (Could not find any implementation for node Conv_7.)": (
            "no tactic" in world.faults
        ),
        "Error Code 9: API Usage Error (Target GPU SM 87 is not supported by this TensorRT)": (
            "sm" in world.faults
        ),
        "kFP16 is not allowed in a strongly typed network": network._typed
        and bool(flags & {"FP16", "INT8"}),
        "QuantizeLinear needs the INT8 flag": "QuantizeLinear" in ops
        and not network._typed
        and "INT8" not in flags,
        "DLA layers need kFP16 or kINT8": on_dla and not network._typed and "FP16" not in flags,
        "Layer cannot run on DLA and GPU_FALLBACK is not set": on_dla
        and "GPU_FALLBACK" not in flags,
        "Network has dynamic inputs, but no optimization profile": dynamic and not config._profiles,
        "No GPU to build for": world.gpu is None and not config._targets,
    }
    return next((text for text, broken in rules.items() if broken), "")


def _of_target(target: Any, world: Any) -> str:
    if target.name == "CURRENT":
        return "{}.{}".format(*world.gpu.sm)
    return f"{target.value // 10}.{target.value % 10}"


def _layers(world: Any, logger: Any, network: Any, config: Any) -> list[dict[str, str]]:
    on_dla = config._default_device_type.name == "DLA"
    layers = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        dla = on_dla and config.can_run_on_DLA(layer)
        layers.append({"Name": layer.name, "LayerType": "DLA" if dla else layer._op})
    if world.rtx:
        return []
    say(logger, "INFO", f"[GpuLayer] {len(layers)} layers")
    return layers


def _report_progress(config: Any) -> bool:
    """Reports as TensorRT does, from steps within phases; False = the monitor ends the build."""
    monitor = config.__dict__.get("_progress_monitor")
    if monitor is None:
        return True
    monitor.phase_start("Building Engine", None, 2)
    monitor.phase_start("Tactic selection", "Building Engine", 2)
    steps = (("Tactic selection", 0), ("Tactic selection", 1), ("Building Engine", 0))
    for name, step in steps:
        if monitor.step_complete(name, step) is not True:
            return False
    monitor.phase_finish("Tactic selection")
    monitor.phase_finish("Building Engine")
    return True
