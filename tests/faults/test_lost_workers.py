"""A worker dies in a session: it goes on in another one, and the world is the same, frame by frame."""

import asyncio
import hashlib

import pytest

from benchmarks import remembering_world
from devtools.live_player import Player, wait_for
from mgdemo.video.encode import jpeg
from mgdemo.video.mp4 import read_frames
from tests.faults.conftest import kill_workers, seen

pytestmark = pytest.mark.anyio


def truth(tree, start, seed=0, checkpoint="universal"):
    """The pictures of all frames of a tree of blocks, as an undisturbed world makes them."""
    from mgdemo.picture import prepare_image

    model, pictures = remembering_world.load(checkpoint, device="cpu"), {}
    image = prepare_image(start, *model.size)
    for end in tree.ends:
        world = model.start(image, seed)
        for node in tree.path(end):
            frames = world.step(tree[node].actions)
            for index, frame in enumerate(frames, tree[node].first_frame):
                pictures[node, index] = hashlib.sha256(jpeg(frame)).hexdigest()
    return pictures


async def moved(server, count):
    await until(lambda: server.service.metrics()["moves_total"] >= count)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_live_session_goes_on_in_the_same_world(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token, codecs=("jpeg",)) as player:
        for turn, key in enumerate(["KeyW", "KeyA", "KeyS"], 1):
            await player.press(key)
            await player.block(5 * turn)
            assert kill_workers() == 1
            status = await wait_for(session, lambda status: status.phase == "buffering" and status.text)
            assert status.text == "The device was restarted; your world goes on in a moment."
            await moved(server, turn)
        await player.block(20)
        tree, start = session.phase.tree, session.request.start.picture
        await session.stop()
    pictures, wanted = seen(player), truth(tree, start)
    assert all(len(hashes) == 1 for hashes in pictures.values()), "nothing is shown twice"
    assert {frame for _, frame in pictures} == set(range(max(frame for _, frame in pictures) + 1))
    assert {key: hashes[0] for key, hashes in pictures.items()} == {key: wanted[key] for key in pictures}
    assert [tree[node].block for node in tree.path(tree.head)] == list(range(tree.blocks))
    held = {block["block"]: block["held"] for block in player.of("block")}
    assert held[5] == ["forward"] and held[20] == ["back"]
    recording = session.phase.recording
    assert len(list(read_frames(recording.mp4))) == recording.frames >= 20 * 12 + 9
    assert server.service.metrics()["crashes_total"] == 3
