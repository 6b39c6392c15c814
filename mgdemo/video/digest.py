"""A name for the frames of a run, to tell whether another run has made the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

TAG = "frames_sha256"  # of a film


def frame_digest(frame: np.ndarray) -> bytes:
    """SHA-256 of a frame as it was made, before encoding: uint8 RGB [H, W, 3], row by row."""
    return hashlib.sha256(np.ascontiguousarray(frame).data).digest()


def frames_sha256(digests: Sequence[bytes]) -> str:
    """SHA-256 of the `frame_digest`s in order, as hexadecimal digits; "" if one is not known."""
    return hashlib.sha256(b"".join(digests)).hexdigest() if digests and all(digests) else ""
