"""Connections: silent, too many, too slow, too talkative, from another site."""

import asyncio
import contextlib
import http.server
import json
import socket
import threading
import time

import httpx
import pytest
import websockets

from devtools.web_process import Script, heard
from mgdemo import messages as m
from mgdemo.serving import Settings, gate

pytestmark = pytest.mark.anyio

EVIL = "127.0.0.2"  # an address that is no trusted proxy's


def silent(web, count, address=EVIL):
    """So many connections that say nothing; those that were not refused at once."""
    opened = []
    for _ in range(count):
        it = socket.socket()
        it.bind((address, 0))
        it.settimeout(2)
        with contextlib.suppress(OSError):
            it.connect(("127.0.0.1", web.port))
            opened.append(it)
    return opened


def test_a_thousand_silent_connections_leave_room_for_others(start):
    web = start(descriptors=1024)
    before = web.log.stat().st_size
    with contextlib.ExitStack() as stack:
        for address in (EVIL, "127.0.0.1"):  # the second is a proxy's, which may have more
            for it in silent(web, 1020, address):
                stack.enter_context(it)
            with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.3")) as visitor:
                assert visitor.get(web.address, timeout=30).status_code == 200
    assert web.log.stat().st_size - before < 10_000


def test_a_connection_that_does_not_finish_its_request_is_ended(web):
    (nothing, half, slow) = silent(web, 3)
    half.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
    with slow:
        for _ in range(40):
            slow.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " if _ == 0 else b"x")
            time.sleep(0.4)
            with contextlib.suppress(TimeoutError):
                slow.settimeout(0.01)
                if slow.recv(100) == b"":
                    break
        else:
            raise AssertionError("a head may take for ever")
    for it in (nothing, half):
        with it:
            it.settimeout(60)
            assert it.recv(100) == b""


def test_bodies_have_a_size(web):
    with httpx.Client(base_url=web.address, timeout=30) as client:
        large = {"data": ["x" * 3_000_000], "fn_index": 0, "session_hash": "a"}
        assert client.post("/gradio_api/queue/join", json=large).status_code == 413

        def endless():
            for _ in range(100):
                yield b"x" * 1_000_000

        with contextlib.suppress(httpx.HTTPError):  # the connection may be closed while it comes
            assert client.post("/gradio_api/queue/join", content=endless()).status_code != 200
        files = {"files": ("a.png", b"x" * 43_000_000)}
        assert client.post("/gradio_api/upload", files=files).status_code == 413


@pytest.mark.parametrize("path", ["queue/join", "call/start", "cancel"])
def test_an_event_of_very_many_small_values_is_not_even_read(web, path):
    with httpx.Client(base_url=web.address, timeout=30) as client:
        before = web.megabytes
        web.forget_peak()
        crowded = b'{"data": [' + b",".join([b"{}"] * 600_000) + b'], "fn_index": 0, "session_hash": "a"}'
        assert client.post(f"/gradio_api/{path}", content=crowded).status_code == 413
        assert web.peak - before < 50
        text = {"data": ["[{,"] * 100 + ['a "quoted" text, of a hundred thousand,' * 3000]}
        answer = client.post("/gradio_api/queue/join", json=text | {"fn_index": 0, "session_hash": "a"})
        assert answer.status_code == 200, "what is within a text is no value"


