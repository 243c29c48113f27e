"""A ``tensorrt`` module of one version, made from its table of names, that builds and runs.

Names, enum members, methods and properties the version lacks raise AttributeError; wrong arguments
raise TypeError, as pybind11 does. Engines run in ONNX Runtime on the addresses they are given,
which must be host memory (``fake_driver``).
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

TABLES = Path(__file__).parent / "tensorrt_api"
VERSIONS = ("8.5.2", "8.6.1", "10.3.0", "10.13.3.9", "11.4.0.106")
RTX = "rtx-1.7.1.116"
LACKING: dict[str, tuple[str, tuple[str, ...]]] = {
    "8.5.2": (
        "8.6.1",
        (
            "IBuilderConfig.builder_optimization_level",
            "IBuilderConfig.hardware_compatibility_level",
            "IBuilderConfig.max_aux_streams",
            "IExecutionContext.set_aux_streams",
            "ICudaEngine.num_aux_streams",
            "ICudaEngine.hardware_compatibility_level",
            "BuilderFlag.VERSION_COMPATIBLE",
            "BuilderFlag.EXCLUDE_LEAN_RUNTIME",
            "Runtime.engine_host_code_allowed",
            "OnnxParser.set_flag",
            "OnnxParserFlag",
            "HardwareCompatibilityLevel",
        ),
    )
}
"""A version without a table of its own: the nearest table, and what was added between the two."""


@dataclass
class FakeGpu:
    """The GPU a fake TensorRT sees. memory: bytes a build may take."""

    sm: tuple[int, int] = (8, 7)
    name: str = "Orin"
    memory: int = 1 << 33
    dla_cores: int = 0


class Crashed(BaseException):
    """What would have ended the process: real TensorRT dereferences null without a driver."""


def make_tensorrt(
    version: str, gpu: FakeGpu | None = None, *, faults: tuple[str, ...] = ()
) -> ModuleType:
    """Returns the module; ``gpu`` None is a machine without a driver.

    faults: what goes wrong: ``memory``, ``no tactic``, ``sm`` at a build, ``memory at load``.
    """
    import fake_tensorrt_classes
    import fake_tensorrt_runtime

    behaviour = {**fake_tensorrt_classes.BEHAVIOUR, **fake_tensorrt_runtime.BEHAVIOUR}
    table, lacking = read_table(version)
    module = ModuleType("tensorrt_rtx" if version.startswith("rtx") else "tensorrt")
    module.__version__ = version.removeprefix("rtx-")  # type: ignore[attr-defined]
    world = World(module, version.removeprefix("rtx-"), version.startswith("rtx"), gpu, faults)
    for name, listed in table["classes"].items():
        if name not in lacking:
            setattr(module, name, _make_class(name, listed, world, behaviour.get(name), lacking))
    for value, dtype in _VALUES.items():
        if value in table["values"]:
            setattr(module, value, getattr(module.DataType, dtype))
    module.nptype = lambda trt_type: np.dtype(_NUMPY[trt_type.name]).type  # type: ignore[attr-defined]
    module.volume = lambda iterable: int(np.prod(tuple(iterable)))  # type: ignore[attr-defined]
    return module


@dataclass
class World:
    """What every class of one fake module shares. seen: what was asked of it, for the tests."""

    module: ModuleType
    version: str
    rtx: bool
    gpu: FakeGpu | None
    faults: tuple[str, ...]

    def __post_init__(self) -> None:
        self.seen: list[Any] = []
        self.loggers: set[int] = set()

    def has(self, path: str) -> bool:
        """Says whether this version has ``Class.member``."""
        name, _, member = path.partition(".")
        found = getattr(self.module, name, None)
        return found is not None and (not member or hasattr(found, member))


_VALUES = {"float32": "FLOAT", "float16": "HALF", "int8": "INT8", "uint8": "UINT8"}
_NUMPY = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64",
    "UINT8": "uint8", "BOOL": "bool",
}  # fmt: skip


def read_table(version: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns a version's table and the names to leave out of it."""
    nearest, lacking = LACKING.get(version, (version, ()))
    return json.loads((TABLES / f"{nearest}.json").read_text(encoding="utf-8")), lacking


