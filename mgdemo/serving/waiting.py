"""Waiting in a coroutine for threads and futures, so that it always ends and harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """What a function gives that takes a while. (asyncio.to_thread never returns from a StopIteration.)"""

    def call() -> T:
        try:
            return function(*args)
        except StopIteration as error:
            raise RuntimeError("StopIteration left a function") from error

    return await asyncio.to_thread(call)


async def shared(future: Future[T]) -> T:
    """The result of a future that others wait for, too: whoever stops waiting does not cancel it."""
    return await asyncio.shield(asyncio.wrap_future(future))