@pytest.mark.parametrize(
    "limit, path", [("BODY_SECONDS", "/gradio_api/queue/join"), ("UPLOAD_SECONDS", "/gradio_api/upload")]
)
async def test_a_body_that_only_drips_in_has_a_time_for_all_of_it(monkeypatch, limit, path):
    monkeypatch.setattr(gate, limit, 0.2)
    came, refused = [], []

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        came.append(path)

    async def drip():
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": next(more)}

    async def send(message):
        if message["type"] == "http.response.start":
            assert message["status"] == 413

    more = iter([True] * 100 + [False])
    headers = [(b"content-type", b"multipart/form-data; boundary=a")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": (EVIL, 1)}
    await gate.Gate(app, Settings(), refused.append)(scope, drip, send)
    assert (came, refused) == ([], ["size"])


def test_what_the_page_does_not_use_is_closed(web):
    paths = ("/monitoring", "/monitoring/summary", "/gradio_api/monitoring", "/gradio_api/process_recording")
    paths += ("/gradio_api/deep_link?session_hash=a", "/gradio_api/run-history/buckets", "/gradio_api/runs")
    for path in (*paths, "/gradio_api/vibe-edit", "/gradio_api/vibe-code/", "/gradio_api/dev/reload"):
        assert httpx.get(web.address + path).status_code == 404, path
        assert httpx.post(web.address + path).status_code == 404, path


async def test_a_flood_of_events_is_refused_and_others_are_served(start):
    web = start(visitor_requests=1)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        order = script.order(script.events("start")[0], values={0: None})
        codes = [(await script.join(order)).status_code for _ in range(150)]
        assert codes[0] == 200 and 429 in codes
        assert (await visitor.join(visitor.order(visitor.events("load")[0]))).status_code == 200


async def test_behind_a_proxy_one_visitor_has_only_so_many_endless_streams(start):
    web = start(trusted_proxies="127.0.0.8", visitor_connections=2)
    most = 2 * gate.OPEN

    def client(address):
        transport = httpx.AsyncHTTPTransport(verify=False, local_address="127.0.0.8")
        headers = {"X-Forwarded-For": address}
        return httpx.AsyncClient(base_url=web.address, transport=transport, headers=headers, timeout=60)

    async with contextlib.AsyncExitStack() as stack:
        script = await stack.enter_async_context(client("203.0.113.1"))
        visitor = await stack.enter_async_context(client("203.0.113.2"))
        streams = contextlib.AsyncExitStack()
        async with streams:
            for number in range(most + 3):
                stream = script.stream("GET", f"/gradio_api/heartbeat/page{number}")
                answer = await streams.enter_async_context(stream)
                assert answer.status_code == (200 if number < most else 429), number
            assert (await script.get("/healthz")).status_code == 429
            assert (await visitor.get("/healthz")).status_code == 200
        async with asyncio.timeout(60):
            while (await script.get("/healthz")).status_code != 200:
                await asyncio.sleep(0.1)


async def test_sockets_count_among_what_is_open(web):
    ended, said = asyncio.Event(), []

    async def app(scope, receive, send):
        await ended.wait()

    async def send(message):
        said.append(message)

    it = gate.Gate(app, Settings(visitor_connections=1), said.append)
    scope = {"type": "websocket", "path": "/gradio_api/live/x", "headers": [], "client": (EVIL, 1)}
    open_ = [asyncio.create_task(it(scope, None, send)) for _ in range(gate.OPEN)]
    await asyncio.sleep(0)
    await asyncio.wait_for(it(scope, None, send), 60)
    assert said[0] == "open" and said[1]["type"] == "websocket.close" and len(said) == 2
    ended.set()
    await asyncio.gather(*open_)
    await it(scope, None, send)
    assert len(said) == 2


async def test_also_what_is_quickly_answered_has_a_limit():
    codes, refused = [], []

    async def app(scope, receive, send):
        codes.append(200)

    async def send(message):
        if message["type"] == "http.response.start":
            codes.append(message["status"])

    it = gate.Gate(app, Settings(visitor_requests=1), refused.append)
    scope = {"type": "http", "method": "GET", "path": "/static/x.js", "headers": [], "client": (EVIL, 1)}
    for _ in range(gate.EASY * gate.EASY_SECONDS + 100):
        await it(scope, None, send)
    assert set(codes[: gate.EASY * gate.EASY_SECONDS]) == {200} and codes[-1] == 429
    assert set(refused) == {"requests"}
    await it(scope | {"client": ("127.0.0.3", 1)}, None, send)
    assert codes[-1] == 200


async def test_messages_are_small_and_never_packed(web):
    async with Script(web, "127.0.0.4") as script:
        token = (await script.start())["token"]
        before = web.megabytes
        web.forget_peak()
        with contextlib.suppress(websockets.ConnectionClosed):
            async with script.player(token, compression="deflate") as player:
                assert not player.response.headers.get("Sec-WebSocket-Extensions")
                for _ in range(100):
                    await player.send("a" * 15_000_000)
        async with script.player(token) as player:
            await heard(player, "status")
            await player.send(json.dumps({"type": "stop", "more": "x" * 9000}))
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await player.recv()
            assert player.close_code == 1009
        assert web.peak - before < 100


async def test_a_session_has_two_sockets_and_the_newest_counts(web):
    async with Script(web, "127.0.0.5") as script:
        token = (await script.start())["token"]
        url, options = web.live(token), {"local_addr": (script.address, 0)}
        mute = [await websockets.connect(url, **options) for _ in range(5)]
        async with script.player(token) as player:
            await heard(player, "status")
        await asyncio.wait_for(asyncio.gather(*(each.wait_closed() for each in mute[:3])), 60)
        codes = {each.close_code for each in mute[:3]}
        assert m.BAD_MESSAGE not in codes, "they gave way; one that only says nothing is told so, later"


async def test_a_talkative_player_is_stopped_with_a_reason(web):
    async with Script(web, "127.0.0.6") as script:
        token = (await script.start())["token"]
        async with script.player(token) as player:
            with contextlib.suppress(websockets.ConnectionClosed):
                for number in range(5000):
                    await player.send(json.dumps({"type": "input", "held": [], "input_seq": number}))
                while True:
                    await player.recv()
        assert (player.close_code, player.close_reason) == (
            4429,
            "Too many messages at once: reload the page.",
        )


async def test_to_connect_again_lets_nobody_say_more(web):
    async with Script(web, "127.0.0.7") as script:
        token = (await script.start())["token"]
        with pytest.raises(websockets.ConnectionClosed):
            for _ in range(40):
                async with script.player(token) as player:
                    for number in range(150):  # each connection alone would be allowed that
                        await player.send(json.dumps({"type": "input", "held": [], "input_seq": number}))
                    await heard(player, "status")
        assert player.close_code == m.TOO_MANY


async def test_pages_of_other_sites_open_no_socket(start):
    web = start(origins="https://friend.example")
    async with Script(web) as script:
        token = (await script.start())["token"]
        for origin in ("https://evil.example", "null", f"http://evil.example:{web.port}"):
            with pytest.raises(websockets.InvalidStatus):
                await websockets.connect(web.live(token), origin=origin)
        for origin in (web.address, "https://friend.example"):
            async with script.player(token, origin=origin) as player:
                await heard(player, "status")


async def test_one_visitor_cannot_fill_the_disk_with_files_large_or_many(start):
    web = start(visitor_megabytes=20)
    (folder,) = web.folder.glob("mgdemo-uploads-*")

    def kept():
        return [path for path in folder.rglob("*") if path.is_file()]

    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        for number in range(8):
            with contextlib.suppress(httpx.HTTPError):
                await script.upload(f"{number}.png", bytes([number]) * 5_000_000)
        assert sum(path.stat().st_size for path in kept()) <= 20_000_000
        with pytest.raises(httpx.HTTPStatusError, match="429"):
            for _ in range(20):
                await script.upload("a.png", b"x")
        before = len(kept())
        many = [("files", (f"{n}.png", b"")) for n in range(900)]
        with contextlib.suppress(httpx.HTTPError):
            response = await visitor.client.post("/gradio_api/upload", files=many)
            assert response.status_code != 200
        assert len(kept()) - before < 10
        assert await visitor.upload("a.png", b"x" * 5_000_000)


async def test_answers_that_take_long_to_make_have_a_limit_too(start):
    web = start(visitor_requests=1)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        for path in (
            "/",
            "/config",
            "/gradio_api/info",
            "/gradio_api/compare/votes.csv",
            "/gradio_api/compare/x/standing",
        ):
            codes = [(await script.client.get(path)).status_code for _ in range(40)]
            assert 429 in codes, path
            assert (await visitor.client.get(path)).status_code in (200, 404), path
        assert (await script.client.get("/healthz")).status_code == 200


async def test_a_script_with_ever_new_page_names_pushes_nobodys_choices_out(start):
    web = start()
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        assert "token" in await visitor.start()
        order = script.order(script.events("load")[0])
        codes = []
        for number in range(90):
            codes.append((await script.join(order | {"session_hash": f"page{number}"})).status_code)
        assert codes[0] == 200 and 429 in codes
        simple = {"data": ["mode: universal"]}
        for _ in range(20):
            call = await script.client.post("/gradio_api/call/validate", json=simple)
            if call.status_code == 429:
                break
        assert call.status_code == 429, "each would be a page of its own"
        latest = f"page{codes.index(429) - 1}"
        assert (await script.join(order | {"session_hash": latest})).status_code == 200, "known ones go on"
        assert (await visitor.join(visitor.order(visitor.events("load")[0]))).status_code == 200
        broken = await visitor.client.post("/gradio_api/queue/join", content=b"[" * 9_000)
        assert broken.status_code == 400


async def test_no_file_is_served_that_is_no_film(web):
    (sessions,) = web.folder.glob("mgdemo-sessions-*")
    async with Script(web, "127.0.0.7") as script:
        await script.start()
        assert (sessions / "owners.key").exists()
        (sessions / "compare").mkdir(exist_ok=True)
        (sessions / "compare" / "votes.sqlite3").write_bytes(b"votes")
        tricks = (
            "owners.key",
            "./owners.key",
            "x/../owners.key",
            "%2e/owners.key",
            "compare/votes.sqlite3",
            "../log",
        )
        for name in tricks:
            answer = await script.client.get(f"/gradio_api/file={sessions}/{name}")
            assert answer.status_code in (403, 404), name
        for path in ("/etc/passwd", str(web.log), f"http://127.0.0.1:{web.port}/metrics"):
            assert (await script.client.get(f"/gradio_api/file={path}")).status_code in (400, 403, 404), path


async def test_the_server_fetches_nothing_from_elsewhere_for_a_visitor(start):
    asked = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    web = start()
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        async with Script(web) as script:
            order = script.order(script.events("start")[0])
            for address in (
                f"http://127.0.0.1:{server.server_port}/large",
                "https://example.org/x",
                " HTTP://a/b",
            ):
                file = {"path": address, "meta": {"_type": "gradio.FileData"}}
                for data in ([file], [[{"a": file}]], {"a": [file]}):
                    said = await script.join(order | {"data": [data, *order["data"][1:]]})
                    assert said.status_code == 403, (address, data)
                told = await script.client.post("/gradio_api/call/validate", json={"data": [file]})
                assert told.status_code == 403
                assert (await script.client.get(f"/gradio_api/file={address}")).status_code in (403, 404)
            deep = await script.client.post("/gradio_api/queue/join", content=b'{"data":' * 5000)
            assert deep.status_code == 400
        server.shutdown()
        thread.join()
    assert not asked
