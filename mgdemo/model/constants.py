"""Constant tensors, made once per device so that no block waits for a copy from the host."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], axes: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """`values`, one a channel, as [1, C, 1, ...] with `axes` trailing axes."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype).view(1, -1, *(1,) * axes)
