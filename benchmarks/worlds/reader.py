"""Reads scenes: which of the worlds' themes a picture shows, and what is where in it.

    found = read(load(), frames)   # uint8 [N, H, W, 3], of any size
    found.share("sky")             # [N], of the picture
    found.theme                    # [N, len(THEMES)], probabilities

A small convolutional network, taught by `benchmarks.worlds.teach` on the renderer's frames, whose contents
the renderer names itself (`training.semantics`). It sees pictures of 72x128 pixels, often blurred, so that
softness alone is no other place; and it knows spoiled ones (stripes, checkerboards, shuffled patches, fog) as
"nothing".
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from training.semantics import CLASSES
from training.themes import THEMES as TABLES

SIZE = (72, 128)
CELLS = (9, 16)
NAMED = (*CLASSES, "nothing")
THEMES = (*(theme.name for themes in TABLES.values() for theme in themes), "nothing")
CHANNELS = 12  # in each third of a picture: the features are as few as can be compared on some dozen starts
ROAD, HORIZON, HOUSE = 0.25, 0.02, 0.4  # see `drivable` and `has_house`
WEIGHTS = Path(__file__).parents[2] / "outputs" / "reader.safetensors"


class Read(NamedTuple):
    """What is read of N pictures."""

    cells: np.ndarray  # probabilities [N, len(NAMED), 9, 16]
    theme: np.ndarray  # probabilities [N, len(THEMES)]
    features: np.ndarray  # [N, 3 * CHANNELS]: of the upper, the middle and the lower third

    def share(self, *names: str, rows: slice = slice(None)) -> np.ndarray:
        """The share [N] of some classes in the pictures, or in some of their nine rows of cells."""
        index = [NAMED.index(name) for name in names]
        return self.cells[:, index, rows].sum(1).mean((1, 2))


class Reader(nn.Module):
    """61,000 parameters; 12 million multiplications a picture."""

    def __init__(self):
        super().__init__()

        def layer(before: int, after: int, stride: int) -> list[nn.Module]:
            return [nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(4, after), nn.GELU()]

        self.trunk = nn.Sequential(*layer(3, 16, 2), *layer(16, 32, 2), *layer(32, 64, 2), *layer(64, 64, 1))
        self.narrow = nn.Conv2d(64, CHANNELS, 1)
        self.name = nn.Conv2d(CHANNELS, len(NAMED), 1)
        self.theme = nn.Linear(3 * CHANNELS, len(THEMES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures [N, 3, 72, 128] in [0, 1] -> logits of the cells [N, len(NAMED), 9, 16] and of the theme
        [N, len(THEMES)], and features."""
        narrow = self.narrow(self.trunk(2 * pictures - 1))
        features = F.adaptive_avg_pool2d(narrow, (3, 1)).flatten(1)
        return self.name(narrow), self.theme(features), features


def as_input(frames: np.ndarray) -> Tensor:
    """uint8 [N, H, W, 3] -> [N, 3, 72, 128] in [0, 1]."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1).float() / 255
    return pictures if pictures.shape[2:] == SIZE else F.interpolate(pictures, SIZE, mode="area")


@torch.no_grad()
def read(reader: Reader, frames: np.ndarray) -> Read:
    """What the reader says of uint8 [N, H, W, 3]."""
    cells, theme, features = reader(as_input(frames))
    return Read(cells.softmax(1).numpy(), theme.softmax(1).numpy(), features.numpy())


def load(path: Path = WEIGHTS) -> Reader:
    """The reader that was taught (weights in float16), on the CPU."""
    reader = Reader()
    reader.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return reader.eval()


def version(path: Path = WEIGHTS) -> str:
    """Which reader it is: features of two readers cannot be compared."""
    return sha256(path.read_bytes()).hexdigest()[:12]


def drivable(found: Read) -> np.ndarray:
    """Whether [N] there is a quarter of road or lawn in the lower half beside the car, and sky above it."""
    low = slice(5, None)
    ground = found.share("way", "ground", rows=low)
    beside = 1 - found.share("car", rows=low)
    sky = found.share("sky") > HORIZON
    above = found.share("sky", rows=slice(0, 5)) > 2 * found.share("sky", rows=low)
    return (ground > ROAD * beside) & sky & above


def has_house(found: Read) -> np.ndarray:
    """Whether [N] a house is read in some cell."""
    return found.cells[:, NAMED.index("house")].max((1, 2)) > HOUSE
