"""What a visitor sees in the first ten seconds."""

import dataclasses

import numpy as np
import pytest
from playwright.sync_api import expect

from mgdemo.video.mp4 import write_mp4
from tests.support.page_player import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def address(serve, stub_library, tmp_path_factory):
    """A page whose first world opens with a film."""
    film = tmp_path_factory.mktemp("loop") / "loop.mp4"
    write_mp4(film, [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in range(0, 250, 5)], 25)
    loops = {"universal": film}
    return serve(dataclasses.replace(stub_library, loop=loops.get), loader="benchmarks.stub_world:load_small")


def test_the_page_opens_on_a_moving_world_with_one_button(address, visit):
    player = visit(address)
    loop = player.root.locator("video.loop")
    expect(loop).to_be_visible()
    for _ in range(2):  # it goes on moving
        at = loop.evaluate("(video) => video.currentTime")
        player.page.wait_for_function(
            "([video, at]) => video.currentTime !== at", arg=[loop.element_handle(), at]
        )
    assert loop.evaluate("(video) => video.muted && video.loop && !video.controls")
    expect(player.root.locator("button.start")).to_be_visible()
    player.page.keyboard.down("w")
    player.expect("playing")
    expect(loop).to_be_hidden()
    assert loop.evaluate("(video) => video.paused")
    player.expect_lit("forward", "used")
    player.stop()


def test_another_start_image_stands_still(address, visit):
    player = visit(address)
    loop = player.root.locator("video.loop")
    expect(loop).to_be_visible()
    player.pick("Green")
    expect(loop).to_be_hidden()
    player.pick("Blue")
    expect(loop).to_be_visible()
    player.choose("Checkpoint", "Slow world")  # which has no film
    expect(loop).to_be_hidden()
    expect(player.root.locator(".poster")).to_be_visible()


def test_who_wants_no_motion_gets_the_still_picture(address, visit):
    player = visit(address, reduced_motion="reduce")
    expect(player.root.locator(".poster")).to_be_visible()
    expect(player.root.locator("video.loop")).to_be_hidden()
    assert not player.root.locator("video.loop").evaluate("(video) => video.src")


@pytest.mark.parametrize("script", ["player/start_images.js", "player/links.js", "player/player.js"])
def test_a_part_of_the_page_that_cannot_be_loaded_says_so(address, browser, script):
    page = browser.new_page()
    page.route(f"**/ui/{script}", lambda route: route.abort())
    page.goto(address)
    expect(page.get_by_text("A part of the page could not be loaded: reload it.").first).to_be_visible()
    page.close()
