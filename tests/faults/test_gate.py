"""What visitors send past the page: to what it does not use, under endless names, in endless numbers."""

import json
import re
from types import SimpleNamespace

import gradio as gr
import pytest

from devtools.web_process import Script
from mgdemo.serving import Settings, gate, on_behalf
from mgdemo.serving.events import PAGE_NAME

pytestmark = pytest.mark.anyio

EVIL = "127.0.0.2"  # an address that is no trusted proxy's
FORM = [(b"content-type", b"multipart/form-data; boundary=abc")]
# Of Gradio's routes, what the page, Gradio's clients or browsers ask for. All others are to be refused.
USED = {
    "/", "/config", "/login", "/logout", "/favicon.ico", "/theme.css", "/robots.txt", "/manifest.json",
    "/assets/{}", "/static/{}", "/svelte/{}", "/openapi.json", "/gradio_api/openapi.json", "/gradio_api/info",
    "/gradio_api/file={}", "/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/queue/data",
    "/gradio_api/call/{}", "/gradio_api/call/{}/{}", "/gradio_api/call/v2/{}", "/gradio_api/call/v2/{}/{}",
    "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/heartbeat/{}", "/gradio_api/token",
    "/gradio_api/app_id", "/gradio_api/startup-events", "/gradio_api/theme.css",
}  # fmt: skip


class Asked:
    """A gate before an app that only notes what reaches it."""

    def __init__(self, **settings):
        self.reached, self.refused, self.queries, self.scopes = [], [], [], []
        self._gate = gate.Gate(self._app, Settings(**settings), self.refused.append)

    async def _app(self, scope, receive, send):
        while scope["type"] == "http" and (await receive()).get("more_body"):
            pass
        self.reached.append(scope["path"])
        self.queries.append(scope["query_string"])
        self.scopes.append(scope)

    async def ask(self, path, body=(b"",), method="POST", headers=(), kind="http", query=b"", host=EVIL):
        """The status with which the gate answers; 200: the app has got it; 0: not all of it."""
        parts = [
            {"type": "http.request", "body": part, "more_body": number < len(body)}
            for number, part in enumerate(body, 1)
        ]
        said, before = [], len(self.reached)

        async def receive():
            return parts.pop(0)

        async def send(message):
            said.append(message)

        scope = {"type": kind, "method": method, "path": path, "headers": headers, "client": (host, 1)}
        scope["query_string"] = query
        await self._gate(scope, receive, send)
        if len(self.reached) > before:
            return 200
        return said[0].get("status", said[0].get("code")) if said else 0


def gradio_routes():
    """Of all routes that Gradio has: methods, and the path without the names of its parts."""
    with gr.Blocks() as demo:
        gr.Button()
    demo.queue()
    waiting, found = list(gr.routes.App.create_app(demo).routes), set()
    while waiting:
        route = waiting.pop()
        if hasattr(route, "path"):
            path = re.sub(r"\{[^}]*\}", "{}", route.path)
            found |= {(method, path) for method in getattr(route, "methods", None) or ["GET"]}
        else:  # a router that was included
            waiting += route.original_router.routes
    return found


async def test_every_route_of_gradios_that_nobody_uses_is_refused():
    routes = gradio_routes()
    assert len(routes) > 80 and ("POST", "/gradio_api/component_server/") in routes
    asked = Asked(visitor_requests=0)
    passed = {path for method, path in routes if await asked.ask(path, [b"{}"], method, FORM) == 200}
    assert {path.rstrip("/") or "/" for path in passed} == USED


async def test_nothing_passes_beside_the_queue_and_nothing_stays_of_what_breaks_off(web):
    async with Script(web) as script:
        head = b'--abc\r\nContent-Disposition: form-data; name="data"; filename="a"\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=abc"}
        before = set(web.folder.rglob("*"))
        order = script.order(script.events("load")[0])
        for slash in ("", "/"):
            url = f"/gradio_api/component_server{slash}"
            sent = await script.client.post(url, content=head + b"x" * 1_900_000, headers=headers)
            assert sent.status_code == 404
            for route in ("run", "api"):
                url = f"/gradio_api/{route}/x{slash}"
                assert (await script.client.post(url, json=order)).status_code == 404
        assert not [path for path in set(web.folder.rglob("*")) - before if path.is_file()]
        assert (await script.join(order)).status_code == 200


