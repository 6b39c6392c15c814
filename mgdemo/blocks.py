"""Block arithmetic: how latent frames, video frames and seconds relate, in every published checkpoint."""

from __future__ import annotations

FPS = 25  # video frames a second
LATENTS_PER_BLOCK = 3
FRAMES_PER_LATENT = 4  # video frames; the very first latent frame stands for one
BLOCK_FRAMES = LATENTS_PER_BLOCK * FRAMES_PER_LATENT
FIRST_BLOCK_FRAMES = BLOCK_FRAMES - FRAMES_PER_LATENT + 1
_LACKING = BLOCK_FRAMES - FIRST_BLOCK_FRAMES


def block_frames(block: int) -> int:
    """Video frames of one block, counted from 0."""
    return BLOCK_FRAMES if block else FIRST_BLOCK_FRAMES


def frames_in_blocks(blocks: int) -> int:
    """Video frames of the first `blocks` blocks, and so the index of the first frame of block `blocks`."""
    return BLOCK_FRAMES * blocks - _LACKING if blocks else 0


def block_of_frame(frame: int) -> int:
    """The block to which a video frame belongs; both are counted from 0."""
    return (frame + _LACKING) // BLOCK_FRAMES
