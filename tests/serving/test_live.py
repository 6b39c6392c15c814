"""Plays over a real WebSocket: what a player sends, and what it gets to see."""

import asyncio
import io
import json
import urllib.request

import av
import numpy as np
import pytest
import websockets
from live_player import Player, wait_for
from PIL import Image
from stub import HEIGHT, WIDTH

from mgdemo.actions import ActionTrack
from mgdemo.scenario import load_scenario
from mgdemo.serving.outbox import FRAMES, Outbox
from mgdemo.video.record import metadata, read_frames

pytestmark = pytest.mark.anyio


def pictures(frames):
    """What a decoder shows of a player's H.264 frames."""
    decoder = av.CodecContext.create("h264", "r")
    return [p.to_ndarray(format="rgb24") for f in frames for p in decoder.decode(av.Packet(f[4]))]


def left_level(picture):
    return int(np.median(picture[8:, : WIDTH // 2 - 4]))


async def test_a_play_from_hello_to_its_files(serve):
    server = serve()
    session = server.open(seed=7, image_name="embedded:meadow")
    async with Player(server, session.token) as player:
        await player.until(lambda: player.of("welcome"))
        await player.press("KeyW", "ArrowLeft")
        block = await player.block(3)
        result = await session.stop()
        await player.until(lambda: player.closed)

    welcome = player.of("welcome")[0]
    assert welcome["codec_string"].startswith("avc1.42")
    assert (welcome["codec"], welcome["mode"], welcome["seed"]) == ("h264", "universal", 7)
    assert (welcome["width"], welcome["height"], welcome["fps"], welcome["frames"]) == (
        WIDTH,
        HEIGHT,
        25,
        None,
    )
    assert block["held"] == ["forward", "look_left"]
    assert block["camera"] == pytest.approx([0, -0.1])
    assert (block["first_frame"], block["frames"]) == (33, 12)
    assert {"dit", "vae", "encode"} <= block["timings"].keys()
    assert [f[2] for f in player.frames[:45]] == list(range(45))
    assert [f[3] for f in player.frames[:45]] == [0] * 9 + [1] * 12 + [2] * 12 + [3] * 12
    assert player.frames[0][:2] == (1, 1)
    assert player.messages[-1] == {"type": "end", "state": "ended", "text": "Stopped."}
    assert player.closed[0] == 1000
    shown = pictures(player.frames)
    assert abs(left_level(shown[40]) - 70) <= 2  # forward alone is entry 0
    assert abs(int(np.median(shown[40][8:, WIDTH // 2 + 4 :])) - 116) <= 2  # and the yaw -0.1

    assert result.frames >= len(player.frames)
    kept = list(read_frames(result.mp4))
    assert len(kept) == result.frames == len(list(read_frames(result.overlay_mp4)))
    assert all(np.array_equal(a, b) for a, b in zip(kept, shown, strict=False))
    scenario = load_scenario(result.scenario)
    assert (len(scenario.track), scenario.seed, scenario.image) == (result.frames, 7, "embedded:meadow")
    assert scenario.track.frames(33, 45) == ActionTrack.hold("universal", ["forward", "look_left"], frames=12)
    assert metadata(result.mp4)["scenario"] == result.scenario.read_text()
    assert session.status().result == result

    await session.close()
    async with Player(server, session.token) as player:
        await player.until(lambda: player.closed)
    assert player.closed[0] == 4404
    assert "press Start" in player.closed[1]


def held(player):
    """What was held in each block so far."""
    return [tuple(block["held"]) for block in player.of("block")]


async def test_a_tap_shorter_than_a_block_counts_once(serve):
    server = serve()
    session = server.open("universal-slow")
    async with Player(server, session.token) as player:
        await player.block(0)  # now block 1 is being made
        await player.press("KeyA", camera=[0.05, 0])
        await player.press()
        await player.until(lambda: len(held(player)) > 3 and held(player)[-2] == ("left", "look_up"))
        tap = player.of("block")[-2]
        status = await wait_for(session, lambda status: "slowed evenly" in status.text)
    assert held(player).count(("left", "look_up")) == 1
    assert set(held(player)) == {(), ("left", "look_up")}
    assert tap["camera"] == pytest.approx([0.05, 0])
    assert status.text == f"Making {status.fps:.0f} frames/s of 25: playback is slowed evenly."
    assert 5 < status.fps < 24


async def test_the_latest_input_before_a_block_makes_it(serve):
    server = serve()
    session = server.open("universal-slow")
    async with Player(server, session.token) as player:
        await player.press("KeyW", camera=[0, 0.5])
        await player.until(lambda: ("forward", "look_right") in held(player))
        await player.press("KeyD", camera=[0, 0.25])
        await player.press("KeyS", camera=[0, -0.25])
        await player.until(lambda: ("back", "look_left") in held(player))
        block = player.of("block")[-1]
    # What was held before is gone for good; the tap in between counts in one block, maybe one of its own.
    pressed = [keys for keys in held(player) if keys]
    after = [keys for keys in pressed if "forward" not in keys]
    assert pressed == [("forward", "look_right")] * (len(pressed) - len(after)) + after
    assert [keys for keys in after if "right" in keys] in (
        [("back", "right", "look_left")],
        [("right", "look_right")],
    )
    assert after[-1] == ("back", "look_left")
    assert block["camera"] == pytest.approx([0, -0.25])


async def test_in_a_mode_of_single_actions_the_last_tap_wins_over_what_is_held(serve):
    server = serve(models=1)
    session = server.open("templerun-slow")
    async with Player(server, session.token) as player:
        await player.press("KeyA")
        await player.until(lambda: ("left",) in held(player))
        await player.press("KeyA", "KeyW")
        await player.press("KeyA")
        await player.until(lambda: len(held(player)) > 2 and held(player)[-2] == ("jump",))
    assert held(player)[-1] == ("left",)
    assert player.of("block")[-1]["camera"] is None


async def test_a_key_frame_on_demand(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        await player.send(type="keyframe")
        key = await player.until(lambda: [f for f in player.frames if f[1] and f[2] > 0])
    assert key[0][2] < 45  # not the one that comes every two seconds anyway


async def test_jpeg_for_players_that_want_it(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token, codecs=("jpeg", "h264")) as player:
        await player.press("KeyD")
        await player.block(3)
        result = await session.stop()
    assert player.of("welcome")[0]["codec"] == "jpeg"
    assert all(f[:2] == (2, 1) for f in player.frames)
    assert [f[2] for f in player.frames[:45]] == list(range(45))
    picture = np.asarray(Image.open(io.BytesIO(player.frames[44][4])))
    assert abs(left_level(picture) - 140) <= 3
    assert len(list(read_frames(result.mp4))) == result.frames >= 45


async def test_a_broken_line_is_taken_up_again_with_a_key_frame(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.press("KeyW")
        await player.block(1)
        player.socket.transport.abort()  # no close frame: as if the line had been cut
        await player.until(lambda: player.closed)
        first = player.frames
    await wait_for(session, lambda status: status.state == "buffering")
    async with Player(server, session.token) as player:
        block = await player.block(6)
        result = await session.stop()
    assert player.of("welcome")
    assert player.frames[0][1] == 1
    assert first[-1][2] < player.frames[0][2] <= first[-1][2] + 1 + 4 * 12
    assert len(pictures(player.frames[:12])) == 12
    assert block["held"] == []  # nothing stays held when the line breaks
    assert len(list(read_frames(result.mp4))) == result.frames > player.frames[-1][2]


async def test_a_newer_connection_takes_over(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as old, Player(server, session.token) as new:
        await old.until(lambda: old.closed)
        await new.block(1)
    assert old.closed[0] == 4409


@pytest.mark.parametrize(
    "first", ['{"type":"stop"}', '{"type":"hello","version":9,"codecs":["h264"]}', b"\x00", "{"]
)
async def test_what_is_not_a_hello_is_refused(serve, first):
    server = serve()
    session = server.open()
    async with websockets.connect(server.url(f"live/{session.token}")) as socket:
        await socket.send(first)
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    assert socket.close_code == 4400
    assert socket.close_reason


async def test_bad_messages_end_the_connection_and_not_the_play(serve):
    server = serve()
    session = server.open()
    for message in ({"type": "jump"}, {"type": "hello", "version": 1, "codecs": ["h264"]}, {"type": "ack"}):
        async with Player(server, session.token) as player:
            await player.until(lambda: player.of("welcome"))
            await player.send(**message)
            await player.until(lambda: player.closed)
        assert player.closed[0] == 4400
    async with Player(server, session.token) as player:
        # acknowledgements of what never was, and keys that are none, change nothing
        await player.send(type="ack", block=10**9, buffer_ms=1)
        await player.send(type="ack", block=-5, buffer_ms=1)
        await player.press("", "F13", "<script>", "KeyW")
        await player.until(lambda: [b for b in player.of("block") if b["held"] == ["forward"]])


async def test_without_acknowledgements_the_server_stops_and_then_lets_go(serve):
    server = serve(ack_seconds=2.5)
    session = server.open()
    async with Player(server, session.token, acknowledge=False) as player:
        status = await wait_for(session, lambda status: status.state == "buffering" and status.frames)
        assert "line is slow" in status.text
        await player.until(lambda: player.closed)
    assert player.closed[0] == 4408
    assert [block["block"] for block in player.of("block")] == [0, 1, 2, 3]
    assert player.frames[-1][2] == 44
    async with Player(server, session.token) as player:  # it has come back
        await player.block(6)


async def emptied(outbox):
    items = []
    while (item := await outbox.next()) is not None:
        items.append(item)
    return items


async def test_an_outbox_is_bounded_and_starts_again_with_a_key_frame():
    outbox = Outbox()
    for i in range(50 * FRAMES):
        outbox.frame(b"%d" % i, key=i % 50 == 0)
    outbox.text("end")
    outbox.close()
    assert await emptied(outbox) == [b"%d" % i for i in range(FRAMES)] + ["end"]

    outbox = Outbox()
    for i in range(FRAMES + 10):
        outbox.frame(b"%d" % i, key=i == 0)
    for _ in range(20):
        await outbox.next()
    outbox.frame(b"late", key=False)  # there is room, but nothing to build on
    outbox.frame(b"key", key=True)
    outbox.frame(b"next", key=False)
    outbox.close()
    assert (await emptied(outbox))[-3:] == [b"%d" % (FRAMES - 1), b"key", b"next"]


async def test_an_outbox_wakes_a_reader_of_another_thread():
    outbox = Outbox()
    reader = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    await asyncio.to_thread(outbox.text, "news")
    assert await asyncio.wait_for(reader, 10) == "news"
    reader = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    await asyncio.to_thread(outbox.close, 4408, "slow")
    assert await asyncio.wait_for(reader, 10) is None


async def test_health_and_metrics(serve):
    server = serve()

    def fetch(path):
        with urllib.request.urlopen(server.url(path, "http")) as answer:
            return answer.read().decode()

    health = json.loads(await asyncio.to_thread(fetch, "live-health"))
    assert health["status"] == "ok"
    assert health["workers"] == [{"device": "auto", "running": False}]
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        health = json.loads(await asyncio.to_thread(fetch, "live-health"))
        assert (health["playing"], health["queued"], health["workers"][0]["running"]) == (1, 0, True)
    await session.close()
    metrics = dict(
        line.split()
        for line in (await asyncio.to_thread(fetch, "live-metrics")).splitlines()
        if line[0] != "#"
    )
    assert int(metrics["mgdemo_frames_total"]) >= 21
    assert (metrics["mgdemo_plays_total"], metrics["mgdemo_ended_total"], metrics["mgdemo_playing"]) == (
        "1",
        "1",
        "0",
    )
