"""How many runs may be under way at once, where that changes: devices come and go; and which ones are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from weakref import WeakValueDictionary

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


class Making:
    """Which runs are being made, by their keys: two grids may have one in common. For one event loop.

    Wait here first, then for room, so that whoever has room waits for nobody.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __contains__(self, key: str) -> bool:
        lock = self._locks.get(key)
        return lock is not None and lock.locked()

    async def begin(self, key: str) -> Callable[[], None]:
        """Wait until no other one makes it; gives what lets the next one do so."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        await lock.acquire()
        return lock.release
