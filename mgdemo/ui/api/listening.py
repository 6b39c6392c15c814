"""Whether a program reads the answer of its call: Gradio makes all of it, whether or not anybody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

import gradio as gr

from mgdemo.errors import UserError
from mgdemo.serving.limits import duration

T = TypeVar("T")


class NobodyReads(UserError):
    """A call whose answer nobody has read for too long; the message says what to do."""


async def while_read(values: AsyncGenerator[T], visitor: gr.Request, patience: float) -> AsyncIterator[T]:
    """The values of an answer, which come now and then, until nobody has taken any for `patience` seconds.

    Raises NobodyReads then; `values` is closed in any case.
    """
    clock = asyncio.get_running_loop().time
    read = clock()
    async with aclosing(values):
        async for value in values:
            if not _waits(visitor):
                read = clock()
            elif clock() - read > patience:
                raise NobodyReads(
                    f"This call's output was not read for {duration(patience)}, so it was ended: "
                    "keep its event stream open to the end."
                )
            yield value


def _waits(visitor: gr.Request) -> bool:
    """Whether something that was said to a program still waits for an open stream to take it."""
    assert visitor.request is not None
    streams = visitor.request.app.get_blocks()._queue.pending_messages_per_session
    messages = streams.get(visitor.session_hash)
    return messages is None or not messages.empty()  # None: its stream was closed
