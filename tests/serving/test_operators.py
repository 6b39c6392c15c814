"""What operators can do: look at all, end a session, drain; and who is let in."""

import asyncio
import base64
import io
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image

from devtools.live_player import Player, end_of, until, wait_for
from mgdemo.serving import ServingError, operator_token
from mgdemo.serving.operator_token import WRONG

pytestmark = pytest.mark.anyio

TOKEN = "a secret of the operator's"


async def ask(server, path, order=None, token=TOKEN):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{server.port}/{path}"
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        return await (client.get(url) if order is None else client.post(url, json=order))


async def look(server):
    return (await ask(server, "operator/state")).json()


async def test_the_board_shows_sessions_queue_engines_and_refusals_but_not_who_it_is(serve):
    server = serve(operator_token=TOKEN, visitor_sessions=2)
    session = server.open(account="10.1.2.3")
    waiting = server.open(account="10.1.2.3")
    with pytest.raises(ServingError):
        server.open(account="10.1.2.3")
    async with Player(server, session.token) as player:
        await player.block(3)
        await until(lambda: session.picture())
        answer = await ask(server, "operator/state")
        state = answer.json()
        playing, queued = state["sessions"]
        assert (playing["phase"], playing["mode"], playing["engine"], playing["position"]) == (
            "playing", "universal", 0, None,
        )  # fmt: skip
        assert playing["connected"] and playing["frames"] > 40 and playing["fps"]
        assert Image.open(io.BytesIO(base64.b64decode(playing["picture"]))).width > 50
        assert (queued["phase"], queued["engine"], queued["position"]) == ("queued", None, 1)
        assert playing["visitor"] == queued["visitor"] != ""
        assert (state["playing"], state["queued"], state["refusals"]) == (1, 1, {"sessions": 1})
        assert state["engines"][0]["state"] == "running" and state["disk"]["recordings"] > 0
        for secret in (session.token, waiting.token, "10.1.2.3"):
            assert secret not in answer.text


async def test_an_ended_session_tells_its_visitor_and_keeps_its_recording(serve):
    server = serve(operator_token=TOKEN)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        (shown,) = (await look(server))["sessions"]
        assert (await ask(server, "operator/end", {"session": shown["id"]})).status_code == 200
        await player.until(lambda: player.of("end"))
    (end,) = player.of("end")
    assert end["text"] == "The operator of this server has ended your session." and end["recording"]
    assert (await end_of(session)).recording.mp4.exists()
    assert (await ask(server, "operator/end", {"session": shown["id"]})).status_code == 404
    assert (await ask(server, "operator/end", {"session": session.token})).status_code == 404


async def test_a_draining_server_begins_nothing_tells_all_and_can_go_on(serve):
    server = serve(operator_token=TOKEN, session_seconds=1)
    session, waiting = server.open(), server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        assert (await ask(server, "operator/drain", {"on": True})).status_code == 200
        told = await wait_for(session, lambda status: status.outlook)
        assert told.outlook.startswith("The server is about to be restarted") and told.phase == "playing"
        status = await wait_for(waiting, lambda status: "No new sessions begin here" in status.text)
        assert status.phase == "queued" and "number 1" in status.text
        with pytest.raises(ServingError, match="No new sessions begin here for now"):
            server.open()
        ready = await ask(server, "readyz")
        assert (ready.status_code, ready.text) == (503, "draining")
        assert (await ask(server, "healthz")).status_code == 200
        await session.stop()
        assert (await ask(server, "operator/drain", {"on": "no"})).status_code == 400
        assert waiting.status().phase == "queued", "its place is free, and yet it does not begin"
        assert (await ask(server, "operator/drain", {"on": False})).status_code == 200
        await wait_for(waiting, lambda status: status.phase != "queued")
        assert not waiting.status().outlook
    assert (await ask(server, "readyz")).status_code == 200


async def test_nobody_gets_in_without_the_token_and_guessing_ends_soon(serve, monkeypatch):
    monkeypatch.setattr(operator_token, "time", SimpleNamespace(monotonic=lambda: 0.0))
    server = serve(operator_token=TOKEN)
    session = server.open()
    paths = {"operator/state": None, "operator/end": {"session": "x"}, "operator/drain": {"on": True}}
    for path, order in paths.items():
        assert (await ask(server, path, order, token=None)).status_code == 401
    assert not server.service.draining and session.status().phase != "ended"
    codes = [(await ask(server, "operator/state", token=f"guess {n}")).status_code for n in range(WRONG + 5)]
    assert codes[: WRONG - 1] == [401] * (WRONG - 1) and codes[-1] == 429
    assert (await ask(server, "operator/state")).status_code == 429, "or a guess would be seen to be right"
    assert server.service.board.view()["refusals"]["token"] >= WRONG


async def test_no_token_no_operator(serve):
    server = serve()
    answers = await asyncio.gather(
        *(ask(server, f"operator/{what}", {}) for what in ("state", "end", "drain"))
    )
    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 5000, b"{" + b" " * 5000 + b"}", b"\xff"])
async def test_orders_that_make_no_sense_change_nothing(serve, body):
    server = serve(operator_token=TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{server.port}/operator"
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        assert (await client.post(f"{url}/drain", content=body)).status_code == 400
        assert (await client.post(f"{url}/end", content=body)).status_code == 404
    assert not server.service.draining
