"""A page whose GPU is only lent, in a browser: it asks by itself, says how long, rests, and goes on."""

import os
import threading

import pytest
from playwright.sync_api import expect

from mgdemo.serving.engines.zerogpu import leases
from mgdemo.worker.lease import serve as lend
from tests.support.gamepad import GAMEPAD

pytestmark = pytest.mark.browser


def photograph(player, name):
    """Keeps a picture of the page, for people: where MGDEMO_PICTURES says."""
    if folder := os.environ.get("MGDEMO_PICTURES"):
        player.page.screenshot(path=f"{folder}/{name}.png", animations="disabled")


class Lender:
    """Lends this very process until its time is `over`: the test says when, however slow the machine is."""

    def __init__(self):
        self.over = threading.Event()

    def __call__(self, address, seconds):
        for each in lend(address, seconds):
            if self.over.is_set():
                return
            yield each


def press_go_on(player):
    player.root.get_by_role("button", name="Go on").click()


def press_start_of_the_gamepad(player):
    player.page.evaluate("plug(); pad.buttons[9].pressed = true")


@pytest.mark.parametrize("go_on", [press_go_on, press_start_of_the_gamepad])
def test_a_world_rests_when_its_gpu_is_gone_and_goes_on_with_another(serve, visit, go_on):
    lender = Lender()
    address = serve(fleet=lambda settings: leases(settings, lender), engine="zerogpu", regenerate=False)
    player = visit(address, script=GAMEPAD)
    expect(player.panel).to_contain_text("Start lends you a GPU for 60 seconds")
    player.start()
    player.page.keyboard.down("w")
    player.wait_for_frame(30)
    expect(player.status).to_contain_text("GPU for")
    photograph(player, "playing")
    lender.over.set()
    player.expect("resting")
    expect(player.message).to_have_text(
        "Your 60 seconds on the GPU are over. Press Go on for more in the same world."
    )
    expect(player.root.locator(".pause")).to_be_disabled()
    photograph(player, "resting")
    shown = player.frame
    lender.over.clear()
    go_on(player)
    player.wait_for_frame(shown + 60)  # more than may have waited to be shown
    expect(player.status).to_contain_text("GPU for")
    player.page.keyboard.up("w")
    player.stop()
    expect(player.results).to_be_visible()


def test_a_scenario_says_before_how_long_it_needs_and_gets_it(serve, visit):
    address = serve(fleet=lambda settings: leases(settings, lend), engine="zerogpu")
    player = visit(address, "scenarios")
    expect(player.panel).to_contain_text("Running it borrows a GPU for about")
    player.start()
    player.expect("ended")
    photograph(player, "scenario")
