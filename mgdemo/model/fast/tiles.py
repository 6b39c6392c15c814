"""What the Triton kernels share: how work is cut, and what a GPU can do.

Kernels are for what PyTorch and its libraries do slowly at the published sizes. All compute in float32
between reading and writing. TRITON_INTERPRET=1 runs them on a CPU, for tests.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
import triton
from triton.runtime import driver

LARGEST = 200 * 1024  # bytes of shared memory that a program takes at most, for what is on its way


class Tiles(NamedTuple):
    """How a product or a convolution is cut: rows, outputs in one or two parts, warps and stages."""

    rows: int
    first: int
    second: int  # 0: one part is enough
    warps: int
    stages: int


def power_of_2(n: int) -> int:
    return triton.next_power_of_2(n)


@cache
def has_copy_engine(device: torch.device) -> bool:
    """Whether it copies tiles by descriptors that the host makes: from Hopper on."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (9, 0)


@cache
def has_room(device: torch.device) -> bool:
    """Whether a program may have as much shared memory as the tiles found on an H100 take: of 227 KB there,
    while an A100 has 163 and consumers' GPUs 99, also those that are newer."""
    if device.type != "cuda":
        return True
    index = torch.cuda.current_device() if device.index is None else device.index
    active: Any = driver.active
    return active.utils.get_device_properties(index)["max_shared_mem"] >= LARGEST


@cache
def processors(device: torch.device) -> int:
    """Multiprocessors, of which each runs a program or a few at once."""
    if device.type != "cuda":
        return 2  # the interpreter's: so few that each has several tiles
    return torch.cuda.get_device_properties(device).multi_processor_count
