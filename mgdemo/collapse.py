"""Whether a picture is no world any more: black, flat, noise, or a pattern of stripes or checks.

A world that has lost its place shows it on the grid of its tokens, 16 pixels wide: first as stripes, then as
a checkerboard. In a spectrum along rows or columns that is a peak above its neighborhood, which pictures of
places do not have there. `tests/test_collapse.py` has the proof, on all pictures that ship.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mgdemo.errors import UserError
from mgdemo.tree import START, BlockTree

LINES = 32  # rows and columns that are looked at
TOKEN = 16  # pixels of a token's side
FLAT = 4.0  # standard deviation in levels of 255; pictures of places have more than 20
NOISE = 0.5  # correlation of neighboring pixels; pictures of places have more than 0.9
GRID, PATTERN = 1.2, 2.0  # how far a peak rises above its neighborhood, as a natural logarithm of power
INTACT = 0.7  # of `decay`: worth rewinding to
PERSISTENT = 2  # blocks that have to be collapsed before it is said


def decay(frame: np.ndarray) -> float:
    """How far a frame, uint8 RGB [H, W, 3], is from showing a place: from 1 on it has collapsed.

    Takes less than a millisecond.
    """
    green = frame[..., 1]
    rows, columns = _lines(green), _lines(green.T)
    contrast = min(float(rows.std()), float(columns.std()))
    if contrast < FLAT / 4:
        return FLAT
    correlations = _correlation(rows), _correlation(columns)
    if max(correlations) < NOISE or min(correlations) < 0:
        return 2.0
    (across, across_any), (down, down_any) = _peaks(rows), _peaks(columns)
    return max(FLAT / contrast, max(across, down) / GRID, max(across_any, down_any) / PATTERN)


def _lines(green: np.ndarray) -> np.ndarray:
    """Some of the rows, evenly spaced, as float32 [n, pixels]."""
    chosen = np.linspace(0, len(green) - 1, min(LINES, len(green))).astype(int)
    return green[chosen].astype(np.float32)


def _correlation(lines: np.ndarray) -> float:
    """Of neighboring pixels along the lines."""
    return float(1 - 0.5 * np.square(np.diff(lines, axis=1)).mean() / lines.var())


def _peaks(lines: np.ndarray) -> tuple[float, float]:
    """How far the power at the period of a token rises above its neighborhood, and that at any period."""
    count = lines.shape[1]
    window = np.hanning(count).astype(np.float32)
    spectrum = np.fft.rfft((lines - lines.mean(axis=1, keepdims=True)) * window, axis=1)
    power = np.log(np.square(np.abs(spectrum)).mean(axis=0) + 1e-6 * count)
    reach = max(4, count // 48)
    around = np.partition(sliding_window_view(power, 2 * reach + 1), reach, axis=1)[:, reach]  # medians
    rise = power[reach:-reach] - around  # from frequency `reach` on: lower ones have no neighborhood
    token = count // TOKEN - reach
    return float(rise[token]) if token >= 0 else 0.0, float(rise[max(0, token // 2) :].max())


class BrokenModel(UserError):
    """A model whose very first block is no picture."""


class Soundness:
    """How sound the picture of a session is, node by node, against that of its start image."""

    def __init__(self, start_image: np.ndarray):
        # Nothing can be said of a session that begins with a pattern, or in the dark.
        self._watched = decay(start_image) < 1
        self._decays = {START: 0.0}

    def add(self, node: int, frame: np.ndarray) -> None:
        """The last frame of a node's block. Raises BrokenModel if the first block is of a single color."""
        if not self._watched:
            return
        self._decays[node] = decay(frame)
        if len(self._decays) == 2 and self._decays[node] >= FLAT:  # not finite numbers become black
            raise BrokenModel(
                "This checkpoint makes no picture: what it computes is a single color or no numbers. Its "
                "weights may be damaged: `mgdemo check --deep` finds out; download them again, or choose "
                "another checkpoint."
            )

    def decay(self, node: int) -> float:
        """Of a node's picture, as far as it is known."""
        return self._decays.get(node, 0.0)

    def know(self, node: int, decay: float) -> None:
        """What `decay` said of a node, in another process."""
        self._decays[node] = decay

    def rewind_to(self, tree: BlockTree, node: int) -> int | None:
        """Where to rewind to, if the picture at `node` has collapsed: the last node where it was intact."""
        path = tree.path(node)
        last = path[-PERSISTENT:]
        if len(last) < PERSISTENT or any(self.decay(node) < 1 for node in last):
            return None
        intact = (node for node in reversed(path) if self.decay(node) < INTACT)
        return next(intact, START)
