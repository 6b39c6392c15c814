"""Waiting in a coroutine for threads, futures and sockets, so that it always ends and harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """What a function gives that takes a while. (asyncio.to_thread never returns from a StopIteration.)"""

    def call() -> T:
        try:
            return function(*args)
        except StopIteration as error:
            raise RuntimeError("StopIteration left a function") from error

    return await asyncio.to_thread(call)


async def next_text(socket: WebSocket) -> str | None:
    """The next text message of a socket; None for a binary one. Raises WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    return message.get("text")


async def shared(future: Future[T]) -> T:
    """The result of a future that others wait for, too: whoever stops waiting does not cancel it."""
    return await asyncio.shield(asyncio.wrap_future(future))
