"""Writing a scenario on the page: checked as one types, drawn, run, kept, taken along."""

import re
import time

import pytest
from playwright.sync_api import expect

from mgdemo.scenario import parse_scenario
from mgdemo.ui.scenarios import editor as scenario_editor
from mgdemo.ui.share import MAX_LINK, Shared, fragment
from tests.support.page_player import HeldEvents, Player
from tests.ui.test_share import CLIPBOARD, copied, follow

TEXT = """# Mine, with a comment
title: My own walk
mode: universal
seed: 5
actions:
  - {hold: [W], for: 2s}   # ahead
  - mark: corner
  - {hold: [D, L], for: 2s}
"""
PASTE = """
  (field, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }
"""


@pytest.fixture(scope="module")
def address(serve):
    return serve()


# A script for the page: its browser has no room for scenarios.
FULL = """
  const setItem = Storage.prototype.setItem;
  Storage.prototype.setItem = function (key, value) {
    if (this === localStorage && key === "mgdemo.scenarios") throw Error("full");
    setItem.call(this, key, value);
  };
"""


class Editor:
    """The editor of a page's Scenarios tab."""

    def __init__(self, player):
        self.player, self.panel, self.page = player, player.panel, player.page
        self.text = self.panel.get_by_role("textbox", name="Text of the scenario")
        self.verdict = self.panel.locator(".verdict")
        self.lanes = self.panel.locator(".chosen [role=img]")
        self.time = self.panel.locator(".chosen").get_by_role("slider", name="Time in the scenario")

    def open(self):
        self.panel.get_by_role("button", name="Edit scenario").click()
        expect(self.text).to_be_visible()
        return self

    def write(self, text):
        """Replaces the whole text by pasting another one."""
        self.text.press("Control+A")
        self.text.evaluate(PASTE, text)

    def replace(self, old, new):
        """Changes the last line that has `old`."""
        self.write(self.shown.replace(old, new))

    @property
    def shown(self):
        return "\n".join(self.text.locator(".cm-line").all_inner_texts()).replace("\u200b", "")

    def download(self, folder):
        with self.page.expect_download() as download:
            self.panel.get_by_role("button", name="Download").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


@pytest.fixture
def editor(address, visit):
    return Editor(visit(address, "scenarios", script=CLIPBOARD, reduced_motion="reduce")).open()


def test_the_editor_is_closed_until_it_is_asked_for(address, visit):
    page = visit(address, "scenarios")
    editor = Editor(page)
    button = page.panel.get_by_role("button", name="Edit scenario")
    assert button.bounding_box()["y"] < 800
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(editor.text).to_be_hidden()
    editor.open()
    expect(editor.text).to_be_focused()
    expect(editor.text).to_contain_text("There and round")
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Tab")
    expect(editor.text).not_to_be_focused()
    page.panel.get_by_role("button", name="Close editor").click()
    expect(editor.text).to_be_hidden()


def test_an_error_names_its_line_and_the_last_good_drawing_stays(editor):
    before = editor.lanes.get_attribute("aria-label")
    editor.write(TEXT.replace("[D, L]", "[Q]"))
    expect(editor.verdict).to_have_text(re.compile(r"^Line 8, column 13: unknown control \"Q\""))
    expect(editor.panel.locator(".cm-gutterElement[data-wrong]")).to_have_text("8")
    expect(
        editor.panel.get_by_role("status").filter(has_text="Line 8")
    ).to_be_attached()  # said, when typing rests
    assert editor.lanes.get_attribute("aria-label") == before
    editor.player.start()
    expect(editor.player.message).to_contain_text("The scenario cannot be run. Line 8, column 13")

    editor.write(TEXT)
    expect(editor.verdict).to_have_text("Ready to run: 4.0 s, 100 frames.")
    expect(editor.panel.locator("[data-wrong]")).to_have_count(0)
    expect(editor.lanes).to_have_attribute("aria-label", re.compile(r"Forward 2.0 s.*marks: corner at 2.0 s"))
    expect(editor.panel.get_by_role("heading", name="My own walk")).to_be_visible()
    expect(editor.panel.get_by_label("Seed")).to_have_value("5")
    expect(editor.panel.locator(".chosen .marks")).to_have_text("corner")
    expect(editor.player.scenario("My own walk (yours)")).to_be_checked()
    editor.player.start()
    editor.player.expect_passed("used", "^look_right$")
    editor.player.expect("ended")
    assert editor.player.frame == 104  # the last of whole blocks


