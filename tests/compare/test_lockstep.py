"""The lockstep player: all films on one frame, whatever is done with it."""

import re
import time
from io import BytesIO
from itertools import cycle, pairwise

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.grid_views import FRAMES, cell_view, grid_view

LENGTHS = [FRAMES] * 5 + [FRAMES - 40]
PATIENCE = 60
NO_WEBCODECS = "delete window.VideoDecoder"
MARKS = (("corner", 30), ("home", 90))


@pytest.fixture
def six(mount, films):
    """six(**context) -> a page with six films that are all open."""

    def open_page(**context):
        cells = [cell_view(str(i), film, LENGTHS[i]) for i, film in enumerate(films)]
        page = mount(grid_view(cells, marks=MARKS), **context)
        page.wait_for_function("numbers().length === 6 && numbers().every((n) => n === 0)")
        return page

    return open_page


def together(seen, apart=0):
    """Asserts that all films were on one frame each time, as far as they reach; gives those frames."""
    for numbers in seen:
        most = max(numbers)
        due = [min(most, length - 1) for length in LENGTHS]
        assert -1 not in numbers, f"a picture is missing: {numbers}"
        assert max(abs(n - d) for n, d in zip(numbers, due, strict=True)) <= apart, f"not in step: {numbers}"
    return [max(numbers) for numbers in seen]


def at(page, frame):
    """Waits until all show this frame."""
    due = [min(frame, length - 1) for length in LENGTHS]
    page.wait_for_function(f"JSON.stringify(numbers()) === '{due}'.replaceAll(' ', '')")


@pytest.mark.parametrize("speed", [1, 0.25, 2])
def test_playing_at_any_speed(six, speed):
    page = six()
    page.get_by_label("Speed").select_option(f"{speed}x")
    began = page.evaluate("performance.now()")
    page.get_by_role("button", name="Play").click()
    shown = together(page.evaluate("watch(several(12))"))
    seconds = (page.evaluate("performance.now()") - began) / 1000
    assert shown == sorted(shown)
    assert max(shown) <= 25 * speed * seconds + 1, "faster than asked for"


def test_it_plays_to_the_end_and_from_the_start_again(six):
    page = six()
    page.evaluate(f"player.goTo({FRAMES - 12})")
    at(page, FRAMES - 12)
    page.get_by_role("button", name="Play").click()
    at(page, FRAMES - 1)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("numbers()[0] > 0 && numbers()[0] < 60")


def test_scrubbing(six):
    page = six()
    ruler = page.locator(".ruler").bounding_box()
    y = ruler["y"] + ruler["height"] - 6
    page.evaluate(
        """() => {
          window.seen = new Set();
          const enough = (frames) => { seen.add(frames.at(-1)); return window.done; };
          watch(enough).then((all) => (window.all = all));
        }"""
    )
    page.mouse.move(ruler["x"] + 5, y)
    page.mouse.down()
    for share in cycle([0.2, 0.9, 0.35, 0.6, 0.1, 0.99, 0.5, 0.05, 0.75]):
        page.mouse.move(ruler["x"] + share * ruler["width"], y, steps=6)
        if share == 0.75 and page.evaluate("seen.size") > 8:  # pictures are seen on the way
            break
    page.mouse.up()
    at(page, int(0.75 * FRAMES))
    page.evaluate("window.done = true")
    page.wait_for_function("window.all")
    together(page.evaluate("all"))


def test_stepping_there_and_back(six):
    page = six()
    page.locator(".lockstep").focus()
    for frame in [*range(1, 12), *range(10, 3, -1)]:
        page.keyboard.press("." if frame > page.evaluate("player.state().frame") else ",")
        at(page, frame)
    page.keyboard.press("End")
    at(page, FRAMES - 1)
    for frame in range(FRAMES - 2, FRAMES - 60, -3):
        for _ in range(3):
            page.keyboard.press(",")
        at(page, frame - 2)
    page.keyboard.press("Home")
    at(page, 0)


