"""CUDA C++ kernels, compiled where they run: by NVRTC, which PyTorch for NVIDIA GPUs brings along.

Through ctypes, since PyTorch's own way to it is private and passes no structures.
"""

from __future__ import annotations

import ctypes
import hashlib
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from triton.runtime.cache import get_cache_manager

CACHED = "kernel.cubin"
MAP_BYTES = 128
DYNAMIC_SHARED = 8  # the attribute of a function that says how much shared memory it may have
SWIZZLES = {16: 0, 32: 1, 64: 2, 128: 3}  # by the bytes of a box's rows
BYTES, L2_PROMOTION_128 = 0, 2  # the type of a map's values; what the cache fetches at a time
# Drivers up to this version set a bit wrongly for tensors of fewer bytes; Triton clears it, too.
WRONG_IF_SMALL, SMALL = 13010, 128 * 1024


class NvrtcError(RuntimeError):
    """CUDA C++ that cannot be compiled or loaded here; callers have another kernel."""


class LaunchError(RuntimeError):
    """A loaded kernel that cannot be run: the device fails."""


def compiled(source: str, **constants: int) -> bytes:
    """Machine code for a Hopper GPU, with `constants` defined, from Triton's cache on disk if it is there.

    Raises NvrtcError.
    """
    options = ["--gpu-architecture=sm_90a", "-std=c++17", *(f"-D{k}={v}" for k, v in constants.items())]
    key = hashlib.sha256("\n".join([source, *options, str(torch.version.cuda)]).encode()).hexdigest()
    folder = get_cache_manager(key)
    if found := folder.get_file(CACHED):
        return Path(found).read_bytes()
    code = _compile(source, options)
    folder.put(code, CACHED)
    return code


def _compile(source: str, options: Sequence[str]) -> bytes:
    nvrtc, program = _nvrtc(), c_void_p()
    _check(nvrtc.nvrtcCreateProgram(byref(program), source.encode(), b"kernel.cu", 0, None, None), "NVRTC")
    try:
        given = (c_char_p * len(options))(*(option.encode() for option in options))
        if nvrtc.nvrtcCompileProgram(program, len(options), given):
            said = _text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
            raise NvrtcError(said.decode().rstrip("\0"))
        return _text(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(byref(program))


class Function:
    """A kernel of a module, on the current device; modules stay loaded."""

    def __init__(self, code: bytes, name: str, shared: int):
        driver, self._module, self._function = _driver(), c_void_p(), c_void_p()
        self.shared = shared
        torch.cuda.current_stream().synchronize()  # PyTorch has made its context current
        _check(driver.cuModuleLoadData(byref(self._module), code), "loading a kernel")
        _check(driver.cuModuleGetFunction(byref(self._function), self._module, name.encode()), name)
        _check(driver.cuFuncSetAttribute(self._function, c_int(DYNAMIC_SHARED), c_int(shared)), name)

    def __call__(self, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """On the current stream. Arguments: tensors or None (pointers), int, or what ctypes knows."""
        known = [_argument(argument) for argument in arguments]
        pointers = (c_void_p * len(known))(*(ctypes.addressof(argument) for argument in known))
        stream = c_void_p(torch.cuda.current_stream().cuda_stream)
        sizes = (blocks, 1, 1, threads, 1, 1, self.shared)
        if result := _driver().cuLaunchKernel(self._function, *sizes, stream, pointers, None):
            raise LaunchError(f"CUDA error {result}: a kernel could not be launched.")


def tensor_map(x: Tensor, box: Sequence[int]) -> ctypes.Array[Any]:
    """How the copy engine reads boxes of a contiguous tensor, in bytes along the last of its dimensions.

    box: its size in the tensor's order, the last one in bytes: 16, or as wide as a swizzle.
    """
    memory = ctypes.create_string_buffer(MAP_BYTES + 64)
    at = -ctypes.addressof(memory) % 64
    sizes = list(reversed(x.shape))
    sizes[0] *= x.element_size()
    strides = [stride * x.element_size() for stride in reversed(x.stride()[:-1])]
    rank = x.ndim
    if result := _driver().cuTensorMapEncodeTiled(
        byref(memory, at), c_int(BYTES), c_uint32(rank), c_void_p(x.data_ptr()),
        (c_uint64 * rank)(*sizes), (c_uint64 * (rank - 1))(*strides),
        (c_uint32 * rank)(*reversed(box)), (c_uint32 * rank)(*[1] * rank),
        c_int(0), c_int(SWIZZLES[box[-1]]), c_int(L2_PROMOTION_128), c_int(0),
    ):  # fmt: skip
        raise LaunchError(f"CUDA error {result}: a tensor could not be described.")
    words = (c_uint64 * (MAP_BYTES // 8)).from_buffer(memory, at)
    if x.nbytes < SMALL and _driver_version() <= WRONG_IF_SMALL:
        words[1] &= ~(1 << 21)
    return words


def _argument(value: Any) -> Any:
    if isinstance(value, int):
        return c_int(value)
    if value is None or isinstance(value, Tensor):
        return c_void_p(None if value is None else value.data_ptr())
    return value


def _text(size_of: Any, write: Any, program: c_void_p) -> bytes:
    size = c_size_t()
    _check(size_of(program, byref(size)), "NVRTC")
    text = ctypes.create_string_buffer(size.value)
    _check(write(program, text), "NVRTC")
    return text.raw


def _check(result: int, what: str) -> None:
    if result:
        raise NvrtcError(f"{what}: error {result}")


@cache
def _driver() -> ctypes.CDLL:
    return _library(["libcuda.so.1"])


@cache
def _driver_version() -> int:
    version = c_int()
    _check(_driver().cuDriverGetVersion(byref(version)), "asking for the driver's version")
    return version.value


@cache
def _nvrtc() -> ctypes.CDLL:
    """PyTorch's own, which may not be among the system's libraries."""
    name = f"libnvrtc.so.{(torch.version.cuda or '0').split('.')[0]}"
    packages = {Path(sysconfig.get_path("purelib")), Path(torch.__file__).parents[1]}
    found = [path for package in packages for path in sorted(package.glob(f"nvidia/*/lib/{name}"))]
    for path in found:  # NVRTC would look for its builtins in the system's folders alone
        for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
            with suppress(OSError):  # then compiling fails, and says why
                ctypes.CDLL(str(builtins))
    return _library([*map(str, found), name, "libnvrtc.so"])


def _library(names: Sequence[str]) -> ctypes.CDLL:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise NvrtcError(f"{names[-1]} is missing")
