"""What a player may say over its WebSocket: floods, lies, and what no page would send."""

import asyncio
import contextlib
import json
import random
import time

import pytest

from devtools.live_player import Player, wait_for
from devtools.web_process import Script, heard
from mgdemo import messages as m
from mgdemo.blocks import BLOCK_FRAMES, FPS
from mgdemo.worker.pace import BURST, FASTEST
from tests.serving.test_session import stage  # noqa: F401 a fixture

pytestmark = pytest.mark.anyio


def of(kind, messages):
    return [message for message in messages if isinstance(message, kind)]


def test_one_rewind_is_under_way_and_of_the_others_the_newest_counts(stage):  # noqa: F811
    it = stage()
    it.ready()
    for node in (1, 2, 3):
        it.block(node)
    told = it.engines[0].told
    for node in [1, 2, 3, 2] * 500:
        it.say(m.Rewind(node=node))
    assert of(m.Rewind, told(it.session)) == [m.Rewind(node=1)]
    arrived = m.Rewound(node=1, block=0, frames=9)
    it.event(m.RewindDone, message=arrived, picture=b"")
    assert of(m.Rewind, told(it.session)) == [m.Rewind(node=1), m.Rewind(node=2)]
    assert it.phase() == "rewinding"
    it.event(m.RewindDone, message=m.Rewound(node=2, block=1, frames=21), picture=b"")
    assert it.phase() == "paused" and len(of(m.Rewind, told(it.session))) == 2


def test_a_rewind_that_was_asked_for_is_forgotten_with_its_player(stage):  # noqa: F811
    it = stage()
    it.ready()
    it.block(1)
    for _ in range(2):
        it.say(m.Rewind(node=1))
    it.say(m.Stop())
    it.event(m.RewindDone, message=m.Rewound(node=1, block=0, frames=9), picture=b"")
    it.say(m.Rewind(node=1))
    assert len(of(m.Rewind, it.engines[0].told(it.session))) == 1
    commands = [c for c in it.engines[0].commands if getattr(c, "session", "") == it.session.token]
    assert isinstance(commands[-1], m.Close), "nothing is said of a closed session"


def test_only_controls_of_the_mode_reach_the_worker(stage):  # noqa: F811
    it = stage()
    it.say(m.Input(held=("KeyW", "before")))
    it.ready()
    it.say(m.Pause(on=True))
    for number in range(100):
        held = ("KeyS", f"Key{number}", "x" * 3000, *("kEYw",), "forward")
        it.say(m.Input(held=held, input_seq=number))
    (attach,) = of(m.Attach, it.engines[0].commands)
    assert attach.input.held == ("KeyW",)
    inputs = of(m.Input, it.engines[0].told(it.session))
    assert {each.held for each in inputs} == {("KeyS", "KeyW", "forward")}


async def test_a_player_that_says_it_runs_dry_gets_no_more_than_it_can_show(serve_plain):
    server = serve_plain()
    session = server.open("universal-5")
    await wait_for(session, lambda status: status.phase == "buffering")
    began, ahead = time.monotonic(), 5 * BLOCK_FRAMES
    async with Player(server, session.token, buffer_ms=0) as player:
        await player.block(14)
        shown = (time.monotonic() - began) * FPS * FASTEST
        assert player.frames[-1][2] <= shown + ahead


def another(player, kind):
    """Whether a message of a kind has come since."""
    before = len(player.of(kind))
    return lambda: len(player.of(kind)) > before


async def rewind_in_turns(server, token):
    """Back to where it is, and on again: each time the player has nothing left."""
    async with Player(server, token) as player:
        await player.until(lambda: player.of("block"))
        while True:
            arrived, made = another(player, "rewound"), another(player, "block")
            await player.send(type="rewind", node=player.of("block")[-1]["node"])
            await player.until(arrived)
            await player.send(type="pause", on=False)
            await player.until(made)


async def step_in_a_pause(server, token):
    async with Player(server, token) as player:
        await player.until(lambda: player.of("block"))
        await player.send(type="pause", on=True)
        while True:
            await player.send(type="step")
            await asyncio.sleep(0.015)


async def come_again_and_again(server, token):
    while True:
        async with Player(server, token) as player:
            await player.until(another(player, "block"))


@pytest.mark.parametrize("misbehave", [rewind_in_turns, step_in_a_pause, come_again_and_again])
async def test_whatever_a_player_does_its_session_gets_no_more_than_its_share(serve_plain, misbehave):
    server = serve_plain(visitor_connections=0)
    session = server.open("universal-5")
    await wait_for(session, lambda status: status.phase == "buffering")
    began = time.monotonic()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(misbehave(server, session.token), 4)
    frames = server.service.metrics()["frames_total"]
    share = (time.monotonic() - began + BURST) * FPS * FASTEST
    assert 2 * BLOCK_FRAMES < frames <= share + 2 * BLOCK_FRAMES


def nonsense(random_: random.Random) -> str | bytes:
    """A message that no page sends."""
    kinds = ["hello", "input", "ack", "keyframe", "pause", "step", "rewind", "stop", "welcome", ""]
    values = [None, True, -1, 0, 2**70, 1e308, "KeyW", "x" * 200, [], [["a"]] * 50, {}, {"a": {}}, "\ud800"]
    fields = ["held", "camera", "input_seq", "block", "buffer_ms", "on", "node", "version", "codecs", "x"]
    message: dict = {"type": random_.choice(kinds[:7] + kinds[8:])}
    for _ in range(random_.randrange(4)):
        message[random_.choice(fields)] = random_.choice(values)
    text = json.dumps(message, ensure_ascii=True)
    match random_.randrange(6):
        case 0:
            return bytes(random_.randrange(256) for _ in range(random_.randrange(200)))
        case 1:
            return text[: random_.randrange(len(text))]
        case 2:
            return "[" * random_.randrange(4000)
        case 3:
            at = random_.randrange(len(text))
            return text[:at] + chr(random_.randrange(1, 0xD800)) + text[at:]
    return text


async def test_a_thousand_malformed_messages_break_nothing(start):
    web = start(reconnect_seconds=600, idle_seconds=0, visitor_connections=0, visitor_requests=0)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        token = (await script.start())["token"]
        async with script.player(token) as player:
            await heard(player, "block")
        await asyncio.sleep(1)
        before, made = web.megabytes, random.Random(18)
        sent = 0
        while sent < 1000:
            with contextlib.suppress(Exception):
                async with script.player(token) as player:
                    for _ in range(20):
                        sent += 1
                        await player.send(nonsense(made))
                        await asyncio.sleep(0.012)  # or most would be refused unread, as too many
        async with script.player(token) as player:  # the same session goes on
            assert (await heard(player, "welcome"))["head"] >= 1
            await player.send(json.dumps({"type": "pause", "on": False}))
            await heard(player, "block")
        await asyncio.sleep(2)
        assert web.megabytes - before < 50
        assert "Traceback" not in web.log.read_text()
        assert web.health()["workers"][0]["running"] and "token" in await visitor.start()


def test_health_and_metrics_may_need_a_token(start):
    import httpx

    web = start(operator_token="a secret")
    for path in ("gradio_api/live-health", "metrics"):
        url = web.url(f"../{path}", "http")
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": "Bearer no"}).status_code == 401
        assert httpx.get(url, headers={"Authorization": "Bearer a secret"}).status_code == 200
