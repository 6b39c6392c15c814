"""How many runs are under way at once, while devices come and go."""

import asyncio

import pytest

from mgdemo.compare import room as rooms
from mgdemo.compare.room import Room

pytestmark = pytest.mark.anyio


async def entered(room: Room, names: list[str], name: str) -> None:
    await room.enter()
    names.append(name)


async def test_who_waits_first_enters_first_when_one_leaves():
    room, names = Room(lambda: 1), []
    async with asyncio.TaskGroup() as group:
        first, second, third = (group.create_task(entered(room, names, name)) for name in "abc")
        await first
        assert names == ["a"]
        room.leave()
        await second
        assert names == ["a", "b"]
        room.leave()
        await third


async def test_a_device_that_comes_makes_room(monkeypatch):
    monkeypatch.setattr(rooms, "LOOK_SECONDS", 0.001)
    devices, names = 0, []
    room = Room(lambda: devices)
    await entered(room, names, "without any device, one enters and waits for it")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = group.create_task(entered(room, names, "second"))
        await asyncio.sleep(0)
        assert len(names) == 1
        devices = 2
        await waiting


async def test_a_device_that_goes_takes_its_room_along(monkeypatch):
    monkeypatch.setattr(rooms, "LOOK_SECONDS", 0.001)
    devices, names = 2, []
    room = Room(lambda: devices)
    await entered(room, names, "first")
    await entered(room, names, "second")
    devices = 1
    room.leave()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(entered(room, names, "third"), 0.05)
    room.leave()
    await asyncio.wait_for(entered(room, names, "third"), 30)


async def test_who_gives_up_waiting_leaves_the_way_free():
    room, names = Room(lambda: 1), []
    await entered(room, names, "first")
    impatient = asyncio.create_task(entered(room, names, "impatient"))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    room.leave()
    await asyncio.wait_for(entered(room, names, "second"), 30)
    assert names == ["first", "second"]
