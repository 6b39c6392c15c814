"""What a network's own parameters hold before a checkpoint or training fills them."""

from __future__ import annotations

import torch
from torch import nn


def normal_parameter(*shape: int, std: float) -> nn.Parameter:
    """Normal values around 0, of the current default device.

    On the meta device, where a network only has shapes, nothing is drawn: PyTorch would import its compiler
    for that, which takes half of the time in which a small checkpoint is loaded.
    """
    values = torch.empty(shape)
    return nn.Parameter(values if values.is_meta else values.normal_(std=std))
