"""Sessions over a real WebSocket: what a player sends, and what it gets to see."""

import asyncio
import io
import json
import shutil
import threading
import urllib.error
import urllib.request
from itertools import cycle

import av
import numpy as np
import pytest
import websockets
from PIL import Image

from benchmarks.stub_world import SMALL_HEIGHT as HEIGHT
from benchmarks.stub_world import SMALL_WIDTH as WIDTH
from benchmarks.stub_world import small_level as level
from devtools.live_player import Player, end_of, until, wait_for
from mgdemo.actions import ActionTrack
from mgdemo.scenario import load_scenario, parse_scenario
from mgdemo.serving.outbox import FRAMES, Outbox
from mgdemo.video.mp4 import metadata, read_frames
from tests.serving.conftest import PATIENT, later, settled

pytestmark = pytest.mark.anyio


def pictures(frames):
    """What a decoder shows of a player's H.264 frames."""
    decoder = av.CodecContext.create("h264", "r")
    return [p.to_ndarray(format="rgb24") for f in frames for p in decoder.decode(av.Packet(f[4]))]


def fetch(server, path):
    try:
        with urllib.request.urlopen(server.url(path, "http")) as response:
            assert response.headers["content-type"] == "image/jpeg"
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def load_scenario_of(path):
    return parse_scenario(metadata(path)["scenario"]).track