def _make_class(
    name: str,
    listed: dict[str, Any],
    world: World,
    behaviour: type | None,
    lacking: tuple[str, ...],
) -> type:
    if "e" in listed:
        return _make_enum(
            name, {k: v for k, v in listed["e"].items() if f"{name}.{k}" not in lacking}
        )
    methods = {k: v for k, v in listed.get("m", {}).items() if f"{name}.{k}" not in lacking}
    properties = {k: v for k, v in listed.get("p", {}).items() if f"{name}.{k}" not in lacking}
    body: dict[str, Any] = {
        "_world": world,
        "_writable": set(),
        "__module__": world.module.__name__,
    }
    for method, overloads in methods.items():
        if method != "__init__":
            body[method] = _method(f"{name}.{method}", overloads, getattr(behaviour, method, None))
    for key, access in properties.items():
        body[key] = _property(f"{name}.{key}", access, behaviour)
    for nested, what in listed.get("n", {}).items():
        if "enum" in what:
            body[nested] = _make_enum(nested, what["enum"])
            body.update({member.name: member for member in body[nested]})
    body["__init__"] = _init(name, methods.get("__init__"), behaviour)
    body["__setattr__"] = _set_known(set(properties))
    bases = tuple(getattr(world.module, base) for base in listed.get("b", ()) if world.has(base))
    if name == "IHostMemory":
        bases = (bytes,)
        body.pop("__init__")
    return type(name, bases or (object,), body)


def _make_enum(name: str, members: dict[str, int]) -> type:
    made = enum.Enum(name, members)  # type: ignore[misc]
    made.__int__ = lambda self: self.value  # type: ignore[attr-defined]
    return made


def _bind(where: str, overloads: list[str], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raises TypeError when no overload takes these arguments, by number and by name."""
    for overload in overloads:
        names = [part for part in overload.split(",") if part]
        if overload == "*":
            return
        known = [part.rstrip("=") for part in names]
        given = {*known[: len(args)], *options}
        needed = {part for part in names if not part.endswith("=")}
        fits = len(args) <= len(known) and set(options) <= set(known[len(args) :])
        if fits and needed <= given:
            return
    raise TypeError(
        f"{where}(): incompatible function arguments: {args} {options}, known: {overloads}"
    )


def _method(where: str, overloads: list[str], behaviour: Any) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        _bind(where, overloads, args, options)
        if behaviour is None:
            raise NotImplementedError(f"{where} exists in this version, but is not faked")
        return behaviour(self, *args, **options)

    return call


def _property(where: str, access: str, behaviour: type | None) -> property:
    key = where.rpartition(".")[2]
    own = vars(behaviour).get(key) if behaviour is not None else None

    def get(self: Any) -> Any:
        if "r" not in access:
            raise AttributeError(f"unreadable attribute {where}")
        if isinstance(own, property):
            return own.__get__(self)
        return self.__dict__.get(f"_{key}", own)

    def set_(self: Any, value: Any) -> None:
        if "w" not in access:
            raise AttributeError(f"can't set attribute {where}")
        self.__dict__[f"_{key}"] = value

    return property(get, set_)


def _init(name: str, overloads: list[str] | None, behaviour: type | None) -> Callable[..., None]:
    def init(self: Any, *args: Any, **options: Any) -> None:
        if overloads is not None:
            _bind(f"{name}.__init__", overloads, args, options)
        else:
            raise TypeError(f"{name}: No constructor defined!")
        self.__dict__["_ready"] = True
        if behaviour is not None and "setup" in vars(behaviour):
            vars(behaviour)["setup"](self, *args, **options)

    return init


def _set_known(properties: set[str]) -> Callable[[Any, str, Any], None]:
    def set_known(self: Any, key: str, value: Any) -> None:
        python_subclass = type(self).__module__ not in ("tensorrt", "tensorrt_rtx")
        if key not in properties and not key.startswith("_") and not python_subclass:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")
        object.__setattr__(self, key, value)

    return set_known


def new(world: Any, kind_name: str, /, **state: Any) -> Any:
    """Makes an object that Python code cannot construct itself."""
    kind = getattr(world.module, kind_name)
    made = kind.__new__(kind)
    made.__dict__.update({f"_{key}": value for key, value in state.items()})
    return made


def say(logger: Any, severity: str, message: str) -> None:
    logger.log(type(logger).Severity[severity], message)


def need_logger(world: Any, logger: Any) -> None:
    if not isinstance(logger, world.module.ILogger):
        raise TypeError("__init__(): incompatible constructor arguments: no ILogger")
    if not logger.__dict__.get("_ready"):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")
    world.loggers.add(id(logger))
