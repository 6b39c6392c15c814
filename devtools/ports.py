"""Ports for the servers of tests and benchmarks."""

import contextlib
import random
import socket

OUTGOING = 32_768  # from here on Linux gives ports to outgoing connections


def free_port() -> int:
    """A port of 127.0.0.1 for a server that starts in a moment: no outgoing connection gets it."""
    while True:
        port = random.SystemRandom().randrange(15_000, OUTGOING)
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
