"""CUDA C++ compiled for one GPU, once: by NVRTC, else by nvcc, else nothing runs there.

A GPU newer than every compiler here gets PTX for the newest they know, which its driver compiles.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from edgeseg.assets import user_cache_dir
from edgeseg.atomic import write_whole
from edgeseg.cuda.driver import GpuInfo
from edgeseg.cuda.nvrtc import compile_cubin, compile_ptx, libraries, newest_below
from edgeseg.errors import BackendUnavailable
from edgeseg.validation import one_line

log = logging.getLogger(__name__)

OPTIONS = ("--fmad=false",)
"""Without fused multiply-adds a kernel gives its numpy twin's numbers, on every GPU."""
TOOLKIT = "/usr/local/cuda/bin"
DIGEST = 32
TIMEOUT_S = 120


def compile_for(gpu: GpuInfo, source: str, *, cache: Path | None = None) -> bytes:
    """Returns a cubin or PTX for the GPU, from ``cache`` (default: the user's) if it lies there.

    Raises BackendUnavailable listing what was tried.
    """
    folder = cache or default_cache()
    path = None if folder is None else folder / f"{_key(gpu, source)}.cubin"
    image = _recall(path)
    if image is None:
        image = _compile(gpu, source)
        _remember(path, image)
    return image


def default_cache() -> Path | None:
    """Returns the folder of compiled kernels, None for a user without a home."""
    folder = user_cache_dir()
    return None if folder is None else folder / "kernels"


def _key(gpu: GpuInfo, source: str) -> str:
    told = f"{source}\n{gpu.sm}\n{gpu.driver_cuda}\n{OPTIONS}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _compile(gpu: GpuInfo, source: str) -> bytes:
    arch = f"sm_{gpu.sm[0]}{gpu.sm[1]}"
    failures: dict[str, None] = {}
    for name, attempt in _compilers(gpu, source, arch):
        try:
            image = attempt()
        except BackendUnavailable as error:
            if not name.endswith("(PTX)"):  # what those lack was said before
                failures[str(error)] = None
            continue
        log.info("CUDA kernels compiled for %s by %s", arch, name)
        return image
    raise BackendUnavailable(
        f"cannot compile the CUDA kernels for {gpu.name} ({arch}): {'; '.join(failures)}. "
        "Install NVIDIA's run-time compiler: pip install nvidia-cuda-nvrtc, or the CUDA toolkit"
    )


def _compilers(gpu: GpuInfo, source: str, arch: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    options = (f"--gpu-architecture={arch}", *OPTIONS)
    found = list(libraries(gpu.driver_cuda))
    for library in found:
        yield library, partial(compile_cubin, library, source, options)
    yield "nvcc", partial(_by_nvcc, source, arch)
    for library in found:
        yield f"{library} (PTX)", partial(compile_ptx, library, source, gpu.sm, OPTIONS)
    yield "nvcc (PTX)", partial(_ptx_by_nvcc, source, gpu.sm)


def _by_nvcc(source: str, arch: str) -> bytes:
    """Returns a cubin made by the toolkit's compiler."""
    return _made_by_nvcc(source, "-cubin", arch)


def _ptx_by_nvcc(source: str, sm: tuple[int, int]) -> bytes:
    """Returns PTX for a GPU newer than the toolkit's compiler, with the NUL a driver looks for."""
    listed = _run([_nvcc(), "--list-gpu-arch"]).decode("utf-8", "replace")
    base = newest_below([int(number) for number in re.findall(r"compute_(\d+)", listed)], sm)
    if base is None:
        raise BackendUnavailable(f"nvcc: knows no GPU older than sm_{sm[0]}{sm[1]}")
    return _made_by_nvcc(source, "-ptx", f"compute_{base}") + b"\0"


def _made_by_nvcc(source: str, kind: str, arch: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edgeseg-nvcc-") as folder:
        text, image = Path(folder, "kernels.cu"), Path(folder, "kernels.image")
        text.write_text(source, encoding="utf-8")
        _run([_nvcc(), kind, f"-arch={arch}", *OPTIONS, str(text), "-o", str(image)])
        return image.read_bytes()


def _nvcc() -> str:
    """Returns the toolkit's compiler, on PATH or where toolkits are."""
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=TOOLKIT)
    if nvcc is None:
        raise BackendUnavailable("nvcc: not on PATH")
    return nvcc


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S).stdout
    except subprocess.CalledProcessError as error:
        said = one_line(error.stderr.decode("utf-8", "replace"))
        raise BackendUnavailable(f"nvcc: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendUnavailable(f"nvcc: {one_line(error)}") from error


def _recall(path: Path | None) -> bytes | None:
    """Returns a kept image, None where there is none or it is damaged."""
    try:
        kept = path.read_bytes() if path else b""
    except OSError:
        return None
    digest, image = kept[:DIGEST], kept[DIGEST:]
    return image if image and hashlib.sha256(image).digest() == digest else None


def _remember(path: Path | None, image: bytes) -> None:
    """Writes an image in one step; a cache that cannot be written is done without."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, hashlib.sha256(image).digest() + image)
    except OSError as error:
        log.debug("kernels not remembered in %s: %s", path, error)
