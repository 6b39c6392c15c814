"""A session stands, stalls, is hidden, reloaded, lost, or cannot be decoded; and what it leaves."""

import copy
import threading
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from benchmarks.stub_world import OLD_DRIVER, TROUBLE_BLOCK
from mgdemo.blocks import frames_in_blocks
from mgdemo.replay import open_replay
from mgdemo.serving.recorder import Recorder
from mgdemo.ui import sessions_ui
from tests.support.page_player import DECODING, EMBEDDED, REAL, SOCKETS, Player

SEEN = """(player) => [Number(player.dataset.frame), player.querySelector(".screen").toDataURL()]"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def address(serve):
    return serve()


@pytest.fixture(scope="module")
def standing_address(serve):
    return serve(stand_seconds=1)


def playing(player):
    player.start()
    player.expect("playing")
    return player


def test_a_world_without_input_stands_and_moves_on_with_the_first_key(standing_address, visit):
    player = visit(standing_address, script=SOCKETS)
    player.player.evaluate("(player) => (player.dataset.idleSeconds = 1)")  # is for modes that don't stand
    player.start()
    player.expect("standing")
    expect(player.message).to_have_text("The world stands still. Press any control to move.")
    expect(player.root.locator(".spinner")).to_be_hidden()
    # What was made before is still shown, up to the end of the last block.
    frame = 12 * int(player.root.get_by_role("slider", name="Rewind to").get_attribute("max")) - 4
    expect(player.player).to_have_attribute("data-frame", str(frame))
    player.page.wait_for_timeout(1000)
    assert player.frame == frame
    player.page.keyboard.down("w")
    player.expect("playing")
    player.expect_lit("forward", "used")
    player.wait_for_frame(frame + 24)
    player.page.keyboard.up("w")
    player.expect("standing")
    player.page.evaluate("sockets.at(-1).close(4000)")
    player.expect_passing("lost")
    player.expect("standing")
    player.page.keyboard.down("w")
    player.expect("playing")
    player.page.keyboard.up("w")
    player.expect("standing")
    player.page.reload()
    player.expect("paused")
    expect(player.player).to_have_attribute("data-picture", "live")
    player.page.keyboard.down("w")
    player.expect("playing")
    player.page.keyboard.up("w")
    player.stop()


def test_a_mode_that_does_not_stand_is_paused_when_idle(standing_address, visit):
    player = visit(standing_address)
    player.world("Temple Run")
    expect(player.pad("turn_left")).to_be_visible()
    player.player.evaluate("(player) => (player.dataset.idleSeconds = 1)")
    player.start()
    player.expect("paused")
    expect(player.message).to_contain_text("the picture degrades when idle")


def test_the_time_in_the_queue_is_not_idle(serve, visit):
    address = serve(sessions=1, stand_seconds=1)
    first, second = visit(address), visit(address)
    first.start()
    first.wait_for_frame(1)  # it may stand already
    second.world("Temple Run")
    expect(second.pad("turn_left")).to_be_visible()
    second.player.evaluate("(player) => (player.dataset.idleSeconds = 3)")
    second.start()
    second.expect("queued")
    second.page.wait_for_timeout(4000)
    first.stop()
    second.wait_for_frame(20)  # it was paused at the first one
    second.stop()


def test_a_reload_brings_back_what_was_chosen_and_the_session(address, visit):
    player = visit(address)
    player.world("Temple Run")
    player.panel.get_by_label("Seed").fill("42")
    expect(player.pad("turn_left")).to_be_visible()
    player.page.reload()
    expect(player.pad("turn_left")).to_be_visible()
    expect(player.panel.get_by_label("Seed")).to_have_value("42")
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    player.start()
    player.expect("playing")
    player.page.reload()
    player.expect("playing")
    player.page.keyboard.down("z")
    player.expect_lit("turn_left", "used")
    player.page.keyboard.up("z")
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    expect(player.root.locator(".note")).to_be_hidden()
    player.world("Universal")  # for the next session: this one keeps its own controls, also over a reload
    expect(player.root.locator(".note")).to_contain_text("applies from the next start")
    player.page.reload()
    player.expect("playing")
    expect(player.panel.get_by_label("Checkpoint")).to_have_value("Grey world")
    expect(player.pad("turn_left")).to_be_visible()
    player.stop()
    expect(player.pad("look_up")).to_be_visible()


def test_a_reload_opens_the_tab_that_was_open(address, visit):
    scenarios = visit(address, "scenarios")
    scenarios.world("Temple Run")
    expect(scenarios.panel.get_by_role("heading", name="A run")).to_be_visible()
    expect(scenarios.pad("turn_left")).to_be_visible()
    scenarios.page.reload()
    expect(scenarios.panel.get_by_role("heading", name="A run")).to_be_visible()
    expect(scenarios.pad("turn_left")).to_be_visible()


CUT = """
  window.cut = false;
  window.WebSocket = class extends WebSocket {
    constructor(url) {
      super(window.cut ? "ws://127.0.0.1:9/" : url);
      (window.sockets ??= []).push(this);
    }
  };
