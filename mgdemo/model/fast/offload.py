"""Networks that wait on the host."""

from __future__ import annotations

from typing import Any

from torch import nn


class Offloaded(nn.Module):
    """A network whose weights are on its device during a call or a `with` statement, else on the host."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self._device = next(net.parameters()).device
        self._on_host = {parameter: parameter.data.cpu() for parameter in net.parameters()}
        self._users = 0
        self._release()

    def forward(self, *args: Any) -> Any:
        with self:
            return self.net(*args)

    def __enter__(self) -> None:
        self._users += 1
        if self._users == 1:
            self._bring()

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            self._release()

    def _bring(self) -> None:
        for parameter, data in self._on_host.items():
            parameter.data = data.to(self._device)

    def _release(self) -> None:
        for parameter, data in self._on_host.items():
            parameter.data = data
