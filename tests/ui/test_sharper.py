"""The sharper picture: what the shader draws, and when it gives way.

Software draws here, so the time that it takes must not count.
"""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from benchmarks.stage import Stage

HEIGHT, WIDTH = 36, 64
TIMES = 4
PATIENT = """
  new MutationObserver(() => {
    for (const player of document.querySelectorAll(".player")) player.dataset.sharperMs = "Infinity";
  }).observe(document, { childList: true, subtree: true });
"""
LOSE = """(canvas) => canvas.getContext("webgl2").getExtension("WEBGL_lose_context").loseContext()"""


@pytest.fixture(scope="module")
def stages(browser):
    """A bare page with the player's picture, by the shader and plainly."""
    found = {}
    for name in ("sharp", "plain"):
        page = browser.new_page(viewport={"width": TIMES * WIDTH, "height": TIMES * HEIGHT})
        found[name] = Stage(page, TIMES * WIDTH, TIMES * HEIGHT)
        found[name].configure(WIDTH, HEIGHT, sharper=name == "sharp")
    assert found["sharp"].page.evaluate("window.blunt") is None
    yield found
    for stage in found.values():
        stage.page.close()


def enlarged(stages, picture):
    """What is seen of a picture [h, w, 3]: float [H, W, 3], by the shader and plainly."""
    return (stages[name].show(picture.astype(np.uint8)).astype(float) for name in ("sharp", "plain"))


def edge(degrees, low=60, high=180):
    """A picture with one straight edge, each pixel the mean of what it covers."""
    y, x = np.mgrid[: 8 * HEIGHT, : 8 * WIDTH]
    x, y = x - 4 * WIDTH, y - 4 * HEIGHT
    angle = np.radians(degrees)
    light = np.where(x * np.cos(angle) + y * np.sin(angle) > 0, high, low)
    small = light.reshape(HEIGHT, 8, WIDTH, 8).mean((1, 3)).round()
    truth = light.reshape(TIMES * HEIGHT, 2, TIMES * WIDTH, 2).mean((1, 3))
    return np.repeat(small[..., None], 3, 2), truth


def test_a_plain_color_stays_as_it_is(stages):
    for color in ((0, 0, 0), (255, 255, 255), (37, 120, 201)):
        sharp, _ = enlarged(stages, np.full((HEIGHT, WIDTH, 3), color))
        assert np.abs(sharp - color).max() <= 1


