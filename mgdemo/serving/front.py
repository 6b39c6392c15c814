"""Limits of the web server: connections, how long one may be silent, how large WebSocket messages are.

Gradio starts uvicorn with a configuration of its own (and ZeroGPU needs it to). Uvicorn reads what is set
here whenever a connection comes in, so it can be changed after the start.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import uvicorn

from mgdemo.logs import Quiet
from mgdemo.serving.visitors import is_trusted, network
from mgdemo.settings import Settings

HEADER_SECONDS = 10  # for the head of a request, from the connection or the last response on
MESSAGE_BYTES = 8192  # of a WebSocket message from a page
BACKLOG = 128  # connections that the system accepts for us at a time
RESERVED = 256  # file descriptors for everything else: workers, recordings, uploads
WANTED = 1 << 16  # file descriptors


def guard(server: uvicorn.Server, settings: Settings, refused: Callable[[str], None]) -> None:
    """Put the limits into a running server. refused: called with the reason of each refusal, a word."""
    config = server.config
    config.ws_max_size, config.ws_per_message_deflate = MESSAGE_BYTES, False
    doors = Doors(max(RESERVED, descriptors() - RESERVED), settings.visitor_connections)
    config.http_protocol_class = guarded(config.http_protocol_class, doors, refused)
    for each in server.servers:
        for listening in each.sockets:
            with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
                same.listen(BACKLOG)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(Quiet())


def descriptors() -> int:
    """File descriptors that this process may have, after raising the limit as far as it is allowed to."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return WANTED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


class Doors:
    """Counts open connections: all of them, and those of one address, unless it is a trusted proxy's.

    `silent` are those that have not asked for anything, the oldest first: they give way when all are taken.
    """

    def __init__(self, most: int, most_of_one: int):
        self._most, self._most_of_one = most, most_of_one
        self._open: defaultdict[str, set[asyncio.Transport]] = defaultdict(set)
        self.silent: OrderedDict[asyncio.Transport, None] = OrderedDict()

    def enter(self, transport: asyncio.Transport, host: str) -> bool:
        """Whether there is room for a connection. It leaves by being closed."""
        address = network(host)
        self._forget_closed(address)
        own = len(self._open.get(address, ()))
        if self._most_of_one and own >= self._most_of_one and not is_trusted(host):
            return False
        if self._full():
            for each in list(self._open):
                self._forget_closed(each)
            if self._full():
                if not self.silent:
                    return False
                self.silent.popitem(last=False)[0].abort()
        self._open[address].add(transport)
        return True

    def _full(self) -> bool:
        return sum(map(len, self._open.values())) >= self._most

    def _forget_closed(self, address: str) -> None:
        self._open[address] = {each for each in self._open[address] if not each.is_closing()}
        if not self._open[address]:
            del self._open[address]


def guarded(protocol: Any, doors: Doors, refused: Callable[[str], None]) -> Any:
    """Uvicorn's class for HTTP connections, with limits on their number and on the time that a head takes."""

    class Guarded(protocol):
        _silence: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if doors.enter(transport, self.client[0] if self.client else ""):
                self._wait()
            else:
                refused("connections")
                transport.abort()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.get_protocol() is not self or (self.cycle and not self.cycle.response_complete):
                self._stop_waiting()  # a request, or a WebSocket
            elif self._silence is None:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._silence = asyncio.get_running_loop().call_later(HEADER_SECONDS, self.transport.abort)
            doors.silent[self.transport] = None

        def _stop_waiting(self) -> None:
            if self._silence is not None:
                self._silence.cancel()
                self._silence = None
                doors.silent.pop(self.transport, None)

    return Guarded