def test_looping_a_selection(six):
    page = six()
    track = page.locator(".control .track").first.bounding_box()
    y, left, width = track["y"] + 5, track["x"], track["width"]
    page.mouse.move(left + 0.4 * width, y)
    page.mouse.down()
    page.mouse.move(left + 0.5 * width, y, steps=5)
    page.mouse.up()
    loop = page.evaluate("player.state().loop")
    assert (loop["from"], loop["to"]) == (
        pytest.approx(0.4 * FRAMES, abs=1),
        pytest.approx(0.5 * FRAMES, abs=1),
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(f"numbers()[0] >= {loop['from']}")
    both = f"frames.includes({loop['from']}) && frames.includes({loop['to']})"
    around = "frames.some((frame, i) => frame < frames[i - 1])"
    shown = together(page.evaluate(f"watch((frames) => {both} && {around})"))
    assert {min(shown), max(shown)} == {loop["from"], loop["to"]}
    assert any(b < a for a, b in pairwise(shown)), "it goes around"
    page.get_by_role("button", name="Loop").click()
    page.wait_for_function(f"numbers()[0] > {loop['to']}")


def test_without_webcodecs_films_are_at_most_one_frame_apart_and_play_no_faster_than_normal(six):
    """The page may hear of a picture so late that the next one is drawn."""
    page = six(script=NO_WEBCODECS)
    expect(page.locator(".note")).to_contain_text("normal speed at most, and may be one frame apart")
    faster = page.get_by_label("Speed").get_by_role("option", name="2x")
    expect(faster).to_be_disabled()
    for speed in (1, 0.25):
        page.evaluate("player.goTo(0)")
        at(page, 0)
        page.get_by_label("Speed").select_option(f"{speed}x")
        page.get_by_role("button", name="Play").click()
        together(page.evaluate("watch(several(12))"), apart=1)
        page.get_by_role("button", name="Pause").click()
    page.locator(".lockstep").focus()
    for _ in range(4):
        page.keyboard.press(">")
    expect(page.get_by_label("Speed")).to_have_value("1")
    for frame in (77, 12, 13, 140, 139):
        page.evaluate(f"player.goTo({frame})")
        at(page, frame)


def test_a_film_that_is_not_there_yet_lets_the_others_play(mount, films):
    cells = [cell_view("a", films[0]), cell_view("b", ""), cell_view("c", films[1])]
    cells[1] |= {"phase": "running", "share": 0.4, "fps": 12.5, "seconds_left": 7, "words": "Playing."}
    view = grid_view(cells)
    page = mount(view)
    page.wait_for_function("numbers().length === 2")
    expect(page.locator(".cell").nth(1)).to_contain_text("40 %, 12.5 frames/s, 7 s left. Playing.")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("numbers()[0] > 5 && numbers()[0] === numbers()[1]")
    page.evaluate(
        "(cells) => player.progress(cells)",
        [{**progress_of(cells[1]), "phase": "failed", "error": "Out of memory."}],
    )
    expect(page.locator(".cell").nth(1)).to_contain_text("Failed: Out of memory.")
    cells[1] |= cell_view("b", films[2])
    page.evaluate("(view) => player.update(view)", view)
    page.wait_for_function("numbers().length === 3 && new Set(numbers()).size === 1")


def progress_of(cell):
    names = ("key", "phase", "share", "fps", "seconds_left", "words", "error", "picture")
    return {name: cell[name] for name in names}


def test_a_broken_film_says_so_and_the_others_play(mount, films):
    page = mount(grid_view([cell_view("a", films[0]), cell_view("b", "data:video/mp4;base64,AAAA")]))
    expect(page.locator(".cell").nth(1)).to_contain_text("cannot be shown")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("numbers()[0] > 3")


def test_a_link_restores_the_moment_and_the_view(mount, films):
    rows = [[cell_view(f"{i}{j}", films[j]) for j in range(3)] for i in range(2)]
    link = "row=2&frame=45&view=wipe&pair=3-1&at=0.25&loop=40-80&speed=0.5&keys=1"
    page = mount(grid_view(*rows), options={"state": link})
    page.wait_for_function("numbers().length === 2 && numbers().every((n) => n === 45)")
    assert page.evaluate("player.link()") == link
    expect(page.get_by_label("Row")).to_have_value("1")
    expect(page.get_by_role("radio", name="Wipe")).to_be_checked()
    page.get_by_label("Row").select_option("All rows")
    page.get_by_role("radio", name="Side by side").check()
    page.wait_for_function("numbers().length === 6 && new Set(numbers()).size === 1")


def test_the_same_film_has_no_difference_and_another_has(mount, films):
    def brightness(page):
        shot = page.locator(".cells").screenshot()
        return int(np.asarray(Image.open(BytesIO(shot)).convert("RGB"))[20:-20, 20:-20].max())

    link = {"state": "view=difference&gain=16&frame=9"}
    page = mount(grid_view([cell_view("a", films[0]), cell_view("b", films[0])]), options=link)
    page.wait_for_function("numbers().length === 2 && numbers().every((n) => n === 9)")
    page.wait_for_timeout(200)
    assert brightness(page) < 8
    page = mount(grid_view([cell_view("a", films[0]), cell_view("b", films[4])]), options=link)
    page.wait_for_function("numbers().length === 2 && numbers().every((n) => n === 9)")
    until = time.monotonic() + PATIENCE
    while brightness(page) <= 100:
        assert time.monotonic() < until


def test_keys_go_to_marks_choose_views_and_enlarge_all_alike(six):
    page = six()
    page.locator(".lockstep").focus()
    page.keyboard.press("2")
    at(page, 90)
    page.keyboard.press("w")
    expect(page.get_by_role("radio", name="Wipe")).to_be_checked()
    page.keyboard.press("s")
    page.keyboard.press("+")
    scales = page.evaluate(
        "[...document.querySelectorAll('.picture canvas')]"
        ".map((canvas) => new DOMMatrix(getComputedStyle(canvas).transform).a)"
    )
    assert scales == [1.5] * 6
    page.keyboard.press("k")
    expect(page.locator(".keys").first).to_be_visible()
    page.keyboard.press("1")
    at(page, 30)
    expect(page.locator(".keys kbd[data-held]").first).to_have_text("W")
    page.get_by_role("button", name="home").click()
    at(page, 90)
    expect(page.locator(".keys kbd[data-held]")).to_have_count(0)


def test_the_moment_is_said_at_rest_only(six):
    page = six()
    told = page.get_by_role("status")
    page.evaluate("player.goTo(30)")
    expect(told).to_have_text("Frame 30 of 150, 1.20 s, after corner: Forward.")
    page.evaluate(
        "new MutationObserver(() => (window.said = (window.said ?? 0) + 1))"
        ".observe(document.querySelector('.told'), { childList: true, characterData: true, subtree: true })"
    )
    page.get_by_role("button", name="Play").click()
    page.evaluate("watch(several(15))")
    assert page.evaluate("window.said ?? 0") == 0
    page.get_by_role("button", name="Pause").click()
    expect(told).to_have_text(re.compile(r"^Frame (?!30 )\d+ of 150"))


def test_everything_has_a_name_and_no_page_is_too_narrow(six):
    page = six(viewport={"width": 360, "height": 720})
    unnamed = page.evaluate(
        "[...document.querySelectorAll('.lockstep :is(button, select, input, canvas, svg[role])')]"
        ".filter((e) => e.getClientRects().length)"
        ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.closest('label'))).length"
    )
    assert unnamed == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [page.locator(".cell").nth(i).bounding_box() for i in range(6)]
    assert all(box["x"] == boxes[0]["x"] for box in boxes), "stacked"
    assert page.get_by_role("button", name="Play").bounding_box()["y"] < 720, "within reach"


