"""Comparisons on a real server over stub worlds; and the lockstep player in a real browser, over films whose
frames carry their number."""

import contextlib
import json

import pytest
from playwright.sync_api import expect

from devtools.live_player import Server
from mgdemo.compare import player
from mgdemo.compare.jobs import Comparisons
from mgdemo.compare.store import RunStore
from mgdemo.serving import Settings
from tests.support import numbered_film
from tests.support.chromium import chromium
from tests.support.grid_views import FRAMES

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Lockstep</title>
<link rel="stylesheet" href="/player.css"><style>body{{margin:8px;font:14px sans-serif}}</style><div id="root"></div>
<script>{read}</script><script type="application/json" id="data">{data}</script>
<script type="module">
import {{ mountGrid }} from "/index.js";
window.player = mountGrid(document.getElementById("root"), JSON.parse(document.getElementById("data").textContent), {options});
</script>"""  # noqa: E501


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def start(tmp_path):
    """start(loader=…, runs="runs", **settings) -> a server and its comparisons; all are closed in the end."""
    with contextlib.ExitStack() as stack:

        def started(loader="benchmarks.stub_world:load_small", runs="runs", **changes):
            settings = {"sessions": 1, "stand_seconds": 0, "record_dir": tmp_path / "sessions"} | changes
            server = Server(Settings(loader=loader, threads=1, **settings))
            stack.callback(server.close)
            comparisons = Comparisons(server.service, RunStore(tmp_path / runs), device="cpu")
            stack.callback(comparisons.close)
            return server, comparisons

        yield started


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Addresses of six films, each with key frames at other places; the last is shorter."""
    folder = tmp_path_factory.mktemp("films")
    lengths = [FRAMES] * 5 + [FRAMES - 40]
    return [
        numbered_film.write(folder / f"{i}.mp4", length, 6 * i, keys_at=tuple(range(7 * i, length, 31)))
        for i, length in enumerate(lengths)
    ]


@pytest.fixture
def mount(browser):
    """mount(view, script="", options={}, address=…, **context) -> a page with the player."""
    problems = []
    with contextlib.ExitStack() as stack:

        def open_page(view, script="", options=None, address="https://lockstep.test/", **context):
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
            stack.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
            files = player.modules() | {"player.css": player.CSS}
            data = json.dumps(view).replace("<", "\\u003c")
            body = PAGE.format(read=numbered_film.READ, data=data, options=json.dumps(options or {}))

            def answer(route):
                name = route.request.url.partition("test/")[2].partition("#")[0]
                if name in files:
                    kind = "text/css" if name.endswith("css") else "text/javascript"
                    return route.fulfill(body=files[name].read_text("utf-8"), content_type=kind)
                return route.fulfill(body=body, content_type="text/html")

            page.route("*://lockstep.test/**", answer)
            if script:
                page.add_init_script(script)
            page.goto(address)
            expect(page.locator(".lockstep")).to_be_visible()
            return page

        yield open_page
    assert not problems, f"the page had errors: {problems}"