def test_the_picture_keeps_its_place_and_its_colors(stages):
    """A slope in three directions, one a color, is drawn as the straight line that it is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([40 + 2 * x, 200 - 3 * y, 90 + x + y], 2)
    sharp, _ = enlarged(stages, picture)
    y, x = ((np.mgrid[: TIMES * HEIGHT, : TIMES * WIDTH] + 0.5) / TIMES) - 0.5
    true = np.stack([40 + 2 * x, 200 - 3 * y, 90 + x + y], 2)
    inner = slice(2 * TIMES, -2 * TIMES)
    assert np.abs(sharp - true)[inner, inner].max() <= 3
    assert np.abs((sharp - true)[inner, inner].mean((0, 1))).max() <= 0.5


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 160])
def test_an_edge_is_steep_smooth_and_without_halo(stages, degrees):
    picture, true = edge(degrees)
    sharp, plain = (seen[..., 0] for seen in enlarged(stages, picture))
    near = np.abs(sharp - true).mean() / np.abs(plain - true).mean()
    assert near < 0.8, f"no nearer to the true edge than plain scaling: {near:.2f}"
    assert sharp.min() >= 59 and sharp.max() <= 181  # nothing lighter or darker than both sides
    slopes = [np.hypot(*np.gradient(seen)).max() for seen in (sharp, plain)]
    assert slopes[0] > 0.95 * slopes[1]


def test_noise_is_not_sharpened(stages):
    picture = 120 + np.random.default_rng(0).normal(0, 3, (HEIGHT, WIDTH, 1)).round() * np.ones(3)
    sharp, _ = enlarged(stages, picture)
    assert sharp.std() < picture.std()


def test_switched_off_it_is_as_before(stages):
    stage, picture = stages["sharp"], edge(30)[0]
    sharp, plain = enlarged(stages, picture)
    assert np.abs(sharp - plain).max() > 10
    stage.configure(WIDTH, HEIGHT, sharper=False)
    assert stage.page.locator("canvas").count() == 1
    sharp, _ = enlarged(stages, picture)
    assert np.array_equal(sharp, plain)
    stage.configure(WIDTH, HEIGHT, sharper=True)
    again = stage.seen()  # at once, without another picture
    assert np.abs(again - plain).max() > 10


def test_a_lost_gpu_leaves_the_plain_picture_until_the_next_session(stages):
    stage, picture = stages["sharp"], edge(30)[0]
    _, plain = enlarged(stages, picture)
    stage.page.locator(".sharper").evaluate(LOSE)
    expect(stage.page.locator(".sharper")).to_have_count(0)
    assert np.array_equal(stage.seen(), plain)
    assert np.array_equal(stage.show(picture.astype(np.uint8)), plain)
    stage.configure(WIDTH, HEIGHT, sharper=True)
    assert np.abs(stage.show(picture.astype(np.uint8)) - plain).max() > 10


def test_it_follows_the_size_and_the_density_of_the_screen(browser):
    page = browser.new_page(device_scale_factor=2)
    stage = Stage(page, 100, 50)
    stage.configure(50, 25, sharper=True)
    picture = np.full((25, 50, 3), 90, np.uint8)
    assert stage.show(picture).shape == (100, 200, 3)
    size = "() => { const { width, height } = document.querySelector('.sharper'); return [width, height]; }"
    assert page.evaluate(size) == [200, 100]
    page.locator(".player").evaluate("({ style }) => { style.width = '150px'; style.height = '75px'; }")
    page.wait_for_function("document.querySelector('.sharper').width === 300")
    assert np.abs(stage.seen() - 90).max() <= 1  # drawn again, without another picture
    page.locator(".player").evaluate("({ style }) => { style.width = '20px'; style.height = '10px'; }")
    expect(page.locator(".sharper")).to_be_hidden()  # there is nothing to enlarge
    page.close()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("HTMLCanvasElement.prototype.getContext = ((get) => function (kind, ...how) {"
         "  return kind === 'webgl2' ? null : get.call(this, kind, ...how);"
         "})(HTMLCanvasElement.prototype.getContext);", "this browser cannot do it"),
        ("", "this computer is too slow for it"),
    ],
)  # fmt: skip
def test_where_it_cannot_be_done_the_picture_is_as_before(browser, script, why):
    page = browser.new_page()
    page.add_init_script(script)
    stage = Stage(page, TIMES * WIDTH, TIMES * HEIGHT, sharper_ms=1e-6)
    stage.configure(WIDTH, HEIGHT, sharper=True)
    assert page.evaluate("window.blunt") == why
    assert page.locator("canvas").count() == 1
    assert stage.show(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).max() == 90
    page.close()


@pytest.mark.parametrize("codec", ["h264", "jpeg"])
def test_a_session_is_drawn_sharper_and_saved_as_before(codec, serve, visit, tmp_path):
    player = visit(serve(), script=PATIENT + ("delete window.VideoDecoder;" if codec == "jpeg" else ""))
    player.start()
    player.expect("playing")
    expect(player.root.locator(".sharper")).to_be_visible()
    player.page.keyboard.press("p")
    player.expect("paused")
    box = player.root.locator(".stage").bounding_box()
    drawn = player.root.locator(".sharper").evaluate("({ width, height }) => [width, height]")
    assert drawn == [round(box["width"]), round(box["height"])]
    left = player.pixels()[0]
    middle = {"x": box["x"] + box["width"] / 4, "y": box["y"] + box["height"] / 2, "width": 4, "height": 4}
    sharp = pixel(player, middle)
    assert np.abs(sharp - left).max() <= 3  # the same colors
    player.root.locator(".settings > summary").click()
    player.root.get_by_label("Sharper picture").uncheck()
    expect(player.root.locator(".sharper")).to_have_count(0)
    assert np.abs(pixel(player, middle) - sharp).max() <= 3
    player.page.reload()
    player.expect("paused")
    expect(player.root.get_by_label("Sharper picture", exact=False)).not_to_be_checked()  # it is remembered
    expect(player.root.locator(".sharper")).to_have_count(0)
    player.stop()


def test_a_computer_that_is_too_slow_says_so_at_the_switch(serve, visit):
    player = visit(serve(), script=PATIENT.replace('"Infinity"', '"0.0001"'))
    player.start()
    player.expect("playing")
    player.root.locator(".settings > summary").click()
    switch = player.root.get_by_label("Sharper picture (this computer is too slow for it)")
    expect(switch).to_be_disabled()
    expect(player.root.locator(".sharper")).to_have_count(0)
    player.stop()


def pixel(player, where):
    seen = player.page.screenshot(clip=where)
    return np.asarray(Image.open(io.BytesIO(seen)).convert("RGB")).mean((0, 1))