def left_level(picture):
    return int(np.median(picture[8:, : WIDTH // 2 - 4]))


async def test_a_session_from_hello_to_its_files(serve):
    server = serve()
    session = server.open(seed=7, reference="embedded:meadow")
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
    assert player.messages[-1] == {
        "type": "end", "phase": "ended", "text": "Stopped.", "recording": True,
    }  # fmt: skip
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

    async with Player(server, "another-token") as player:
        await player.until(lambda: player.closed)
    assert player.closed[0] == 4404
    assert player.closed[1] == "The server no longer knows this session: press Start."


async def test_who_was_away_at_the_end_gets_the_recording_by_the_token(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
    result = await session.stop()
    await until(lambda: server.service.get(session.token) is None)  # the session itself is soon forgotten
    async with Player(server, session.token) as player:
        await player.until(lambda: player.closed)
    assert player.of("end") == [{"type": "end", "phase": "ended", "text": "Stopped.", "recording": True}]
    assert player.closed[0] == 1000
    assert server.service.recording_of(session.token) == result
    shutil.rmtree(result.mp4.parent)  # as pruning does
    async with Player(server, session.token) as player:
        await player.until(lambda: player.closed)
    assert not player.of("end")[0]["recording"] and server.service.recording_of(session.token) is None


async def test_the_end_is_said_when_the_files_are_written(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        await player.send(type="stop")
        await player.until(lambda: player.closed)
    assert server.service.recording_of(session.token).mp4.exists()
    assert [message["type"] for message in player.messages].count("end") == 1
    phases = [status["phase"] for status in player.of("status")]
    assert "saving" in phases and "ended" not in phases


async def test_status_comes_from_hello_on_also_in_the_queue(serve):
    server = serve()
    first, second = server.open(), server.open()
    async with Player(server, second.token) as waiting, Player(server, first.token) as player:
        status = (await waiting.until(lambda: waiting.of("status")))[0]
        assert (status["phase"], status["position"]) == ("queued", 1)
        await player.block(0)
        await player.send(type="stop")
        await waiting.block(0)
    phases = [status["phase"] for status in waiting.of("status")]
    assert phases.index("queued") < phases.index("playing")
    assert [message["type"] for message in waiting.messages].index("welcome") > 0


async def test_what_is_held_while_it_loads_counts_from_the_first_block_on(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.press("KeyD")
        assert (await player.block(0))["held"] == ["right"]


def held(player):
    """What was held in each block so far."""
    return [tuple(block["held"]) for block in player.of("block")]


async def test_a_tap_shorter_than_a_block_counts_once(serve):
    server = serve()
    session = server.open("universal-slow")
    async with Player(server, session.token) as player:
        await player.block(0)
        await player.press("KeyA", camera=[0.05, 0])
        await player.press()
        await player.until(lambda: len(held(player)) > 3 and ("left", "look_up") in held(player)[:-1])
        tap = next(block for block in player.of("block") if block["held"])
        status = await wait_for(session, lambda status: "slowed down" in status.text)
    assert held(player).count(("left", "look_up")) == 1
    assert set(held(player)) == {(), ("left", "look_up")}
    assert tap["camera"] == pytest.approx([0.05, 0])
    assert status.text == f"Generating {status.fps:.0f} of 25 fps, so playback is slowed down."
    assert status.fps < 24


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


def regenerated(player):
    """The blocks that were made again so far."""
    return [block for block in player.of("block") if block["splice"] is not None]


def within_a_block(player):
    """Those of them that changed from a frame on that does not begin the block."""
    return [block for block in regenerated(player) if block["splice"] > block["first_frame"] > 0]


async def test_a_block_is_regenerated_with_newer_input_and_that_is_what_is_kept(serve):
    server = serve(regenerate=True)
    session = server.open()
    async with Player(server, session.token, buffer_ms=480) as player:
        for seq, keys in enumerate(cycle((["KeyW"], [], ["KeyD", "ArrowLeft"], ["KeyS"])), start=1):
            await player.send(type="input", held=keys, input_seq=seq)
            await player.until(
                lambda seq=seq: player.of("block") and player.of("block")[-1]["input_seq"] >= seq
            )
            if seq >= 12 and within_a_block(player):
                break
            await asyncio.sleep(0.07 * (seq % 5))
        result = await session.stop()
        await player.until(lambda: player.closed)

    first, again = [[b for b in player.of("block") if (b["splice"] is None) == new] for new in (True, False)]
    assert [b["node"] for b in first] == [b["block"] + 1 for b in first] == list(range(1, len(first) + 1))
    for block in again:
        before = first[block["block"]]
        assert (block["node"], block["first_frame"]) == (before["node"], before["first_frame"])
        assert (block["splice"] - block["first_frame"] - (block["block"] == 0)) % 4 == 0
        assert block["input_seq"] > before["input_seq"]
    assert server.service.metrics()["regenerated_blocks_total"] == len(again)
    # The frames of a block made again are sent again from the splice on, a key frame, and replace the others.
    key = next(i for i, f in enumerate(player.frames) if i and f[2] <= player.frames[i - 1][2])
    assert player.frames[key][1] == 1
    assert player.frames[key][2] == again[0]["splice"]
    shown = dict(zip([f[2] for f in player.frames], pictures(player.frames), strict=True))
    kept, track = list(read_frames(result.mp4)), load_scenario(result.scenario).track
    assert len(track) == len(kept) == result.frames
    assert sorted(shown) == list(range(len(shown)))
    anew = sum(block["first_frame"] + block["frames"] - block["splice"] for block in again)
    assert len(player.frames) <= sum(block["frames"] for block in first) + anew
    before = {i for block in again for i in range(block["first_frame"], block["splice"])}
    for index, frame in enumerate(kept):
        assert abs(left_level(frame) - level(track, index)) <= 2
        # What was shown before a splice is kept as it would have been with the block made so at first.
        assert index >= len(shown) - 12 or index in before or np.array_equal(shown[index], frame)
    runs = [stop - start for start, stop in track.runs()]
    assert any(run % 12 for run in runs[1:-1])  # actions changed within a block


async def test_the_replay_of_a_session_with_regenerated_blocks_is_its_recording(serve):
    server = serve(regenerate=True)
    session = server.open()
    async with Player(server, session.token, buffer_ms=480) as player:
        await player.block(0)
        for count, keys in enumerate(cycle((["KeyW"], ["KeyA"], [], ["KeyD"]))):
            await player.press(*keys)
            await asyncio.sleep(0.3)
            if count >= 8 and regenerated(player):
                break
        result = await session.stop()
    replay = server.open(track=load_scenario(result.scenario).track)
    replayed = (await end_of(replay)).recording
    for kept, made in zip(read_frames(result.mp4), read_frames(replayed.mp4), strict=False):
        assert (
            np.abs(kept.astype(int) - made).max() <= 3
        )  # the encoders' key frames are not at the same places


async def test_pause_and_single_blocks(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        await player.send(type="pause", on=True)
        await wait_for(session, lambda status: status.phase == "paused")
        count = await settled(player)
        await player.press("KeyW")
        await asyncio.sleep(0.3)
        assert len(player.of("block")) == count
        await player.send(type="step")
        await player.until(lambda: len(player.of("block")) == count + 1)
        assert player.of("block")[-1]["held"] == ["forward"]
        assert await settled(player) == count + 1 and session.status().phase == "paused"
        await player.socket.close()
    async with Player(server, session.token) as player:  # the page was loaded anew
        await player.until(lambda: player.frames)
        welcome = player.of("welcome")[0]
        assert welcome["paused"] and welcome["head"] == count + 1
        assert welcome["nodes"] == [[i + 1, i, i] for i in range(count + 1)]
        assert player.of("rewound")[0] == {
            "type": "rewound",
            "node": count + 1,
            "block": count,
            "frames": 12 * (count + 1) - 3,
        }
        assert player.frames[0][0] == 2  # a still
        await player.send(type="ack", block=count, buffer_ms=100)
        await player.send(type="pause", on=False)
        await player.block(count + 3)
        assert [b["block"] for b in player.of("block")][:3] == [count + 1, count + 2, count + 3]


async def test_rewinding_makes_a_branch_and_all_branches_are_kept(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.press("KeyW")
        await player.block(4)
        await player.send(type="rewind", node=2)
        await player.until(lambda: player.of("rewound") and player.frames[-1][0] != 1)
        assert player.of("rewound")[-1] == {"type": "rewound", "node": 2, "block": 1, "frames": 21}
        still = player.frames[-1]
        assert still[:4] == (2, 1, 20, 1)
        assert abs(left_level(np.asarray(Image.open(io.BytesIO(still[4])))) - 70) <= 3
        assert (session.status().phase, session.status().frames) == ("paused", 21)
        longest = max(b["node"] for b in player.of("block"))
        arrived = len(player.frames)
        await player.press("KeyS")
        await player.send(type="pause", on=False)
        await player.until(lambda: len(player.frames) >= arrived + 24)
        branch = [b for b in player.of("block") if b["node"] > longest]
        assert [(b["node"], b["parent"], b["block"]) for b in branch[:2]] == [
            (longest + 1, 2, 2),
            (longest + 2, longest + 1, 3),
        ]
        assert (player.frames[arrived][1], player.frames[arrived][2]) == (1, 21)
        # Other branches, the start and nodes that do not exist:
        await player.send(type="rewind", node=longest)
        await player.until(lambda: player.of("rewound")[-1]["node"] == longest)
        await player.send(type="rewind", node=987)
        await player.send(type="rewind", node=0)
        await player.until(lambda: player.of("rewound")[-1]["node"] == 0)
        assert player.of("rewound")[-1] == {"type": "rewound", "node": 0, "block": -1, "frames": 0}
        await player.send(type="step")
        await player.until(lambda: player.of("block")[-1]["parent"] == 0 and player.frames[-1][2] == 8)
        for node, found in ((0, 200), (1, 200), (longest, 200), (987, 404)):
            assert await asyncio.to_thread(fetch, server, f"live/{session.token}/thumb/{node}.jpg") == found
        result = await session.stop()

    recordings = [result, *(branch.write() for branch in result.branches)]
    films = [list(read_frames(recording.mp4)) for recording in recordings]
    assert len(films) == 3
    tracks = [load_scenario_of(recording.mp4) for recording in recordings]
    assert [len(track) for track in tracks] == [len(film) for film in films]
    assert len(films[0]) == result.frames == 9
    for film, track in zip(films, tracks, strict=True):
        assert [abs(left_level(frame) - level(track, i)) <= 3 for i, frame in enumerate(film)].count(
            False
        ) == 0
    assert [track.keyboard[-1, 1] for track in tracks] == [
        0,
        0,
        1,
    ]  # in the order of their numbers: forward, then back


async def test_stop_after_a_rewind_keeps_what_was_played(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(3)
        await player.send(type="rewind", node=0)
        await player.until(lambda: player.of("rewound"))
        result = await session.stop()
    assert result.frames >= 45


async def test_rewinding_far_makes_the_blocks_between_again(serve):
    server = serve(rewind_megabytes=1)
    session = server.open("universal-slow")
    async with Player(server, session.token) as player:
        await player.block(3)
        await player.send(type="rewind", node=2)
        status = await wait_for(session, lambda status: status.phase == "rewinding")
        assert status.text == "Rewinding." and status.progress is not None
        await player.until(lambda: player.of("rewound"))
        await player.send(type="pause", on=False)
        await player.until(lambda: player.of("block")[-1]["parent"] == 2)


async def test_a_picture_that_stands_is_left_alone_until_a_key_is_pressed(serve):
    server = serve(stand_seconds=1)
    session = server.open()
    async with Player(server, session.token) as player:

        def stands():
            return player.of("status")[-1:] and player.of("status")[-1]["phase"] == "standing"

        await player.until(stands)
        await asyncio.sleep(1.5)
        assert stands() and len(player.of("block")) == 2
        await player.press("KeyW")
        assert (await player.block(2))["held"] == ["forward"]
        await player.press()
        await player.until(stands)
        blocks = len(player.of("block"))
        await player.send(type="rewind", node=2)
        await player.until(lambda: player.of("rewound"))
        assert player.of("rewound")[-1]["frames"] == 21
        await player.send(type="step")
        await player.until(lambda: len(player.of("block")) > blocks and player.frames[-1][2] == 32)
        result = await session.stop()
    assert len(list(read_frames(result.mp4))) == result.frames == 33, "what was made, and nothing else"
    (branch,) = result.branches
    assert branch.left_at == 21


async def test_paused_sessions_end_only_when_others_wait(serve):
    server = serve(session_seconds=0, **PATIENT)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        await player.send(type="pause", on=True)
        await wait_for(session, lambda status: status.phase == "paused")
        later(server, session, 1000)
        assert session.status().phase == "paused"
        server.open()
        later(server, session, 301)
        assert (await end_of(session)).text.startswith("Nothing was pressed for 5 minutes.")


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


async def test_a_lost_connection_is_resumed_with_a_key_frame(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.press("KeyW")
        await player.block(1)
        player.socket.transport.abort()  # no close frame: as if the connection had been cut
        await player.until(lambda: player.closed)
        first = player.frames
    await wait_for(session, lambda status: status.phase == "buffering")
    async with Player(server, session.token) as player:
        block = await player.block(6)
        result = await session.stop()
    assert player.of("welcome")
    assert player.frames[0][1] == 1
    assert first[-1][2] < player.frames[0][2] <= first[-1][2] + 1 + 4 * 12
    assert len(pictures(player.frames[:12])) == 12
    assert block["held"] == []  # nothing stays held when the connection breaks
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


async def test_bad_messages_end_the_connection_and_not_the_session(serve):
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


async def test_without_acknowledgments_the_server_stops_and_then_lets_go(serve):
    server = serve(ack_seconds=2.5)
    session = server.open()
    async with Player(server, session.token, acknowledge=False) as player:
        status = await wait_for(session, lambda status: status.phase == "buffering" and status.frames)
        assert "connection is slow" in status.text
        await player.until(lambda: player.closed)
    assert player.closed[0] == 4408
    assert [block["block"] for block in player.of("block")] == [0, 1, 2, 3]
    assert player.frames[-1][2] == 44
    async with Player(server, session.token) as player:  # it has come back
        await player.block(6)


async def test_regenerated_blocks_need_no_acknowledgment(serve):
    server = serve(regenerate=True)
    session = server.open()
    async with Player(server, session.token, buffer_ms=480) as player:
        held = ["KeyW"]
        while not regenerated(player):
            held = [] if held else ["KeyW"]
            await player.press(*held)
            await asyncio.sleep(0.1)
        await player.send(type="pause", on=True)  # so that no new block is acknowledged
        await settled(player)
        later(server, session, 15)  # more than an acknowledgment may take
        blocks = len(player.of("block"))
        await player.send(type="step")  # it is still connected
        await player.until(lambda: len(player.of("block")) > blocks)
        assert session.status().phase == "paused"


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


async def test_health_says_what_the_workers_do(serve):
    server = serve()

    def fetch(path):
        with urllib.request.urlopen(server.url(path, "http")) as answer:
            return answer.read().decode()

    health = json.loads(await asyncio.to_thread(fetch, "live-health"))
    assert health["status"] == "ok"
    (worker,) = health["workers"]
    assert (worker["device"], worker["running"], worker["failures"]) == ("auto", False, 0)
    assert worker["silent_seconds"] == worker["stuck_seconds"] == worker["aside_seconds"] == 0
    assert worker["trouble"] == worker["reason"] == ""
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        health = json.loads(await asyncio.to_thread(fetch, "live-health"))
        assert (health["playing"], health["queued"], health["workers"][0]["running"]) == (1, 0, True)
    await session.stop()


async def test_whoever_waits_for_an_outbox_is_woken_from_any_thread_and_only_then():
    outbox, loop = Outbox(), asyncio.get_running_loop()
    woken, call = [], loop.call_soon_threadsafe
    loop.call_soon_threadsafe = lambda *args: (woken.append(args), call(*args))
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    calls = (
        lambda: [outbox.frame(b"%d" % i, key=i == 0) for i in range(100)],
        lambda: outbox.text("last"),
        outbox.close,
    )
    for each in calls:
        thread = threading.Thread(target=each)
        thread.start()
        thread.join()  # the loop stands still meanwhile
    del loop.call_soon_threadsafe
    assert len(woken) == 1
    assert [await waiting, *await emptied(outbox)] == [*(b"%d" % i for i in range(100)), "last"]
    waiting = asyncio.create_task(outbox.next())
    assert await waiting is None, "closed, and nothing waits"
