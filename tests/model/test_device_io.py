"""Between host and device, as far as a CPU can tell."""

import torch

from mgdemo.model.device_io import to_device_async


def test_what_is_on_a_device_already_is_not_pinned(monkeypatch):
    """On a pretended GPU; the meta device stands for one, since it cannot be pinned either."""
    pinned, host, there = [], torch.ones(2), torch.ones(2, device="meta")
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)
    assert all(to_device_async(tensor, torch.device("cuda", 0)) is tensor for tensor in (host, there))
    assert pinned == [host]
