"""What the Triton kernels share: how work is cut, and what a GPU can do.

Kernels are for what PyTorch and its libraries do slowly at the published sizes. All compute in float32
between reading and writing. TRITON_INTERPRET=1 runs them on a CPU, for tests.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import triton


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
def hopper(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (9, 0)


@cache
def processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 2  # the interpreter's: so few that each has several tiles
    return torch.cuda.get_device_properties(device).multi_processor_count
