"""What a visitor can steer with, in a real browser: drag, gamepad, other layouts, and beginning by a key."""

import pytest
from playwright.sync_api import expect

SENT = """
  window.sent = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    const message = JSON.parse(text);
    if (message.type === "input") window.sent.push(message);
    return send.call(this, text);
  };
"""
GAMEPAD = """
  window.pad = {
    connected: true, mapping: "standard", axes: [0, 0, 0, 0],
    buttons: Array.from({ length: 17 }, () => ({ pressed: false, value: 0 })),
  };
  navigator.getGamepads = () => [window.pad, null];
  window.plug = () => window.dispatchEvent(new Event("gamepadconnected"));
"""


@pytest.fixture(scope="module")
def address(serve):
    return serve(sessions=1)


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
    for step in range(1, 30):
        mouse.move(box["x"] + box["width"] * (0.5 + 0.01 * step), box["y"] + box["height"] / 2 - step)
        player.page.wait_for_timeout(20)
    player.expect_lit("look_right", "used")
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
    player.expect_lit("look_left", "used")
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


def test_keys_count_by_their_place(address, visit):
    player = playing(visit(address))
    keyboard = player.page.context.new_cdp_session(player.page)
    azerty = {"code": "KeyW", "key": "z", "windowsVirtualKeyCode": 90}  # what is W there is called Z
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": "z", **azerty})
    player.expect_lit("forward", "held")
    player.expect_lit("forward", "used")
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **azerty})
    player.expect_lit("forward", "held", False)
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
