"""What a screen reader finds on the page, and what the keyboard reaches."""

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def address(serve):
    return serve(sessions=1)


def test_worlds_and_start_images_are_groups_of_radio_buttons_with_names(address, visit):
    player = visit(address)
    expect(player.panel.get_by_role("radiogroup", name="World")).to_match_aria_snapshot(
        """
        - radiogroup "World":
          - radio "Universal" [checked]
          - radio "Temple Run"
        """
    )
    expect(player.panel.get_by_role("radiogroup", name="Start image")).to_match_aria_snapshot(
        """
        - radiogroup "Start image":
          - radio "Blue" [checked]
          - radio "Green"
          - radio "Red"
        """
    )


def test_groups_are_one_stop_of_the_keyboard_and_arrows_choose(address, visit):
    player = visit(address)
    keyboard, run = player.page.keyboard, player.panel.get_by_role("radio", name="Temple Run")
    player.panel.get_by_role("radio", name="Universal").focus()
    keyboard.press("ArrowRight")
    expect(run).to_be_checked()
    expect(run).to_be_focused()
    expect(player.pad("jump")).to_be_visible()
    keyboard.press("Tab")
    expect(player.panel.get_by_label("Checkpoint")).to_be_focused()
    keyboard.press("Tab")
    expect(player.start_image("Blue")).to_be_focused()
    poster = player.root.locator(".poster")
    before = poster.get_attribute("src")
    keyboard.press("ArrowDown")
    expect(player.start_image("Green")).to_be_focused()
    expect(player.start_image("Green")).to_be_checked()
    expect(poster).not_to_have_attribute("src", before)
    keyboard.press("Tab")
    expect(player.panel.get_by_role("button", name="Use your own picture")).to_be_focused()


def test_the_player_speaks(address, visit):
    player = visit(address)
    expect(player.player).to_match_aria_snapshot(
        """
        - application "The world. Steer it with the keys shown on the controls below."
        - progressbar "Progress"
        - button "Statistics"
        - button "Full screen"
        - group "Controls":
          - group "move":
            - button "Forward (W)"
        """
    )
    said = player.root.locator(".announce")
    expect(said).to_have_role("status")
    player.start()
    expect(said).to_have_text("Playing")
    player.page.keyboard.press("p")
    expect(said).to_contain_text("Paused")
    player.root.get_by_role("button", name="Stop").focus()
    player.page.keyboard.press("Enter")
    player.expect("ended")
    expect(said).to_contain_text("film")
    expect(player.root.locator(".stage")).to_be_focused()


def test_the_size_of_pictures_and_films_is_said_beforehand(address, visit):
    expect(visit(address).panel.get_by_text("Shown and recorded at 64×48 pixels.")).to_be_visible()
