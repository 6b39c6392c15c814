"""The page in a real browser, over real workers with stub worlds."""

import contextlib

import pytest
from PIL import Image
from playwright.sync_api import expect

from devtools.ports import free_port
from mgdemo import scenario, ui
from mgdemo.checkpoints import CheckpointError, Entry
from mgdemo.compare.device import Device
from mgdemo.compare.plan import Variant
from mgdemo.config import CheckpointConfig
from mgdemo.serving import SessionService, Settings
from mgdemo.ui.library import Library
from tests.support.chromium import chromium
from tests.support.page_player import HEIGHT, PASSED, WIDTH, Player

SCENARIOS = {
    "universal": "title: There and round\ndescription: Short.\nmode: universal\nactions:\n"
    "  - {hold: [W], for: 1 block}\n  - {hold: [A, L], for: 8 blocks}\n",
    "templerun": "title: A run\nmode: templerun\nactions:\n  - {for: 2 blocks}\n",
}
expect.set_options(timeout=60_000)  # only reached when something is broken


def stub_entry(name, title, available=True, needs=""):
    mode = name.partition("-")[0] if name != "missing" else "universal"
    config = CheckpointConfig(name=name, title=title, mode=mode, height=HEIGHT, width=WIDTH)
    config.note = "Preview world: grey." if name == "universal" else ""
    config.needs, config.files.repo = needs, "" if available else "somewhere/else"
    return Entry(config, available)


@pytest.fixture(scope="session")
def stub_library(tmp_path_factory):
    """Worlds of the stub, one that fails and one that is not there; three start images, two scenarios."""
    library = tmp_path_factory.mktemp("scenarios")
    for mode, text in SCENARIOS.items():
        (library / mode).mkdir()
        (library / mode / "one.yaml").write_text(text)
    folder = tmp_path_factory.mktemp("start")
    for name, colour in (("red", (200, 40, 40)), ("green", (40, 160, 40)), ("blue", (40, 40, 200))):
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(folder / f"{name}.png")
    entries = [
        stub_entry("universal", "Grey world"),
        stub_entry("universal-slow", "Slow world"),
        stub_entry("missing", "Broken world"),
        stub_entry("universal-big", "Big world", available=False, needs="9 GB and a GPU"),
        stub_entry("universal-hang", "Hanging world"),
        stub_entry("universal-black", "Black world"),
        stub_entry("templerun", "Grey run"),
    ]
    available = {entry.name: entry for entry in entries if entry.available}

    def variant(name, optimization):
        if name not in available:
            raise CheckpointError("Big world is not on this machine: download it.")
        return Variant(
            name,
            available[name].mode,
            (HEIGHT, WIDTH),
            f"{name} weights",
            False,
            optimization,
            available[name].title,
        )

    return Library(
        lambda: entries,
        lambda _name: sorted(folder.glob("*.png")),
        lambda: scenario.library(library),
        variant=variant,
    )


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def serve(tmp_path_factory, stub_library):
    """serve(library=…, fleet=None, **settings) -> the address of a page of its own.

    fleet: makes one from the settings, instead of theirs.
    """
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("mgdemo.ui.compare.bench.device_of", lambda wanted: Device("cpu stub"))
        patch.setattr("mgdemo.probe.ask", lambda *_: 30.0)

        def start(library=stub_library, fleet=None, **settings):
            # Many sessions: that of a page which is gone keeps its place for a while.
            defaults = {"record_dir": tmp_path_factory.mktemp("sessions"), "threads": 1, "stand_seconds": 0}
            defaults["port"] = free_port()
            defaults |= {"sessions": 30, "visitor_sessions": 0, "visitor_starts": 0, "visitor_requests": 0}
            if library is stub_library:
                defaults["loader"] = "benchmarks.stub_world:load_small"
            chosen = Settings(**defaults | settings)
            service = SessionService(chosen, fleet and fleet(chosen))
            stack.callback(service.close)
            demo = ui.build(service, library)
            ui.launch(demo, prevent_thread_lock=True, quiet=True)
            stack.callback(demo.close, verbose=False)
            return demo.local_url

        yield start


@pytest.fixture
def visit(browser):
    """visit(address, player="play", script="", framed=False, route=None, **context) -> Player of a visitor.

    script runs before the page's own; framed: the page is in an iframe of another site; route: pattern and
    handler of requests.
    """
    problems = []
    with contextlib.ExitStack() as stack:

        def open_page(address, player="play", script="", framed=False, route=None, **options):
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
            stack.callback(context.close)
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.add_init_script(PASSED)
            if route:
                page.route(*route)
            if script:
                page.add_init_script(script)
            if framed:
                page.set_content(
                    f'<iframe src="{address}" width="1200" height="760" allow="fullscreen"></iframe>'
                )
            else:
                page.goto(address)
            frame = page.main_frame.child_frames[0] if framed else page.main_frame
            if player == "scenarios":
                frame.get_by_role("tab", name="Scenarios").click()
            it = Player(page, frame, player)
            expect(it.root.locator(".pad").first).to_be_visible()
            return it

        yield open_page
    assert not problems, f"the page had errors: {problems}"