"""


def test_a_connection_that_is_away_for_long_comes_back_to_the_film(serve, visit):
    player = playing(visit(serve(reconnect_seconds=1), script=CUT))
    player.wait_for_frame(20)
    player.page.evaluate("cut = true; sockets.at(-1).close(4000)")
    player.expect("lost")
    expect(player.root.get_by_role("slider", name="Rewind to")).to_be_disabled()
    player.wait_for_health(lambda health: not health["playing"])
    player.page.evaluate("cut = false")
    player.expect("ended")
    expect(player.results.locator("video")).to_be_visible()
    player.page.reload()
    expect(player.results.locator("video")).to_be_visible()


def test_without_a_socket_a_film_that_takes_long_appears_when_it_is_there(serve, visit, monkeypatch):
    drawn, draw = threading.Event(), Recorder.draw

    def slowly(recorder, recording):
        drawn.wait(60)
        return draw(recorder, recording)

    monkeypatch.setattr(Recorder, "draw", slowly)
    monkeypatch.setattr(sessions_ui, "STOP_SECONDS", 0.5)
    player = playing(visit(serve(), script=CUT))
    player.wait_for_frame(20)
    player.page.evaluate("cut = true; sockets.at(-1).close(4000)")
    player.expect("lost")
    with player.page.expect_request("**/queue/join*"):
        player.root.get_by_role("button", name="Stop").click()
    with player.page.expect_request("**/queue/join*"):
        pass  # the page asks again by itself
    player.expect("saving")
    drawn.set()
    player.expect("ended")
    expect(player.results.locator("video")).to_be_visible()


def test_what_is_chosen_meanwhile_is_not_for_the_session_that_runs(serve, visit):
    scenarios = visit(serve(), "scenarios")
    scenarios.choose("Checkpoint", "Hanging world")  # it is not over before it is stopped
    scenarios.start()
    scenarios.wait_for_frame(12)
    note = scenarios.root.locator(".note")
    expect(note).to_be_hidden()
    scenarios.world("Temple Run")
    expect(note).to_contain_text("applies from the next start")
    expect(scenarios.panel.get_by_role("heading", name="There and round")).to_be_visible()
    expect(scenarios.panel.get_by_role("heading", name="A run")).to_be_hidden()
    expect(scenarios.pad("look_up")).to_be_visible()
    scenarios.stop()
    expect(note).to_be_hidden()
    expect(scenarios.panel.get_by_role("heading", name="A run")).to_be_visible()
    expect(scenarios.pad("turn_left")).to_be_visible()


def test_ones_own_session_on_the_other_tab(serve, visit):
    player = playing(visit(serve(sessions=1)))
    player.page.get_by_role("tab", name="Scenarios").click()
    scenarios = Player(player.page, player.scope, "scenarios")
    scenarios.start()
    expect(scenarios.message).to_contain_text("Your session on the Play tab is still running: stop it first")
    scenarios.start()
    scenarios.expect("ended")
    player.page.get_by_role("tab", name="Play").click()
    expect(player.results.locator("video")).to_be_visible()


def test_keys_on_one_tab_do_not_stop_what_runs_on_the_other(serve, visit):
    scenarios = visit(serve(), "scenarios")
    scenarios.choose("Checkpoint", "Hanging world")  # it is not over before it is stopped
    scenarios.start()
    scenarios.wait_for_frame(12)
    scenarios.page.get_by_role("tab", name="Play").click()
    player = Player(scenarios.page, scenarios.scope, "play")
    for _ in range(3):
        scenarios.page.keyboard.press("w")
    player.expect("idle")
    scenarios.page.get_by_role("tab", name="Scenarios").click()
    assert scenarios.player.get_attribute("data-running") == "yes"
    scenarios.stop()


RECEIVED = """
  window.WebSocket = class extends WebSocket {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", ({ data }) => {
        if (typeof data === "string") return;
        window.received = new DataView(data).getUint32(4, true); // the last frame
      });
    }
  };