def test_what_was_just_typed_is_what_runs(editor):
    editor.write(TEXT.replace("2s}\n", "1s}\n"))
    editor.player.start()  # at once, before the text has been checked
    editor.player.expect("ended")
    assert editor.player.frame == 80


def test_the_drawing_says_the_time_and_what_is_held_there(editor):
    editor.write(TEXT)
    expect(editor.lanes).to_have_attribute("aria-label", re.compile("corner"))
    box = editor.time.bounding_box()
    cursor = editor.panel.locator(".chosen .cursor")
    expect(cursor).to_be_hidden()
    editor.time.hover(position={"x": box["width"] * 0.7501, "y": 20})
    expect(cursor).to_have_text("3.00 s, frame 75: Right, Look right")
    editor.panel.get_by_label("Seed").hover()
    expect(cursor).to_be_hidden()

    editor.time.focus()
    for key, words in (
        ("Home", "0.00 s, frame 0: Forward"),
        ("ArrowRight", "0.04 s, frame 1: Forward"),
        ("PageUp", "2.00 s, frame 50: Right, Look right"),
        ("End", "3.96 s, frame 99: Right, Look right"),
        ("ArrowRight", "3.96 s, frame 99: Right, Look right"),
        ("PageDown", "2.00 s, frame 50: Right, Look right"),
        ("ArrowLeft", "1.96 s, frame 49: Forward"),
    ):
        editor.page.keyboard.press(key)
        expect(editor.time).to_have_attribute("aria-valuetext", words)


def test_the_download_is_the_text_byte_for_byte(editor, tmp_path):
    text = TEXT + "\n# äöü, and blank lines at the end\n\n"
    editor.write(text)
    path = editor.download(tmp_path)
    assert path.name == "my-own-walk.yaml"
    assert path.read_bytes() == text.encode()
    editor.panel.get_by_role("button", name="Undo all changes").click()
    expect(editor.player.scenario("There and round")).to_be_checked()
    assert "There and round" in editor.download(tmp_path).read_text()


def test_unsaved_changes_outlast_a_reload(editor, tmp_path):
    editor.write(TEXT)
    expect(editor.panel.get_by_role("heading", name="My own walk")).to_be_visible()
    editor.page.reload()
    expect(editor.text).to_contain_text("# ahead")  # the tab and the editor are open again
    expect(editor.player.scenario(re.compile("^My own walk Universal"))).to_be_checked()  # and it is kept
    assert editor.download(tmp_path).read_text() == TEXT
    editor.write(TEXT + "  - {hold")
    expect(editor.verdict).to_contain_text("Line")
    editor.page.reload()
    expect(editor.text).to_contain_text("{hold")
    expect(editor.verdict).to_contain_text("Line")


def test_what_is_chosen_right_after_a_change_stays_chosen(editor, monkeypatch):
    """However long the server takes to check what was changed."""
    read, checks = scenario_editor.Editor.read, []

    def slow(text):
        if "# slow" in text:
            checks.append(text)
            time.sleep(1)
        return read(text)

    monkeypatch.setattr(scenario_editor.Editor, "read", staticmethod(slow))
    editor.write(TEXT.replace("# ahead", "# slow"))
    editor.page.wait_for_timeout(100)
    editor.replace("# slow", "# slow, too")
    editor.player.wait_until(lambda: checks)
    scenarios = editor.panel.get_by_role("radiogroup", name="Scenario")
    scenarios.get_by_text("There and round", exact=True).click()
    expect(editor.text).not_to_contain_text("# slow")
    editor.page.wait_for_timeout(1500)
    listed, own = scenarios.get_by_role("radio").all()
    expect(listed).to_be_checked()
    expect(editor.text).not_to_contain_text("# slow")
    own.check(force=True)
    expect(editor.text).to_contain_text("# slow, too"), "what was written is kept"