@pytest.mark.parametrize("path", ["/config", "/gradio_api/info", "/gradio_api/openapi.json"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_slash_at_the_end_makes_nothing_cheaper(path, slash):
    asked = Asked(visitor_requests=1)
    codes = [await asked.ask(path + slash, method="GET") for _ in range(20)]
    assert codes[0] == 200 and codes[-1] == 429


@pytest.mark.parametrize(
    "path", ["queue/join", "queue/join/", "call/validate", "call/validate/", "call/v2/x/"]
)
async def test_the_name_of_a_page_is_a_short_text(path):
    asked, path = Asked(), f"/gradio_api/{path}"
    for name in ('"%s"' % ("x" * (PAGE_NAME + 1)), '"%s"' % ("x" * 1_900_000), '""', "7", '["x"]', "{}"):
        assert await asked.ask(path, [b'{"session_hash": %s}' % name.encode()]) == 422, name[:99]
    assert not asked.reached
    for name in ('"%s"' % ("x" * PAGE_NAME), '"78d1b3ec-98a9-4b6c-a61d-2ab39abd7d54"', "null"):
        assert await asked.ask(path, [b'{"session_hash": %s}' % name.encode()]) == 200, name


async def test_every_file_of_an_upload_counts(monkeypatch):
    monkeypatch.setattr(gate, "time", SimpleNamespace(monotonic=lambda: 0.0))

    def upload(files, end=b"--abc--\r\n"):
        head = b'--abc\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        return head + (b"x\r\n" + head) * (files - 1) + b"x\r\n" + end

    def split(body, size):
        return [body[at : at + size] for at in range(0, len(body), size)]

    async def taken(files, size=10**6, **kind):
        asked = Asked(visitor_megabytes=40, visitor_requests=0)
        codes = [
            await asked.ask(gate.UPLOAD, split(upload(files, **kind), size), headers=FORM) for _ in range(60)
        ]
        assert set(codes) <= {200, 0, 429}
        return codes.count(200)

    assert await taken(1) == 39, "a file of no size counts as a megabyte, and little more"
    for size in (1, 4, 7, 10**6):
        assert await taken(4, size) == 9, size
        assert await taken(1, size) == 39, size
        assert await taken(1, size, end=b"") == 39, "one that breaks off has come, too"
        assert await taken(5, size) == 0


async def test_gradio_is_not_told_the_number_of_an_upload_which_it_would_keep_for_good():
    asked = Asked()
    for path in (gate.UPLOAD, "/gradio_api/queue/data"):
        assert await asked.ask(path, headers=FORM, query=b"upload_id=abc") == 200
    assert asked.queries == [b"", b"upload_id=abc"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin1"])
async def test_events_in_other_encodings_are_refused_since_their_values_cannot_be_counted(encoding):
    asked = Asked()
    letter = "\xfc" if encoding == "latin1" else "\u2200"  # in UTF-16 as a quote and a zero
    event = json.dumps({"data": [letter, *range(20_000)]}, ensure_ascii=False)
    assert await asked.ask("/gradio_api/queue/join", [event.encode(encoding)]) == 400
    assert await asked.ask("/gradio_api/queue/join", [json.dumps({"data": [letter]}).encode()]) == 200
    assert asked.refused == ["json"]


async def test_a_visitor_sends_only_so_many_bytes_of_events():
    """A text of 250 KB takes half a second to be read as a scenario, which all others would wait for."""
    asked, event = Asked(visitor_requests=10), [json.dumps({"data": ["x" * 250_000]}).encode()]
    codes = [await asked.ask("/gradio_api/queue/join", event) for _ in range(20)]
    assert codes[:15] == [200] * 15 and codes[-3:] == [429] * 3
    assert await asked.ask("/gradio_api/queue/join", event, host="127.0.0.9") == 200
    assert set(asked.refused) == {"events"}


@pytest.mark.parametrize("body", [b"", b"{", b"1", b'"x"', b"null"])
async def test_events_that_are_no_object_are_refused(body):
    assert await Asked().ask("/gradio_api/queue/join", [body]) == 400


@pytest.mark.parametrize("end", ["\n", "\r", "\0", "\x7f"])
@pytest.mark.parametrize(
    "path", [gate.UPLOAD, "/login", "/gradio_api/queue/join", "/gradio_api/compare/x/live"]
)
async def test_no_rule_is_escaped_by_a_newline_at_a_paths_end(path, end):
    """It would reach a route all the same: `$` matches before it."""
    asked = Asked()
    assert await asked.ask(path + end) == 404
    assert not asked.reached


async def test_what_the_server_asks_itself_counts_as_the_visitors_who_called_a_tool():
    asked, event = Asked(), [b'{"session_hash": "a"}']
    said = [(b"x-forwarded-for", b"9.9.9.9"), (on_behalf.HEADER, b"00 9.9.9.9"), (b"accept", b"*/*")]
    assert await asked.ask("/gradio_api/mcp/", [b"{}"], headers=said) == 200
    sent = asked.scopes[-1]["headers"]  # as Gradio's client sends them on
    assert b"x-forwarded-for" not in dict(sent) and dict(sent)[b"accept"] == b"*/*"
    assert await asked.ask("/gradio_api/queue/join", event, headers=sent, host="127.0.0.1") == 200
    assert asked.scopes[-1]["client"][0] == EVIL
    assert on_behalf.HEADER not in dict(asked.scopes[-1]["headers"])
    assert await asked.ask("/gradio_api/queue/join", event, headers=said, host="127.0.0.1") == 200
    assert asked.scopes[-1]["client"][0] == "127.0.0.1", "nobody else knows the secret"


async def test_only_uploads_may_be_as_large_as_these():
    asked = Asked()
    assert await asked.ask("/gradio_api/call/upload", [b"x" * 10**6] * 9) == 413


@pytest.mark.parametrize(
    "path",
    ["x/films/y.mp4", "x/files/report.html", "x/ballot", "x/standing", "votes.csv", "ballots/x/left.mp4"],
)
async def test_what_is_fetched_of_comparisons_counts(path):
    asked = Asked(visitor_requests=1)
    codes = [await asked.ask(f"/gradio_api/compare/{path}", method="GET") for _ in range(20)]
    assert codes.count(200) == 10 and codes[-1] == 429


@pytest.mark.parametrize("path", ["compare/x/live", "live/x"])
async def test_sockets_that_are_opened_over_and_over_count(path):
    asked = Asked(visitor_requests=1)
    codes = [await asked.ask(f"/gradio_api/{path}", kind="websocket") for _ in range(20)]
    assert codes.count(200) == 10 and codes[-1] == gate.POLICY
    assert set(asked.refused) == {"requests"}
