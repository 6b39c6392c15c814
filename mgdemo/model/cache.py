"""Fixed-size memories of a session: rings of keys and values over the last latent frames.

Attention does not care for the order of its keys, so nothing is rolled: latent frame f lives in slot
f mod window, and a new block overwrites the oldest frames in place. The noisy passes of a block and its
clean pass write the same slots; what the clean pass leaves is what later blocks see.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mgdemo.model.attention import attention


@dataclass
class Ring:
    """Keys and values [N, window * tokens_per_frame, H, D] of the last `window` latent frames."""

    k: Tensor
    v: Tensor
    tokens_per_frame: int
    slots: Tensor | None = None  # [F * tokens_per_frame] where the block at hand is written
    filled: int = 0  # how many leading tokens hold a frame

    @classmethod
    def empty(
        cls, n: int, window: int, tokens_per_frame: int, heads: int, head_dim: int, like: Tensor
    ) -> Ring:
        shape = (n, window * tokens_per_frame, heads, head_dim)
        return cls(like.new_zeros(shape), like.new_zeros(shape), tokens_per_frame)

    def begin_block(self, start_frame: int, frames: int) -> None:
        """Point at the slots of latent frames start_frame ... start_frame + frames - 1."""
        window = self.k.shape[1] // self.tokens_per_frame
        if frames > window:
            raise ValueError(f"a block of {frames} latent frames does not fit a window of {window}")
        slots = torch.arange(start_frame, start_frame + frames, device=self.k.device) % window
        tokens = torch.arange(self.tokens_per_frame, device=self.k.device)
        slots = (slots[:, None] * self.tokens_per_frame + tokens).flatten()
        if self.slots is None or self.slots.shape != slots.shape:
            self.slots = slots
        else:
            self.slots.copy_(slots)  # captured graphs know the address
        self.filled = min(start_frame + frames, window) * self.tokens_per_frame

    def store(self, k: Tensor, v: Tensor) -> None:
        """Put the block's keys and values in their slots."""
        assert self.slots is not None
        self.k.index_copy_(1, self.slots, k)
        self.v.index_copy_(1, self.slots, v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store the block's keys and values, and let its queries see the whole window."""
        self.store(k, v)
        return self.read(q)

    def read(self, q: Tensor) -> Tensor:
        """Let queries see the whole window."""
        return attention(q, self.k[:, : self.filled], self.v[:, : self.filled])


@dataclass
class LayerMemory:
    """What one layer remembers; `mouse` and `keyboard` are None in layers without an action module."""

    video: Ring
    cross: tuple[Tensor, Tensor]  # keys and values of the image tokens, fixed for a session
    mouse: Ring | None = None
    keyboard: Ring | None = None

    @property
    def rings(self) -> list[Ring]:
        return [ring for ring in (self.video, self.mouse, self.keyboard) if ring is not None]


@dataclass
class Memory:
    """Everything a transformer remembers of one session."""

    layers: list[LayerMemory] = field(default_factory=list)
    position: tuple[int, int] | None = None  # first latent frame and number of the block at hand

    def begin_block(self, start_frame: int, frames: int) -> None:
        """Make room for the block that begins at latent frame `start_frame`."""
        self.position = start_frame, frames
        first: dict[int, Ring] = {}  # rings of one size share their slots
        for ring in self.rings:
            if (like := first.setdefault(ring.tokens_per_frame, ring)) is ring:
                ring.begin_block(start_frame, frames)
            ring.slots, ring.filled = like.slots, like.filled

    @property
    def rings(self) -> list[Ring]:
        return [ring for layer in self.layers for ring in layer.rings]

    def held(self) -> list[Tensor]:
        """What all rings hold (views)."""
        return [part[:, : ring.filled] for ring in self.rings for part in (ring.k, ring.v)]

    def snapshot(self) -> list[Tensor]:
        """Copies on the host of what all rings hold, to be given to `restore`."""
        return [part.to("cpu", copy=True) for part in self.held()]

    def restore(self, snapshot: list[Tensor]) -> None:
        saved = iter(snapshot)
        for ring in self.rings:
            k, v = next(saved), next(saved)
            ring.filled = k.shape[1]
            ring.k[:, : ring.filled].copy_(k)
            ring.v[:, : ring.filled].copy_(v)