def test_memory_of_frames_is_bounded(mount, films):
    page = mount(grid_view([cell_view("a", films[0])]))
    page.wait_for_function("numbers().length === 1")
    held = page.evaluate(
        """async (address) => {
          const { openDecoded } = await import("/film.js");
          const film = await openDecoded(await (await fetch(address)).arrayBuffer(), 20 * 160 * 48 * 4);
          let most = 0;
          const reach = (frame, direction) => new Promise((resolve) => {
            film.onready = () => { most = Math.max(most, film.cache.size); if (film.has(frame)) resolve(); };
            film.want(frame, direction);
            if (film.has(frame)) resolve();
          });
          for (let i = 0; i < film.frames; i++) await reach(i, 1);
          for (let i = film.frames - 1; i >= 0; i--) await reach(i, -1);
          for (const i of [149, 3, 120, 4, 119, 60]) await reach(i, 1);
          film.close();
          return [most, film.capacity, film.cache.size];
        }""",
        films[1],
    )
    assert held[0] <= held[1] == 20 and held[2] == 0


@pytest.mark.parametrize("frames", [261, 258, 285, 64])
def test_seconds_stay_within_a_narrow_page(mount, films, frames):
    page = mount(grid_view([cell_view("a", films[0], frames)]), viewport={"width": 360, "height": 720})
    expect(page.locator(".second").last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
