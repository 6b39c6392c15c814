"""Where things lie in small windows and with large text."""

import itertools

import pytest
from playwright.sync_api import expect

LONG = (
    "The page was away for 42 s and others were waiting, so your session has ended. What was recorded until "
    "then is kept: your film is ready. Press Start to rejoin the queue."
)
BUTTONS = ".bar .buttons > button, .bar .buttons > details"


@pytest.fixture(scope="module")
def address(serve):
    return serve(sessions=1)


def size(width, height):
    return {"viewport": {"width": width, "height": height}}


def say(player, text=LONG):
    player.status.evaluate("(line, text) => (line.textContent = text)", text)


def boxes(player, selector):
    return [part.bounding_box() for part in player.root.locator(selector).all()]


def inside(box, width, height):
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return box["x"] >= 0 and box["y"] >= 0 and right <= width + 0.5 and bottom <= height + 0.5


def apart(one, two):
    return any(
        a[start] + a[length] <= b[start] + 0.5
        for a, b in ((one, two), (two, one))
        for start, length in (("x", "width"), ("y", "height"))
    )


def assert_apart(found):
    for one, two in itertools.combinations(found, 2):
        assert apart(one, two), f"{one} lies over {two}"


def assert_words_whole(player):
    """No word of a pad is broken over two lines."""
    for part in player.root.locator(".pad small").all():
        lines = part.evaluate("(e) => e.scrollHeight / parseFloat(getComputedStyle(e).lineHeight)")
        assert lines < len(part.text_content().split()) + 0.5, part.text_content()


def assert_words_fit(player, selector):
    for part in player.root.locator(selector).all():
        room = part.evaluate("(e) => [e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth]")
        assert max(room) <= 1, f"{part.text_content()!r} is cut off"


@pytest.mark.parametrize(("width", "height"), [(1366, 650), (1280, 600), (1024, 640)])
def test_a_laptops_window_shows_every_sentence_and_control(width, height, address, visit):
    player = visit(address, **size(width, height))
    say(player)
    assert_words_fit(player, ".status")
    parts = [".stage", ".status", ".pad", BUTTONS]
    for box in itertools.chain.from_iterable(boxes(player, part) for part in parts):
        assert inside(box, width, height)
    for part in parts[:2]:
        assert boxes(player, part)[0]["width"] >= 200
    assert_apart([*boxes(player, ".status"), *boxes(player, ".pad"), *boxes(player, BUTTONS)])


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("mode", ["Universal", "Temple Run"])
def test_a_narrow_phone(width, mode, address, visit):
    player = visit(address, **size(width, 640), has_touch=True, is_mobile=True)
    player.panel.get_by_text(mode, exact=True).click()
    expect(player.pad("look_up" if mode == "Universal" else "turn_left")).to_be_visible()
    pads = boxes(player, ".pad")
    assert_apart(pads)
    for box in [*pads, *boxes(player, BUTTONS)]:
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert min(box["width"] for box in pads) >= 43
    assert_words_fit(player, ".pad, .pad small")
    assert_words_whole(player)
    assert player.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(740, 360), (844, 390), (932, 430)])
def test_a_phone_on_its_side_has_its_buttons_in_sight(width, height, address, visit):
    player = visit(address, **size(width, height), has_touch=True, is_mobile=True)
    found = [
        *boxes(player, ".stage"),
        *boxes(player, ".pad"),
        *boxes(player, BUTTONS),
        *boxes(player, ".status"),
    ]
    for box in found:
        assert inside(box, width, height)
    assert_apart(found)
    assert boxes(player, ".stage")[0]["height"] > 0.5 * height
    assert_words_whole(player)
    say(player)
    assert_words_fit(player, ".status")
    assert_apart([*boxes(player, ".status"), *boxes(player, ".pad"), *boxes(player, BUTTONS)])


@pytest.mark.parametrize("width", [1280, 640, 360])
def test_text_of_twice_the_size(width, address, visit):
    player = visit(address, **size(width, 800))
    player.page.add_style_tag(content="html { font-size: 200% }")
    say(player)
    assert_apart([*boxes(player, ".pad"), *boxes(player, ".status"), *boxes(player, BUTTONS)])
    assert_apart([*boxes(player, ".film"), *boxes(player, ".status"), *boxes(player, ".stage")])
    assert_words_fit(player, ".pad, .status, .film")
    assert player.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "height"), [(1366, 650), (320, 640), (740, 360)])
def test_the_settings_can_be_reached_whole(width, height, address, visit):
    player = visit(address, **size(width, height))
    player.root.locator(".settings summary").first.click()
    player.root.get_by_text("Change keys").click()
    menu = player.root.locator(".settings .choices")
    assert inside(menu.bounding_box(), width, height)
    reset = player.root.get_by_role("button", name="Reset keys")
    reset.scroll_into_view_if_needed()
    assert inside(reset.bounding_box(), width, height)


def test_branches_that_do_not_fit_show_that_there_are_more(address, visit):
    player = visit(address, **size(360, 740))
    row = player.root.locator(".branches")
    expect(row).to_have_attribute("data-more", "")
    row.evaluate(
        """(row) => {
          for (let i = 1; i <= 9; i++) {
            const textContent = `Branch ${i} · 12.4 s`;
            row.append(Object.assign(document.createElement("button"), { textContent }));
          }
        }"""
    )
    expect(row).to_have_attribute("data-more", "end")
    row.evaluate("(row) => (row.scrollLeft = 100)")
    expect(row).to_have_attribute("data-more", "start end")
    row.evaluate("(row) => (row.scrollLeft = 10_000)")
    expect(row).to_have_attribute("data-more", "start")
