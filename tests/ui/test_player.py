"""Time in the player: pause, step, going back, branches; its statistics and settings; lost lines."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.support.page_player import DECODING, SOCKETS


@pytest.fixture(scope="module")
def address(serve):
    return serve()


@pytest.fixture
def play(address, visit):
    """A visitor whose play has been shown for a moment."""
    player = visit(address, script=SOCKETS)
    player.start()
    player.expect("playing")
    player.wait_for_frame(40)
    return player


def ends_a_block(frame):
    return (frame + 1 - 9) % 12 == 0


def back(player):
    """Goes about two seconds back; the frame where the play then stands."""
    before = player.player.evaluate("""(player) => {
      const before = Number(player.dataset.frame); // at the very moment of the press
      window.dispatchEvent(new KeyboardEvent("keydown", { code: "Backspace" }));
      return before;
    }""")
    player.expect("paused")
    here = "You're back at this moment. Press any control to continue from here."
    expect(player.message).to_have_text(here)
    player.scope.wait_for_function(
        "([player, before]) => Number(player.dataset.frame) < before",
        arg=[player.player.element_handle(), before],
    )
    assert before - 62 <= player.frame and ends_a_block(player.frame)
    return player.frame


def branch(player, number):
    return player.root.get_by_role("button", name=f"Branch {number}")


def test_pause_and_step(play):
    keyboard = play.page.keyboard
    keyboard.press("p")
    play.expect("paused")
    expect(play.message).to_contain_text("Press P or the button to resume")
    frame = play.frame
    keyboard.down("d")
    play.expect_lit("right", "held")
    play.page.wait_for_timeout(700)
    play.expect("paused")  # what is held is for the next step
    assert play.frame <= frame + DECODING

    keyboard.press(".")
    play.expect_lit("right", "used")
    play.scope.wait_for_function(
        "(player) => (Number(player.dataset.frame) - 8) % 12 == 0", arg=play.player.element_handle()
    )
    frame = play.frame
    assert play.pixels()[0] == pytest.approx(60 + 80, abs=4)
    keyboard.up("d")
    play.root.get_by_role("button", name="Step one block").click()
    play.wait_for_frame(frame + 12)
    play.page.wait_for_timeout(700)
    assert play.frame == frame + 12
    play.expect("paused")
    play.expect_lit("right", "used", False)

    play.root.get_by_role("button", name="Resume").click()
    play.expect("playing")
    play.wait_for_frame(frame + 40)
    keyboard.press(".")  # pauses first
    play.expect("paused")


def test_going_back_makes_a_branch(play):
    keyboard = play.page.keyboard
    play.wait_for_frame(110)
    expect(play.root.locator(".branches button")).to_have_count(0)
    frame = back(play)
    keyboard.down("d")
    play.expect("playing")
    play.wait_for_frame(frame + 8)
    assert play.frame < frame + 60  # numbered from there on
    play.expect_lit("right", "used")
    keyboard.up("d")
    expect(branch(play, 2)).to_have_attribute("aria-current", "true")
    play.wait_for_frame(frame + 30)
    keyboard.press("p")
    play.expect("paused")

    seconds = float(re.search(r"([\d.]+) s", branch(play, 1).text_content())[1])
    branch(play, 1).click()
    expect(branch(play, 1)).to_have_attribute("aria-current", "true")
    end = 8 + 12 * round((seconds * 25 - 9) / 12)
    expect(play.player).to_have_attribute("data-frame", str(end))
    expect(play.message).to_have_text("You're back at this moment. Press any control to continue from here.")
    keyboard.down("w")
    play.expect("playing")
    play.wait_for_frame(end + 12)
    keyboard.up("w")
    expect(play.root.locator(".branches button")).to_have_count(2)  # it has grown, not forked


def test_each_press_goes_further_back_also_after_a_rest(play):
    play.wait_for_frame(150)
    first = back(play)
    second = back(play)
    assert second <= first - 36
    slider = play.root.get_by_role("slider", name="Rewind to")
    slider.fill("7")
    expect(play.player).to_have_attribute("data-frame", "80")
    assert back(play) == 80 - 48


def test_in_a_pause_an_arrow_goes_back_from_the_picture_that_is_shown(play):
    """Blocks that are made already, and not shown yet, do not count."""
    slider = play.root.get_by_role("slider", name="Rewind to")
    play.player.evaluate("""(player) => new Promise((done) => {
      const slider = player.querySelector(".seek");
      const look = () => {
        const end = 12 * Number(slider.max) - 4; // of the last block
        if (end - Number(player.dataset.frame) < 12) return; // which is shown already
        observer.disconnect();
        window.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyP" }));
        done();
      };
      const observer = new MutationObserver(look);
      observer.observe(player, { attributeFilter: ["data-frame"] });
    })""")
    play.expect("paused")
    play.page.wait_for_timeout(1000)  # a block may still come
    shown = (play.frame + 15) // 12  # as many blocks have begun to be shown
    expect(slider).to_have_value(str(shown))
    slider.press("ArrowLeft")
    play.expect("paused")
    expect(play.player).to_have_attribute("data-frame", str(12 * (shown - 1) - 4))
    play.page.keyboard.press(".")  # a step: the slider follows it
    play.wait_for_frame(12 * shown - 4)
    expect(slider).to_have_value(str(shown))
    play.page.keyboard.press("p")
    play.expect("playing")
    play.wait_for_frame(12 * shown + 20)


def test_what_is_held_all_along_counts_after_a_rewind_that_is_resumed_by_hand(play):
    keyboard = play.page.keyboard
    play.wait_for_frame(80)
    keyboard.down("d")
    play.expect_lit("right", "used")
    keyboard.press("Backspace")
    play.expect("paused")
    play.page.wait_for_timeout(500)
    frame = play.frame
    keyboard.press("p")
    play.expect("playing")
    play.wait_for_frame(frame + 30)
    assert play.pixels()[0] == pytest.approx(60 + 80, abs=4)
    keyboard.up("d")


def test_the_words_of_a_setting_switch_it_as_its_box_does(play):
    play.root.locator(".settings > summary").click()
    switch = play.root.get_by_label("Pause when this page is hidden")
    before = switch.is_checked()
    play.root.get_by_text("Pause when this page is hidden").click()
    expect(switch).to_be_checked(checked=not before)
    play.root.get_by_text("Pause when this page is hidden").click()
    expect(switch).to_be_checked(checked=before)
    play.root.locator(".stage").click()
    expect(switch).to_be_hidden()


def test_who_presses_on_while_it_goes_back_plays_on(play):
    play.wait_for_frame(80)
    frame = play.player.evaluate("""(player) => {
      window.first = Infinity; // of the frames from here on
      const look = () => (window.first = Math.min(window.first, Number(player.dataset.frame)));
      new MutationObserver(look).observe(player, { attributeFilter: ["data-frame"] });
      for (const code of ["Backspace", "KeyD"]) window.dispatchEvent(new KeyboardEvent("keydown", { code }));
      return Number(player.dataset.frame);
    }""")
    expect(branch(play, 2)).to_be_visible()
    play.expect("playing")
    assert play.page.evaluate("window.first") < frame
    play.expect_lit("right", "used")


def test_who_resumes_while_it_goes_back_plays_on(play):
    play.wait_for_frame(80)
    looks = play.player.evaluate("""(player) => {
      const [pause, message] = [".pause", ".message"].map((part) => player.querySelector(part));
      return ["Backspace", "KeyP"].map((code) => {
        window.dispatchEvent(new KeyboardEvent("keydown", { code }));
        return [pause.ariaLabel, pause.disabled, message.textContent];
      });
    }""")
    assert looks == [["Resume", False, "Rewinding"], ["Pause", False, "Rewinding, then resuming"]]
    expect(branch(play, 2)).to_be_visible()
    play.expect("playing")


def test_a_session_that_continues_in_another_window_can_be_taken_back(play):
    play.page.evaluate("""() => {
      window.other = new WebSocket(sockets.at(-1).url);
      other.onopen = () => other.send(JSON.stringify({ type: "hello", version: 5, codecs: ["jpeg"] }));
      other.onclose = ({ code }) => (window.otherClosed = code);
    }""")
    play.expect("replaced")
    expect(play.message).to_contain_text("continues in another window")
    play.root.get_by_role("button", name="Continue here").click()
    play.expect("playing")
    play.page.wait_for_function("window.otherClosed === 4409")
    play.stop()


def test_the_slider_by_keyboard_and_pointer(play):
    slider, keyboard = play.root.get_by_role("slider", name="Rewind to"), play.page.keyboard
    keyboard.press("p")
    play.expect("paused")
    slider.focus()
    keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0.0 s")
    expect(play.status).to_have_text("Paused at 0.0 s")
    keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "0.4 s")
    expect(play.player).to_have_attribute("data-frame", "8")
    keyboard.press("End")  # what was played is still there, although the play stood before it
    play.scope.wait_for_function("(player) => player.dataset.frame > 20", arg=play.player.element_handle())

    box, preview = slider.bounding_box(), play.root.locator(".preview")
    middle = box["y"] + box["height"] / 2
    play.page.mouse.move(box["x"] + box["width"] - 4, middle)
    play.page.mouse.down()
    play.page.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    expect(preview).to_be_visible()
    play.page.wait_for_function("(image) => image.naturalWidth > 0", arg=preview.element_handle())
    expect(play.message).to_contain_text("Rewind to")
    play.page.mouse.up()
    expect(preview).to_be_hidden()
    expect(play.message).to_have_text("You're back at this moment. Press any control to continue from here.")
    keyboard.down("a")  # the slider does not keep the keys of the world
    play.expect("playing")
    play.expect_lit("left", "used")

    pictures = play.root.locator(".strip img")
    expect(pictures.first).to_have_js_property("complete", True)
    assert pictures.first.evaluate("(image) => image.naturalWidth") > 0


def test_statistics_are_measured_remembered_and_saved(play, tmp_path):
    keyboard, statistics = play.page.keyboard, play.root.locator(".hud")
    expect(statistics).to_be_hidden()
    keyboard.press("h")
    for _ in range(4):
        for state in (True, False):
            (keyboard.down if state else keyboard.up)("w")
            play.expect_lit("forward", "used", state)
    for words in (
        r"Input latency\d+ ms, median \d+ ms",
        r"Generated, displayed[\d.]+, [\d.]+ fps",
        r"Transformer, decoder, encoder\d\d+ ms, 0 ms, \d+ ms",
        "Worlduniversal, seed 0",
        "CodecH.264",
    ):
        expect(statistics).to_contain_text(re.compile(words))
    with play.page.expect_download() as download:
        statistics.get_by_role("button", name="Save statistics").click()
    download.value.save_as(tmp_path / "statistics.json")
    saved = json.loads((tmp_path / "statistics.json").read_text())
    summary, blocks = saved["summary"], saved["blocks"]
    assert summary["checkpoint"] == "universal" and summary["seed"] == 0
    assert summary["latency_ms"]["count"] >= 8
    assert 0 < summary["latency_ms"]["median"] < 60_000
    assert 20 <= summary["stages_ms"]["dit"] < 1000, "as the stub says"
    assert {block["block"] for block in blocks} == set(range(summary["block"] + 1))
    assert sum(block["splice"] is not None for block in blocks) == summary["blocks_regenerated"]

    play.stop()
    play.page.reload()
    expect(statistics).to_be_visible()
    play.root.get_by_role("button", name="Statistics", exact=True).click()
    expect(statistics).to_be_hidden()


@pytest.mark.parametrize("codec", ["h264", "jpeg"])
def test_every_frame_is_shown_once_whatever_is_made_again(codec, address, visit):
    play = visit(address, script=SOCKETS + ("delete window.VideoDecoder;" if codec == "jpeg" else ""))
    play.start()
    play.expect("playing")
    play.player.evaluate("""(player) => {
      window.shown = [];
      new MutationObserver((records) => shown.push(...records.map((record) => Number(record.oldValue))))
        .observe(player, { attributeFilter: ["data-frame"], attributeOldValue: true });
    }""")
    remade = play.page.evaluate_handle("new Set()")
    play.page.evaluate(
        """(remade) => sockets.at(-1).addEventListener("message", ({ data }) => {
          const block = typeof data === "string" ? JSON.parse(data) : {};
          if (block.type === "block" && block.splice !== null) remade.add(block.node);
        })""",
        remade,
    )
    for _ in range(400):  # somewhere in a block, each time elsewhere
        play.page.keyboard.down("d")
        play.page.wait_for_timeout(170)
        play.page.keyboard.up("d")
        play.page.wait_for_timeout(130)
        if remade.evaluate("(remade) => remade.size") >= 3:
            break
    else:
        pytest.fail("nothing was made again")
    play.wait_for_frame(play.frame + 24)
    shown = [frame for frame in play.page.evaluate("window.shown") if frame >= 0]
    assert shown == sorted(set(shown))
    if codec == "h264":  # of two JPEG pictures the later may be decoded first
        assert shown == list(range(shown[0], shown[0] + len(shown)))
    frame = back(play)
    play.page.keyboard.press("d")
    play.expect("playing")
    play.wait_for_frame(frame + 20)


def test_a_mode_that_does_not_stand_is_paused_gently_when_idle(address, visit):
    play = visit(address)
    play.world("Temple Run")
    expect(play.pad("turn_left")).to_be_visible()
    play.start()
    play.expect("playing")
    play.player.evaluate("(player) => (player.dataset.idleSeconds = 1)")
    play.expect("paused")
    expect(play.message).to_contain_text("the picture degrades when idle")
    play.page.keyboard.down("w")
    play.expect("playing")
    frame = play.frame
    play.wait_for_frame(frame + 40)  # what is held is not idle
    play.expect("playing")
    play.page.keyboard.up("w")
    play.expect("paused")
    play.root.locator(".settings > summary").click()
    switch = play.root.get_by_label("Pause when idle")
    expect(switch).to_be_checked()
    switch.uncheck()
    play.page.keyboard.press("Escape")
    expect(switch).to_be_hidden()
    play.page.keyboard.press("w")
    play.expect("playing")
    play.wait_for_frame(play.frame + 60)
    play.expect("playing")


def test_a_pause_outlasts_a_lost_line_and_a_page_loaded_anew(play):
    play.wait_for_frame(80)
    frame = back(play)
    play.page.evaluate("sockets.at(-1).close(4000)")
    play.expect_passing("lost")
    play.expect("paused")
    assert play.frame == frame
    play.page.reload()
    play.expect("paused")
    expect(play.player).to_have_attribute("data-frame", str(frame))
    expect(play.player).to_have_attribute("data-picture", "live")
    play.page.keyboard.press("w")
    play.expect("playing")
    play.wait_for_frame(frame + 20)


def test_who_resumes_on_a_line_that_is_lost_plays_on_when_it_is_back(play):
    play.page.keyboard.press("p")
    play.expect("paused")
    play.page.evaluate("sockets.at(-1).send = () => {}")  # nobody has noticed yet
    play.page.keyboard.press("p")
    play.page.evaluate("sockets.at(-1).close(4000)")
    play.expect_passing("lost")
    play.expect("playing")
    play.wait_for_frame(play.frame + 40)


@pytest.mark.parametrize("size", [(1280, 800), (360, 740)])
def test_nothing_moves_between_the_states(size, address, visit):
    player = visit(address, viewport={"width": size[0], "height": size[1]})

    def places():
        names = ("stage", "past", "bar", "pads")
        return [player.root.locator(f".{name}").bounding_box() for name in names]

    idle = places()
    player.start()
    for press, state in ((None, "playing"), ("p", "paused"), ("p", "playing"), ("Backspace", "paused")):
        if press:
            player.page.keyboard.press(press)
        player.expect(state)
        player.wait_for_frame(0)
        assert places() == idle
    player.page.keyboard.press("d")
    player.expect("playing")
    expect(branch(player, 2)).to_be_visible()
    assert places() == idle
    assert player.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    player.stop()
    assert places() == idle


def test_full_screen_on_a_phone_on_its_side(address, visit):
    width, height = 844, 390
    player = visit(address, viewport={"width": width, "height": height}, has_touch=True)
    player.page.keyboard.press("f")
    player.page.wait_for_function("document.fullscreenElement")
    player.start()
    player.expect("playing")
    assert player.root.locator(".stage").bounding_box()["height"] > 0.8 * height
    for part in [player.root.locator(".stage"), *player.root.locator(".bar button:visible, .pad").all()]:
        box = part.bounding_box()
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= height
    player.pad("look_left").hover()  # nothing lies over it
    player.page.mouse.down()
    player.expect_lit("look_left", "used")


def test_a_scenario_can_be_paused_but_not_changed(address, visit):
    scenarios = visit(address, "scenarios")
    scenarios.player.evaluate("""(player) => {
      const press = () => {
        if (!(Number(player.dataset.frame) >= 5)) return;
        observer.disconnect();
        window.dispatchEvent(new KeyboardEvent("keydown", { code: "KeyP" }));
      };
      const observer = new MutationObserver(press);
      observer.observe(player, { attributeFilter: ["data-frame"] });
    }""")
    scenarios.start()
    scenarios.expect("paused")
    frame = scenarios.frame
    scenarios.page.keyboard.press("Backspace")
    scenarios.page.keyboard.press(".")
    scenarios.page.wait_for_timeout(700)
    assert scenarios.frame <= frame + DECODING
    expect(scenarios.root.get_by_role("slider")).to_be_hidden()
    expect(scenarios.root.get_by_role("button", name="Step one block")).to_be_hidden()
    expect(scenarios.results).to_be_visible()  # it is made, but not yet seen
    scenarios.expect("paused")
    scenarios.root.get_by_role("button", name="Resume").click()
    scenarios.expect("ended")
    assert scenarios.frame == 104
