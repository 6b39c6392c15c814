"""Linear layers on rows of tokens, in 16 bits or in 8."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.model.fast.product import EightBitWeights, product
from mgdemo.model.fast.rows import FP8, INT8, Rows, activated


class RowLinear(nn.Module):
    """A linear layer on rows [N, C]."""

    reads: torch.dtype | None = None  # rows in 8 bits, and in which type
    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None):
        super().__init__()
        self.register_buffer("weight", weight.detach(), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    @classmethod
    def after_gelu(cls, weight: Tensor, bias: Tensor | None) -> RowLinear:
        return cls(weight, bias)

    def forward(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """With `gelu`, through a GELU in its tanh form."""
        if gelu and x.is_cuda:  # in the product's own kernel
            product = torch._addmm_activation  # pyright: ignore[reportPrivateImportUsage]
            return product(cast(Tensor, self.bias), x, self.weight.t(), use_gelu=True)
        out = F.linear(x, self.weight, self.bias)
        return F.gelu(out, approximate="tanh") if gelu else out

    def add(self, stream: Tensor, x: Tensor | Rows) -> Tensor | None:
        """Add what it gives for x to rows of a stream, in place, which are not read and written again then;
        returns what is still to be added."""
        assert isinstance(x, Tensor)
        stream.addmm_(x, self.weight.t())
        if self.bias is not None:
            stream += self.bias

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, bias={self.bias is not None}"


class EightBitLinear(nn.Module):
    """A linear layer on rows [N, C] in 8 bits, a scale for each row and each output.

    In int8, which is three times as precise as e4m3 for rows without outliers.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, reads: torch.dtype = INT8):
        super().__init__()
        self.reads = reads
        self.weights = EightBitWeights.from_weight(weight, bias, reads)

    @classmethod
    def after_gelu(cls, weight: Tensor, bias: Tensor | None) -> EightBitLinear:
        """One that reads what another's `gelu` gives: in e4m3, because a row's maximum is not yet known when
        its first tile is written."""
        return cls(weight, bias, FP8)

    def forward(self, x: Tensor | Rows, *, gelu: bool = False) -> Tensor | Rows:
        """With `gelu`, through a GELU in its tanh form, the results are in 8 bits again."""
        x = x if isinstance(x, Rows) else cast(Rows, activated(x, quantize=self.reads))
        return product(x, self.weights, gelu=gelu)

    def add(self, stream: Tensor, x: Tensor | Rows) -> Tensor:
        """As `RowLinear.add` does; it leaves all to be added."""
        return cast(Tensor, self(x))

    def extra_repr(self) -> str:
        outputs, inputs = self.weights.weight.values.shape
        return f"{inputs}, {outputs}, bias={self.weights.bias is not None}, {self.reads}"


Linear = type[RowLinear] | type[EightBitLinear]
