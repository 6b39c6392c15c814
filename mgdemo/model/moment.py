"""Where a session stands between two blocks, and what it takes to return there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mgdemo.model.action import Actions
from mgdemo.model.vae import State

if TYPE_CHECKING:
    from mgdemo.model.fast.overlap import DecoderPoint


@dataclass(frozen=True)
class Moment:
    """What the blocks so far have left behind, apart from the caches and the decoder's state."""

    block: int = 0  # the next one
    position: int = 0  # how many blocks the caches have taken, which is where the next one goes
    actions: Actions | None = None  # the rows that the last block read
    latents: Tensor | None = None  # the last block's [1, 16, F, h, w], only where `stands` needs them

    def after(self, latents: Tensor, actions: Actions, *, remembered: bool, keep: bool) -> Moment:
        """The moment after a block; keep: whether `stands` will need its latents."""
        return Moment(self.block + 1, self.position + remembered, actions, latents if keep else None)

    def stands(self, latents: Tensor, still: float) -> bool:
        """Whether a block's latents [1, 16, F, h, w] show what those before did, and nothing moves in them.

        No difference may reach `still`: root mean square, in standard deviations of the latents.
        """
        if self.latents is None:
            return False
        before = self.latents.to(latents.device)
        change = torch.stack((latents - before, latents - latents[:, :, :1]))
        return bool(change.square().mean((1, 2, 3, 4, 5)).amax() < still**2)

    def on_host(self) -> Moment:
        return replace(self, latents=None if self.latents is None else self.latents.to("cpu", copy=True))

    @property
    def nbytes(self) -> int:
        return 0 if self.latents is None else self.latents.nbytes


@dataclass(frozen=True)
class Snapshot:
    """A world's state between two blocks, on the host; exact, and good for any number of restores."""

    moment: Moment
    memory: list[Tensor]
    decoder: State

    @property
    def block(self) -> int:
        return self.moment.block


@dataclass(frozen=True)
class RegeneratePoint:
    """The state before the last block, as far as that block has changed it for good.

    The transformer's caches are not part of it: a block that is made again overwrites what it wrote there.
    """

    moment: Moment
    decoder: DecoderPoint