"""


def test_a_scenario_whose_line_drops_is_seen_on_from_where_it_was(serve, visit):
    scenarios = visit(serve(), "scenarios", script=SOCKETS + RECEIVED)
    scenarios.choose("Checkpoint", "Hanging world")
    last = frames_in_blocks(TROUBLE_BLOCK) - 1
    scenarios.player.evaluate("""(player) => {
      window.shown = [];
      const look = (records) => {
        if (!shown.length) window.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyP" }));
        shown.push(...records.map((record) => Number(record.oldValue ?? -1)));
      };
      const options = { attributeFilter: ["data-frame"], attributeOldValue: true };
      new MutationObserver(look).observe(player, options);
    }""")
    scenarios.start()
    scenarios.expect("paused")
    scenarios.page.wait_for_function("(last) => window.received === last", arg=last)
    scenarios.page.evaluate("sockets.at(-1).close(4000)")
    scenarios.expect_passing("lost")
    scenarios.expect("paused")
    assert scenarios.frame < last
    scenarios.page.keyboard.press("p")
    scenarios.wait_for_frame(last)
    assert scenarios.page.evaluate("shown") == list(range(-1, last)), "and no frame is left out"
    scenarios.stop()


def test_a_stall_says_so(serve, visit):
    player = visit(serve())
    player.choose("Checkpoint", "Hanging world")
    player.start()
    player.expect_passing("playing")
    player.expect("buffering")
    expect(player.status).to_have_text("Stalled")
    player.stop()


@pytest.mark.parametrize("failure", ["raises", "says nothing"])
def test_a_browser_that_cannot_decode_is_sent_jpeg(failure, address, visit):
    script = """
      window.VideoDecoder = class {
        static async isConfigSupported() { return { supported: true }; }
        state = "unconfigured";
        constructor({ error }) { this.error = error; }
        configure() { this.state = "configured"; }
        decode() { if ("FAILURE" === "raises") setTimeout(() => this.error(new Error("no"))); }
        close() { this.state = "closed"; }
      };
    """
    player = playing(visit(address, script=script.replace("FAILURE", failure)))
    player.wait_for_frame(30)
    player.page.keyboard.press("h")
    expect(player.root.locator(".hud")).to_contain_text("CodecJPEG, since H.264 fails in this browser")
    player.stop()
    player.page.reload()
    player.start()
    player.expect("playing")
    expect(player.root.locator(".hud")).to_contain_text("CodecJPEG, since H.264 fails in this browser")
    player.stop()


def test_a_hidden_page_pauses_its_session(address, visit):
    player = playing(visit(address))
    player.wait_for_frame(30)
    player.page.evaluate(HIDE, True)
    player.expect("paused")
    frame = player.frame
    player.page.wait_for_timeout(1000)
    assert player.frame <= frame + DECODING
    frame, picture = player.player.evaluate(SEEN)
    player.page.evaluate(HIDE, False)
    expect(player.message).to_contain_text("Paused while this page was hidden")
    assert player.player.evaluate(SEEN) == [frame, picture]
    player.page.keyboard.press("w")
    player.expect("playing")
    player.wait_for_frame(frame + 20)
    player.root.locator(".settings > summary").click()
    player.root.get_by_label("Pause when this page is hidden").uncheck()
    player.page.evaluate(HIDE, True)
    player.wait_for_frame(player.frame + 20)
    player.expect("playing")
    player.page.evaluate(HIDE, False)
    player.stop()


@pytest.mark.parametrize(
    "script",
    [
        "delete Element.prototype.requestFullscreen;",
        "Element.prototype.requestFullscreen = async () => { throw new TypeError('not allowed'); };",
    ],
)
def test_without_full_screen_the_window_is_filled(script, address, visit):
    player = visit(address, script=script, viewport={"width": 844, "height": 390})
    player.root.get_by_role("button", name="Full screen").click()
    box = player.player.bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 844, 390)
    assert player.root.locator(".stage").bounding_box()["height"] > 0.8 * 390
    player.page.keyboard.press("Escape")
    expect(player.player).not_to_contain_class("filled")
    player.page.keyboard.press("f")
    expect(player.player).to_contain_class("filled")
    player.page.keyboard.press("f")
    expect(player.player).not_to_contain_class("filled")


def test_a_collapsed_picture_is_said_and_left_by_one_press(address, visit):
    player = visit(address)
    player.choose("Checkpoint", "Black world")
    poster = player.root.locator(".poster")
    before = poster.get_attribute("src")
    player.upload("Use your own picture", REAL.start_images(EMBEDDED[0].name)[0])  # the others are plain
    expect(poster).not_to_have_attribute("src", before)
    playing(player)
    note = player.root.locator(".note")
    expect(note).to_contain_text("The picture has collapsed")
    note.get_by_role("button", name="Rewind to before it").click()
    player.expect("paused")
    expect(note).to_be_hidden()
    player.scope.wait_for_function(
        "([player, first]) => Number(player.dataset.frame) < first",
        arg=[player.player.element_handle(), frames_in_blocks(TROUBLE_BLOCK)],
    )
    assert player.pixels()[0] > 30
    player.stop()


def test_a_world_on_the_cpu_in_spite_of_a_gpu_says_so_until_it_is_closed(serve, visit, stub_library):
    entry = copy.deepcopy(stub_library.entry("universal"))
    entry.config.name = "universal-driver"
    library = replace(stub_library, catalog=lambda: [entry, *stub_library.catalog()])
    player = playing(visit(serve(library, loader="benchmarks.stub_world:load_small")))
    note = player.root.locator(".note")
    expect(note).to_contain_text(OLD_DRIVER)
    player.page.keyboard.down("d")
    player.expect_lit("right", "used")  # it plays on
    player.page.keyboard.up("d")
    note.get_by_role("button", name="Close").click()
    expect(note).to_be_hidden()
    player.page.keyboard.down("a")  # the keys still go to the world
    player.expect_lit("left", "used")
    player.page.keyboard.up("a")
    player.stop()
    playing(player)
    expect(note).to_be_hidden()  # it has been read
    player.stop()


def test_earlier_films_and_branches_stay_within_reach(address, visit, tmp_path):
    player = playing(visit(address))
    player.wait_for_frame(60)
    player.page.keyboard.press("Backspace")
    player.expect("paused")
    player.page.keyboard.down("s")
    player.expect_lit("back", "used")
    player.page.keyboard.up("s")
    player.stop()
    first = open_replay(player.save("Save film", tmp_path)).scenario.track
    player.choose("Film", "Branch 1: ")
    expect(player.results.get_by_role("heading", name="Branch 1")).to_be_visible()
    branch = open_replay(player.save("Save film", tmp_path)).scenario.track
    assert len(branch) > 60 and branch != first
    playing(player)
    player.wait_for_frame(20)
    expect(player.results).to_be_visible()
    player.stop()
    expect(player.results.get_by_role("heading", name="Your film")).to_be_visible()
    for reload in (False, True):
        if reload:
            player.page.reload()
            expect(player.results).to_be_visible()
        player.choose("Film", "Earlier film")
        expect(player.results.get_by_role("heading", name="Earlier film")).to_be_visible()
        assert open_replay(player.save("Save film", tmp_path)).scenario.track == first


def test_quick_presses_on_the_filmstrip_all_count(address, visit):
    player = playing(visit(address, script=SOCKETS))
    player.wait_for_frame(90)
    player.page.keyboard.press("p")
    player.expect("paused")
    slider = player.root.get_by_role("slider", name="Rewind to")
    slider.press("ArrowLeft")  # a block may still come in a pause, but not after a rewind
    player.expect("paused")
    before = int(slider.input_value())
    expect(player.player).to_have_attribute("data-frame", str(8 + 12 * (before - 1)))
    for _ in range(4):
        player.page.keyboard.press("ArrowLeft")
    player.expect("paused")
    expect(player.player).to_have_attribute("data-frame", str(8 + 12 * (before - 5)))
    assert int(slider.input_value()) == before - 4
    player.stop()