def test_saved_scenarios_are_listed_opened_and_removed(editor, tmp_path):
    editor.write(TEXT)
    save = editor.panel.get_by_role("button", name="Save in this browser")
    save.click()
    expect(editor.verdict).to_contain_text("Saved in this browser")
    expect(save).to_be_disabled()
    own = editor.player.scenario(re.compile("^My own walk Universal"))
    expect(own).to_be_checked()
    editor.player.choose_scenario("There and round")
    expect(editor.text).not_to_contain_text("# ahead")
    editor.page.reload()
    expect(own).to_be_visible()
    own.check(force=True)
    expect(editor.text).to_contain_text("# ahead")
    assert editor.download(tmp_path).read_text() == TEXT

    # What was changed and not saved is kept, too, when another one is chosen.
    editor.replace("# ahead", "# far ahead")
    expect(save).to_be_enabled()
    editor.player.choose_scenario("There and round")
    expect(editor.text).to_contain_text("There and round")
    own.check(force=True)
    expect(editor.text).to_contain_text("# far ahead")

    remove = editor.panel.get_by_role("button", name="Remove My own walk")
    remove.click()
    expect(own).to_be_visible()
    editor.panel.get_by_role("button", name="Press again to remove").click()
    expect(own).to_have_count(0)
    expect(editor.text).to_contain_text("# far ahead")  # it stays open


def test_what_the_browser_cannot_keep_can_be_brought_back(address, visit):
    player = visit(address, "scenarios", script=FULL)
    editor = Editor(player).open()
    back = editor.panel.get_by_role("button", name="Bring it back")
    expect(back).to_be_hidden()
    editor.write(TEXT)
    expect(player.scenario("My own walk (yours)")).to_be_checked()
    editor.panel.get_by_role("button", name="Close editor").click()
    player.choose_scenario("There and round")
    expect(editor.text).to_contain_text("There and round")
    expect(editor.panel.get_by_text("Your browser could not save what you just wrote.")).to_be_visible()

    editor.replace("There and round", "Another one")
    expect(player.scenario("Another one (yours)")).to_be_checked()
    player.world("Temple Run")
    expect(editor.text).to_contain_text("A run")
    back.click()
    expect(editor.text).to_contain_text("Another one")
    expect(player.scenario("Another one (yours)")).to_be_checked()
    back.click()  # which cannot keep that one either
    expect(editor.text).to_contain_text("# ahead")
    expect(player.scenario("My own walk (yours)")).to_be_checked()
    expect(editor.verdict).to_have_text("Ready to run: 4.0 s, 100 frames.")
    back.click()
    expect(editor.text).to_contain_text("Another one")


def test_who_comes_back_before_the_other_one_is_open_finds_what_was_written(editor):
    editor.write(TEXT)
    editor.panel.get_by_role("button", name="Save in this browser").click()
    expect(editor.player.scenario(re.compile("^My own walk Universal"))).to_be_checked()
    editor.replace("2s}   # ahead", "3s}   # far ahead")
    expect(editor.verdict).to_contain_text("5.0 s")  # it has been checked: no event is on its way
    held = HeldEvents(editor.player, 2)
    group = editor.panel.get_by_role("radiogroup", name="Scenario")
    choose = "(group, kind) => group.querySelector(`input[value^=${kind}]`).click()"
    group.evaluate(choose, "listed")
    (first,) = held.wait_for(1)
    group.evaluate(choose, "own")
    first.continue_()
    expect(editor.text).to_contain_text("There and round")
    held.wait_for(2)[1].continue_()
    expect(editor.text).to_contain_text("# far ahead")


def test_a_link_takes_the_edited_text_along_or_says_why_not(editor):
    button = editor.panel.get_by_role("button", name="Copy link to these settings")
    editor.write(TEXT)
    expect(editor.panel.get_by_role("heading", name="My own walk")).to_be_visible()
    it = follow(editor.player, copied(editor.player, button))
    there = Editor(it)
    expect(there.lanes).to_have_attribute("aria-label", re.compile("corner at 2.0 s"))
    there.open()
    expect(there.text).to_contain_text("# Mine, with a comment")
    editor.page.bring_to_front()

    noise = "".join(f"  - {{camera: {{yaw: {i * 7919 % 9973 / 1e4}}}, for: 1 frame}}\n" for i in range(6000))
    assert len(noise) > MAX_LINK
    editor.write(TEXT + noise)
    expect(editor.verdict).to_contain_text("6100 frames")
    button.click()
    expect(editor.page.get_by_text("too long for a link")).to_be_visible()


