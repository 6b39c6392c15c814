"""A published size in leases of a real GPU: the package `spaces` as it is, its forks, and a stand-in for the
lender. `-s` prints how long a visitor waited and how fast it played."""

import subprocess
import time

import pytest

from devtools import random_weights
from tests.support.device_api import device_api
from tests.support.lent_page import ended, last_played, lent_web, page, released

pytest.importorskip("spaces", reason="the package that ZeroGPU Spaces have")
pytestmark = pytest.mark.anyio
SECONDS = 50  # of a lease, less than a player's patience
ENOUGH = 10  # blocks of a lease


@pytest.fixture
def api():
    """The stand-in, which lends this machine's first GPU."""
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader", "--id=0"]
    name = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    with device_api(gpus=1, names=(name,)) as api:
        yield api


@pytest.fixture
def web(api, tmp_path):
    loader = "devtools.random_weights:load"
    with lent_web(tmp_path, api, LEASE_SECONDS=str(SECONDS), LOADER=loader, THREADS="4") as web:
        yield web


async def plays_in_a_lease(visitor, key):
    """Plays until a lease is over; what is said then, and the number of blocks."""
    player, asked = visitor.player, time.monotonic()
    before, came = len(player.of("block")), []
    await visitor.leased()
    await player.press(key)

    def blocks():
        return player.of("block")[before:]

    while True:
        await player.until(lambda: len(blocks()) > len(came) or visitor.last["lease"] == "over")
        if len(blocks()) == len(came):
            break
        came.append(time.monotonic() - asked)

    speed = 12 * (len(came) - 2) / (came[-1] - came[1]) if len(came) > 2 else 0
    first = came[0] if came else SECONDS
    print(f"{len(came)} blocks, the first after {first:.1f} s, then {speed:.1f} frames/s")
    return await visitor.rests(), len(came)


async def test_a_published_size_goes_on_in_leases_with_the_same_frames(web, api):
    async with page(web) as visitor:
        text, made = await plays_in_a_lease(visitor, "KeyW")
        assert f"Your {SECONDS} seconds on the GPU are over. Press Go on" in text
        await visitor.player.send(type="go_on")
        text, more = await plays_in_a_lease(visitor, "KeyS")
        assert made + more >= 2 * ENOUGH
        await visitor.player.send(type="stop")
        assert (await ended(visitor.player))["recording"]
    assert await released(api, 2) == ["false", "false"]
    assert len(api.made("allow")) == 1, "a process that is idle is used again"
    replay, same = last_played(web, lambda name: random_weights.load(name, device="cuda"))
    assert replay.scenario.track.blocks == made + more and same
