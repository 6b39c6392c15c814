"""Attention with one head of hundreds of channels, for which no library has a fast kernel."""

# Triton's compiler gives its functions signatures that no type checker knows.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mgdemo.model.fast.tiles import power_of_2


@triton.jit
def _softmax(scores, out, scale, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row, c = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    score = tl.load(scores + row * WIDTH + c, c < WIDTH, float("-inf"))
    weight = tl.exp((score - tl.max(score)) * scale)
    tl.store(out + row * WIDTH + c, (weight / tl.sum(weight)).to(out.dtype.element_ty), c < WIDTH)


def attend_pixels(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of queries [T, P, C] to keys and values [T, P, C] of one head, scale 1/sqrt(C).

    Scores are in float32: in bfloat16 they would double the error.
    """
    wide = {} if q.dtype == torch.float32 else {"out_dtype": torch.float32}
    scores = torch.bmm(q, k.mT, **wide)
    weights = torch.empty_like(scores, dtype=v.dtype)
    pixels = scores.shape[2]
    _softmax[(scores.shape[0] * scores.shape[1],)](
        scores, weights, q.shape[2] ** -0.5, WIDTH=pixels, BLOCK=power_of_2(pixels), num_warps=4
    )
    return torch.bmm(weights, v)