def test_what_was_done_after_a_link_to_a_scenario_outlasts_a_reload(address, visit):
    link = fragment(Shared("universal", "universal", None, 7, parse_scenario(TEXT)))
    held = []
    player = visit(f"{address}#{link}", route=("**/queue/join*", lambda it: held.append(it)))
    player.wait_until(lambda: held)  # the link is on its way
    player.page.unroute("**/queue/join*")
    player.page.reload()
    editor = Editor(Player(player.page, player.page.main_frame, "scenarios"))
    expect(editor.lanes).to_have_attribute("aria-label", re.compile("corner at 2.0 s"))
    editor.open().replace("2s}   # ahead", "3s}   # far ahead")
    expect(editor.verdict).to_contain_text("5.0 s")
    editor.page.reload()
    expect(editor.text).to_contain_text("# far ahead")
    editor.player.choose_scenario("There and round")
    expect(editor.text).to_contain_text("There and round")
    editor.page.reload()
    expect(editor.text).to_contain_text("There and round")


def test_seed_and_start_image_of_a_link_outlast_a_change_of_its_text(address, visit):
    link = fragment(Shared("universal", "universal", "embedded:green", 7, parse_scenario(TEXT)))
    editor = Editor(visit(f"{address}#{link}", "scenarios")).open()
    seed, green = editor.panel.get_by_label("Seed"), editor.player.start_image("Green")
    expect(seed).to_have_value("7")
    expect(green).to_be_checked()
    editor.replace("My own walk", "Another name")
    expect(editor.panel.get_by_role("heading", name="Another name")).to_be_visible()
    expect(seed).to_have_value("7")
    expect(green).to_be_checked()
    editor.replace("seed: 5", "seed: 6")
    expect(seed).to_have_value("6")
    expect(green).to_be_checked()


def test_a_start_image_that_is_not_there_is_asked_for_by_name(editor):
    editor.write(TEXT.replace("seed: 5", "image: my street.png"))
    expect(editor.player.message).to_contain_text("This scenario starts from my street.png: choose it.")
    expect(editor.player.root.locator(".start")).to_be_disabled()
    editor.player.pick("Red")
    expect(editor.player.root.locator(".start")).to_be_enabled()
    editor.replace("My own walk", "Another name")
    expect(editor.panel.get_by_role("heading", name="Another name")).to_be_visible()
    expect(editor.player.start_image("Red")).to_be_checked()  # what was chosen stays chosen
    editor.replace("image: my street.png", "image: embedded:green")
    expect(editor.player.start_image("Green")).to_be_checked()


def test_another_mode_is_chosen_by_writing_it(editor):
    editor.write("title: Hop\nmode: templerun\nactions:\n  - {hold: [jump], for: 1s}\n")
    expect(editor.panel.get_by_label("Temple Run")).to_be_checked()
    expect(editor.player.pad("turn_left")).to_be_visible()
    expect(editor.panel.get_by_label("Checkpoint")).to_have_value("Grey run")
    expect(editor.player.scenario("A run")).to_be_visible()
    editor.write("title: Hop\nmode: gta_drive\nactions:\n  - {hold: [W], for: 1s}\n")
    expect(editor.verdict).to_contain_text("GTA drive is not available here")


def test_the_gallery_by_keyboard(address, visit):
    player = visit(address, "scenarios")
    editor = Editor(player).open()
    editor.write(TEXT)
    expect(player.scenario("My own walk (yours)")).to_be_checked()
    player.scenario("My own walk (yours)").focus()
    player.page.keyboard.press("ArrowUp")
    expect(player.scenario("There and round")).to_be_checked()
    expect(player.scenario("There and round")).to_be_focused()
    expect(player.panel.get_by_role("heading", name="There and round")).to_be_visible()
    expect(player.panel.get_by_role("radiogroup", name="Scenario")).to_match_aria_snapshot(
        """
        - radiogroup "Scenario":
          - radio "There and round 4.2 s" [checked]
        """
    )


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(width, address, visit):
    player = visit(address, "scenarios", viewport={"width": width, "height": 640})
    editor = Editor(player).open()
    editor.write(TEXT)
    expect(editor.panel.get_by_role("heading", name="My own walk")).to_be_visible()
    assert player.page.evaluate("document.documentElement.scrollWidth") <= width
    button = player.panel.get_by_role("button", name="Close editor").bounding_box()
    words = editor.panel.locator(".chosen > div > p, .chosen p").first.bounding_box()
    assert button["y"] + button["height"] <= words["y"] + 2 or button["x"] >= words["x"] + words["width"] - 2
