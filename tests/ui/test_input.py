"""What a visitor can steer with, in a real browser: drag, gamepad, other layouts, and beginning by a key."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.gamepad import GAMEPAD

SENT = """
  window.sent = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    const message = JSON.parse(text);
    if (message.type === "input") window.sent.push(message);
    return send.call(this, text);
  };
"""


@pytest.fixture(scope="module")
def address(serve):
    return serve()


def playing(player):
    player.start()
    player.expect("playing")
    return player


def test_dragging_the_picture_turns_the_camera_and_rests(address, visit):
    player = playing(visit(address, script=SENT))
    box = player.root.locator(".stage").bounding_box()
    mouse = player.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    for step in range(1, 7):  # one alone is enough for the least yaw below, however slow the machine is
        mouse.move(box["x"] + box["width"] * (0.5 + 0.05 * step), box["y"] + box["height"] / 2 - 5 * step)
        player.page.wait_for_timeout(20)
    player.expect_passed("used", "^look_right$")
    mouse.up()
    player.page.wait_for_function("window.sent.length && window.sent.at(-1).camera.every((v) => v === 0)")
    player.expect_lit("look_right", "used", False)
    cameras = player.page.evaluate("window.sent.map(({ camera }) => camera)")
    assert all(0 <= pitch <= 0.3 and 0 <= yaw <= 0.3 for pitch, yaw in cameras)
    assert max(yaw for _, yaw in cameras) > 0.1 and max(pitch for pitch, _ in cameras) > 0
    player.stop()


def test_a_finger_on_the_picture_turns_while_another_holds_a_pad(address, visit):
    player = visit(
        address, script=SENT, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    playing(player)
    touch = player.page.context.new_cdp_session(player.page)
    stage, pad = player.root.locator(".stage").bounding_box(), player.pad("forward").bounding_box()
    hold = {"x": pad["x"] + 10, "y": pad["y"] + 10, "id": 0}

    def fingers(kind, x):
        drag = {"x": stage["x"] + x, "y": stage["y"] + stage["height"] / 2, "id": 1}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [hold, drag]})

    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [hold]})
    fingers("touchStart", 300)
    for step in range(1, 20):
        fingers("touchMove", 300 - 8 * step)
        player.page.wait_for_timeout(20)
    player.expect_lit("forward", "used")
    player.expect_passed("used", "^look_left$")
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert any("KeyW" in m["held"] and m["camera"][1] < 0 for m in player.page.evaluate("window.sent"))
    player.stop()


def test_a_mode_without_a_camera_is_not_dragged(address, visit):
    player = visit(address, script=SENT)
    player.panel.get_by_text("Temple Run", exact=True).click()
    expect(player.pad("turn_left")).to_be_visible()
    playing(player)
    player.root.locator(".stage").hover()
    player.page.mouse.down()
    player.page.mouse.move(300, 300, steps=10)
    player.page.mouse.up()
    player.page.keyboard.down("z")
    player.expect_lit("turn_left", "used")
    assert all(message["camera"] == [0, 0] for message in player.page.evaluate("window.sent"))
    player.stop()


def test_a_gamepad_steers_and_lets_go(address, visit):
    player = visit(address, script=SENT + GAMEPAD)
    player.page.evaluate("plug()")
    player.page.evaluate("pad.buttons[9].pressed = true")  # Start
    player.expect("playing")
    player.page.evaluate("pad.buttons[9].pressed = false; pad.axes = [0.7, -0.7, 0.6, 0]")
    for control in ("forward", "right"):
        player.expect_lit(control, "held")
        player.expect_lit(control, "used")
    player.expect_lit("look_right", "used")
    assert 0 < player.page.evaluate("window.sent.at(-1).camera[1]") < 0.1
    player.page.evaluate("pad.axes = [0, 0, 0, 0]; pad.buttons[12].pressed = true")
    player.expect_lit("right", "held", False)
    player.expect_lit("forward", "held")
    player.page.evaluate("pad.connected = false")
    player.expect_lit("forward", "held", False)
    player.expect_lit("forward", "used", False)
    player.stop()


def test_a_gamepad_of_another_layout_steers_nothing(address, visit):
    player = playing(visit(address, script=GAMEPAD))
    player.page.evaluate("""() => {
      const other = { ...structuredClone(pad), mapping: "" };
      for (const button of [9, 12]) other.buttons[button].pressed = true; // elsewhere: Start and up
      navigator.getGamepads = () => [other, null, pad];
      pad.buttons[15].pressed = true; // right
      plug();
    }""")
    player.expect_lit("right", "used")
    player.expect_lit("forward", "held", False)
    player.expect("playing")
    player.stop()


def azerty(page):
    """press(kind, code, key): keys of a French keyboard."""
    keyboard = page.context.new_cdp_session(page)

    def press(kind, code, key):
        text = {"text": key} if kind == "keyDown" else {}
        fields = {"code": code, "key": key, "windowsVirtualKeyCode": ord(key.upper())}
        keyboard.send("Input.dispatchKeyEvent", {"type": kind, **text, **fields})

    return press


def test_keys_count_by_their_place_and_their_names_are_learned(address, visit):
    player = playing(visit(address, script="delete Navigator.prototype.keyboard;"))
    expect(player.pad("forward")).to_have_accessible_name("Forward (W)")
    expect(player.pad("look_up")).to_have_accessible_name("Look up (I or arrow up)")
    press = azerty(player.page)
    press("keyDown", "KeyW", "z")  # what is W elsewhere
    player.expect_lit("forward", "held")
    player.expect_lit("forward", "used")
    press("keyUp", "KeyW", "z")
    player.expect_lit("forward", "held", False)
    for control, name in (("forward", "Forward (Z)"), ("left", "Left (Q)"), ("back", "Back (S)")):
        expect(player.pad(control)).to_have_accessible_name(name)
    expect(player.pad("left").locator("kbd")).to_have_text("Q")
    player.page.reload()  # the browser keeps them
    expect(player.pad("forward")).to_have_accessible_name("Forward (Z)")


@pytest.mark.parametrize(
    "happens",
    [
        "dispatchEvent(new KeyboardEvent('keyup', { key: 'Meta', code: 'MetaLeft' }))",
        "document.body.dispatchEvent(new MouseEvent('contextmenu', { bubbles: true }))",
        "dispatchEvent(new Event('beforeprint'))",
        "dispatchEvent(new Event('blur'))",
        "document.dispatchEvent(new Event('freeze'))",
    ],
)
def test_keys_whose_release_nobody_reports_do_not_stay_down(address, visit, happens):
    player = playing(visit(address))
    player.page.keyboard.down("w")
    player.expect_lit("forward", "held")
    player.page.evaluate(happens)
    player.expect_lit("forward", "held", False)
    player.page.keyboard.down("w")  # which repeats, because it is still down
    player.expect_lit("forward", "held")
    player.stop()


def test_while_a_session_runs_keys_are_the_players_unless_one_types(address, visit):
    player = playing(visit(address))
    keyboard, seed = player.page.keyboard, player.panel.get_by_label("Seed")
    expect(player.root.locator(".stage")).to_be_focused()
    seed.click()
    keyboard.press("5")
    expect(seed).to_have_value("05")
    keyboard.press("p")
    player.expect("paused")
    keyboard.press("p")
    player.expect("playing")
    keyboard.down("w")
    player.expect_lit("forward", "held")
    expect(player.root.locator(".stage")).to_be_focused()
    keyboard.up("w")
    player.panel.get_by_label("Checkpoint").click()
    expect(player.page.get_by_role("option", name="Slow world")).to_be_visible()
    keyboard.press("Escape")
    expect(player.root.locator(".stage")).to_be_focused()
    keyboard.down("ArrowLeft")
    player.expect_lit("look_left", "held")
    keyboard.up("ArrowLeft")
    player.root.get_by_role("button", name="Stop").focus()
    keyboard.press("Enter")
    player.expect("ended")
    expect(player.root.locator(".stage")).to_be_focused()


def test_space_jumps_and_still_presses_a_button_that_has_the_keyboard(address, visit):
    player = visit(address)
    player.panel.get_by_text("Temple Run", exact=True).click()
    expect(player.pad("jump")).to_have_accessible_name("Jump (W or arrow up or Space)")
    playing(player)
    player.page.keyboard.down("Space")
    player.expect_lit("jump", "held")
    player.page.keyboard.up("Space")
    stop = player.root.get_by_role("button", name="Stop")
    for _ in range(50):
        if stop.evaluate("(button) => button === document.activeElement"):
            break
        player.page.keyboard.press("Tab")
    player.page.keyboard.press("Space")
    player.expect("ended")


def test_space_jumps_after_a_button_was_clicked(address, visit):
    player = visit(address)
    player.panel.get_by_text("Temple Run", exact=True).click()
    playing(player)
    pause = player.root.get_by_role("button", name="Pause", exact=True)
    pause.click()
    player.expect("paused")
    player.root.get_by_role("button", name="Resume").click()
    player.expect("playing")
    player.page.keyboard.down("Space")
    player.expect_lit("jump", "used")
    player.page.keyboard.up("Space")
    player.expect("playing")
    player.stop()


def test_a_thumb_that_slides_on_holds_the_next_pad(address, visit):
    player = visit(
        address, script=SENT, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    playing(player)
    touch = player.page.context.new_cdp_session(player.page)

    def middle(control):
        box = player.pad(control).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind, *points):
        spots = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    (left, y), (back, _), (right, _), up = *map(middle, ("left", "back", "right")), middle("look_up")
    fingers("touchStart", (left, y))
    fingers("touchStart", (left, y), up)
    player.expect_lit("left", "held")
    player.expect_lit("look_up", "held")
    fingers("touchMove", (back, y), up)
    player.expect_lit("back", "held")
    player.expect_lit("left", "held", False)
    player.expect_lit("look_up", "held")
    fingers("touchMove", (right, y), up)
    player.expect_lit("right", "used")
    fingers("touchMove", (right, y + 300), up)  # off the pads: it stays with the last one
    player.expect_lit("right", "held")
    fingers("touchEnd")
    for control in ("left", "back", "right", "look_up"):
        player.expect_lit(control, "held", False)
    sent = [sorted(message["held"]) for message in player.page.evaluate("window.sent")]
    assert ["KeyI", "KeyS"] in sent and ["KeyA", "KeyI", "KeyS"] not in sent
    player.stop()


def test_controls_get_other_keys_by_keyboard_and_keep_them(address, visit):
    player = visit(address)
    keyboard = player.page.keyboard
    player.root.locator(".settings summary").first.click()
    player.root.get_by_text("Change keys").click()
    told = player.root.locator(".told")

    def give(control, key):
        player.root.get_by_role("button", name=re.compile(f"^{control}: ")).focus()
        keyboard.press("Enter")
        keyboard.press(key)

    give("Forward", "p")
    expect(told).to_have_text("P pauses. Press another key for Forward.")
    keyboard.press("e")
    expect(told).to_have_text("Forward is E.")
    give("Left", "d")
    expect(told).to_have_text("Left is D. Right had this key and is A now.")
    give("Back", "ArrowUp")
    expect(told).to_have_text("Back is ↑. Look up had this key, too, and keeps I.")
    give("Look left", "Escape")
    expect(player.root.get_by_role("button", name="Look left: J. Change the key")).to_be_focused()
    player.expect("idle")
    expect(player.pad("forward")).to_have_accessible_name("Forward (E)")

    player.page.reload()
    expect(player.pad("forward")).to_have_accessible_name("Forward (E)")
    playing(player)
    for key, control in (("e", "forward"), ("d", "left"), ("ArrowUp", "back")):
        keyboard.down(key)
        player.expect_lit(control, "used")
        keyboard.up(key)
    keyboard.press("w")
    player.expect_lit("forward", "held", False)
    player.root.locator(".settings summary").first.click()
    player.root.get_by_text("Change keys").click()
    player.root.get_by_role("button", name="Reset keys").click()
    expect(player.pad("forward")).to_have_accessible_name("Forward (W)")
    player.stop()


def test_a_controls_key_begins_and_counts_as_held(address, visit):
    player = visit(address)
    keyboard = player.page.keyboard
    player.page.get_by_label("Seed").first.focus()
    keyboard.press("w")  # meant for the field
    player.root.locator(".stage").focus()
    keyboard.press("ArrowDown")  # scrolls
    keyboard.press("Control+w")
    player.expect("idle")
    keyboard.down("w")
    player.expect("playing")
    player.expect_lit("forward", "held")
    player.expect_lit("forward", "used")
    keyboard.up("w")
    player.expect_lit("forward", "used", False)
    player.stop()
    keyboard.press("w")
    player.expect("ended")  # only an idle page begins so; whoever still presses keys has not chosen to
