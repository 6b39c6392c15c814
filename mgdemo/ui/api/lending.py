"""Where devices are lent, a program's own call holds the one that its run needs, on its visitor's account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from mgdemo.serving.waiting import in_thread


def holding(lease: Iterator[None]) -> asyncio.Task[None]:
    """Holds a device in a thread, within the request that is being handled, until the lease ends."""

    def hold() -> None:
        for _ in lease:
            pass

    return asyncio.create_task(in_thread(hold))  # which knows the request
