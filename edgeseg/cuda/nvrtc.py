"""NVIDIA's run-time compiler by ctypes: CUDA C++ text to a cubin, or to PTX for a newer GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeseg.errors import BackendUnavailable
from edgeseg.validation import one_line

SONAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2")
FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib")
"""Where a toolkit has it and the loader does not look, as on a Jetson."""


def libraries(driver_cuda: tuple[int, int]) -> Iterator[str]:
    """Gives what may be NVRTC, names and paths, best first.

    A driver may refuse what a compiler of a newer major version made: those come last.
    """
    names = sorted(SONAMES, key=lambda name: (_major(name) > driver_cuda[0], -_major(name)))
    for name in names:
        yield name
        for folder in [*_wheels(), *map(Path, FOLDERS)]:
            if (folder / name).is_file():
                yield str(folder / name)


def _major(soname: str) -> int:
    found = re.search(r"\.so\.(\d+)", soname)
    return int(found[1]) if found else 0


def _wheels() -> list[Path]:
    """Returns the library folders of NVIDIA's packages in this environment."""
    spec = importlib.util.find_spec("nvidia")
    roots = spec.submodule_search_locations if spec else None
    return [lib for root in roots or () for lib in sorted(Path(root).glob("*/lib"))]


def compile_cubin(library: str, source: str, options: tuple[str, ...]) -> bytes:
    """Returns a cubin. Raises BackendUnavailable: no such library, or it refuses."""
    return _compiled(library, source, options, "CUBIN")


def compile_ptx(library: str, source: str, sm: tuple[int, int], options: tuple[str, ...]) -> bytes:
    """Returns PTX, which the driver compiles, for a GPU newer than the library.

    Raises BackendUnavailable: no such library, it refuses, or it knows that GPU.
    """
    base = newest_below(known_to(library), sm)
    if base is None:
        raise BackendUnavailable(f"{library} knows no GPU older than sm_{sm[0]}{sm[1]}")
    return _compiled(library, source, (f"--gpu-architecture=compute_{base}", *options), "PTX")


def newest_below(known: Sequence[int], sm: tuple[int, int]) -> int | None:
    """Returns the newest of a compiler's GPUs (90 for 9.0), None where it knows this one."""
    number = sm[0] * 10 + sm[1]
    older = [each for each in known if each < number]
    return max(older) if older and number not in known else None


def known_to(library: str) -> list[int]:
    """Returns the GPUs a library compiles for; none where it cannot tell (before CUDA 11.2)."""
    nvrtc, count = _load(library), ctypes.c_int()
    try:
        if nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)):
            return []
        found = (ctypes.c_int * count.value)()
        return [] if nvrtc.nvrtcGetSupportedArchs(found) else list(found)
    except AttributeError:
        return []


def _load(library: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(library)
    except OSError as error:
        raise BackendUnavailable(one_line(error)) from error


def _compiled(library: str, source: str, options: tuple[str, ...], what: str) -> bytes:
    nvrtc = _load(library)
    program = ctypes.c_void_p()
    text = source.encode()
    code = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text, b"kernels.cu", 0, ctypes.c_void_p(), ctypes.c_void_p()
    )
    if code:
        raise BackendUnavailable(f"{library}: error {code}")
    try:
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if nvrtc.nvrtcCompileProgram(program, len(options), given):
            said = _text(nvrtc, program, "ProgramLog").decode("utf-8", "replace")
            raise BackendUnavailable(f"{library}: {' '.join(said.split()).strip(chr(0))}")
        return _text(nvrtc, program, what)
    except AttributeError as error:  # before CUDA 11.1
        raise BackendUnavailable(f"{library} is too old: {error}") from error
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    code = getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(max(size.value, 1))
    code = code or getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    if code:
        raise BackendUnavailable(f"NVRTC gives no {what} (error {code})")
    return buffer.raw[: size.value]
