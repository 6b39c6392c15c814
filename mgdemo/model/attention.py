"""Attention with one signature, whatever computes it."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

try:
    from flash_attn import flash_attn_func  # pyright: ignore[reportMissingImports]
except ImportError:  # flash-attn is used when present, never required
    flash_attn_func = None

FLASH_DTYPES = (torch.float16, torch.bfloat16)


@cache
def flash_is_fastest(device: torch.device) -> bool:
    """Whether FlashAttention 2 is installed and faster than cuDNN here: not on Hopper and later, where cuDNN
    takes 0.15 ms for the published sizes on an H100 and it takes 0.26."""
    return flash_attn_func is not None and torch.cuda.get_device_capability(device) < (9, 0)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention without a mask, scale 1/sqrt(D).

    q is [B, Lq, H, D], k and v are [B, Lk, H, D]; returns [B, Lq, H, D].
    """
    if flash_attn_func and q.is_cuda and q.dtype in FLASH_DTYPES and flash_is_fastest(q.device):
        return flash_attn_func(q, k, v)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
