"""Where the page is served: host and port, and what to say when they cannot be had."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from mgdemo.errors import UserError

EVERYWHERE = ("0.0.0.0", "::", "")


class AddressError(UserError):
    """An address that the page cannot be served at; the message names the cure."""


@dataclass(frozen=True)
class Address:
    """A host, and a port or None for the first free one from 7860 on."""

    host: str
    port: int | None

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        host = "localhost" if self.host in EVERYWHERE else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def check(self) -> None:
        """Raises AddressError where a program cannot listen there."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as trial:
            if os.name == "posix":  # on Windows it would let two programs share a port
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host.strip("[]"), self.port or 0))
            except OSError as error:
                raise AddressError(self._sentence(error)) from error

    def _sentence(self, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return f"Port {self.port} needs administrator rights: give --port (MGDEMO_PORT) above 1023."
        if isinstance(error, socket.gaierror) or not self.port or not _has(self.host):
            return (
                f"{self.host} is not an address of this machine: give 127.0.0.1, or 0.0.0.0 to let others in "
                "(--host, MGDEMO_HOST)."
            )
        return (
            f"Port {self.port} is taken by another program, perhaps another mgdemo: end that one, or choose "
            "another port (--port, MGDEMO_PORT)."
        )


def _has(host: str) -> bool:
    """Whether this machine has an address, so that only its port can be the trouble."""
    try:
        Address(host, None).check()
    except AddressError:
        return False
    return True
