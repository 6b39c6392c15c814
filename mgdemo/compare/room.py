"""How many runs may be under way at once, where that changes: devices come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

LOOK_SECONDS = 2.0  # between two looks at whether there is more room: devices come without a word


class Room:
    """For one event loop. Who waits first, enters first.

    most: says how many there may be now; at least one enters always.
    """

    def __init__(self, most: Callable[[], int]):
        self._most, self._inside = most, 0
        self._next, self._left = asyncio.Lock(), asyncio.Event()

    async def enter(self) -> None:
        """Wait until there is room, and take it."""
        async with self._next:
            while self._inside >= max(1, self._most()):
                self._left.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._left.wait(), LOOK_SECONDS)
            self._inside += 1

    def leave(self) -> None:
        """Give room to another one."""
        self._inside -= 1
        self._left.set()
