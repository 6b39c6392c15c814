"""The Compare tab in a real browser: choose, run, watch, cancel, come back, and vote without names."""

import re
import threading

import pytest
from playwright.sync_api import expect

from mgdemo.compare.run import Runner
from tests.support.page_player import HeldEvents

CHECKPOINTS = "Checkpoints, a column each; the first one is the baseline"
SCENARIOS = "Scenarios, a row each"
PATIENCE = 60_000  # ms
OVER = re.compile(r"finished\.$|finished, ")


@pytest.fixture(scope="module")
def address(serve):
    return serve(compare_frames=2000)


class Tab:
    """The Compare tab of a page."""

    def __init__(self, player):
        self.page = player.page
        self.root = self.page.locator("#compare .compare")
        self.panel = self.page.get_by_role("tabpanel").filter(has=self.root)
        self.run = self.root.get_by_role("button", name="Run", exact=True)
        self.cancel = self.root.get_by_role("button", name="Cancel")
        self.summary, self.problem = self.root.locator(".summary"), self.root.locator(".problem")
        self.message = self.root.locator(".message")
        self.cells = self.root.locator(".stage figure.cell")
        self.ballots = self.root.locator(".ballots")

    def preset(self, name):
        self.panel.get_by_label("Preset").get_by_text(name, exact=True).click()

    def add(self, label, *options):
        for option in options:
            self.panel.get_by_label(label).click()
            self.page.get_by_role("option", name=option, exact=True).click()
        self.page.keyboard.press("Escape")

    def seeds(self, text, label="Seeds, a column each"):
        field = self.panel.get_by_label(label)
        field.press("ControlOrMeta+a")
        field.press_sequentially(text)
        field.blur()

    def expect(self, phase):
        expect(self.root).to_have_attribute("data-phase", phase, timeout=PATIENCE)

    def expect_films(self, count):
        """So many cells show a picture of their film."""
        expect(self.cells.locator("canvas:visible")).to_have_count(count, timeout=PATIENCE)

    @property
    def link(self):
        self.root.get_by_role("button", name="Copy link").click()
        field = self.page.locator("#links input")
        expect(field).not_to_have_value("")
        return field.input_value()

    def vote(self, obeys, looks):
        for question, answer in (
            ("Which one follows the controls better?", obeys),
            ("Which one looks better?", looks),
        ):
            self.ballots.get_by_role("group", name=question).get_by_text(answer, exact=True).click()
        self.ballots.get_by_role("button", name="Vote", exact=True).click()
        expect(self.ballots.locator(".names")).to_be_visible()


@pytest.fixture
def compare(visit):
    def open_tab(address, link="", **options):
        tab = Tab(visit(address, **options))
        if link:
            tab.page.goto("about:blank")
            tab.page.goto(link)
        else:
            tab.page.get_by_role("tab", name="Compare").click()
        expect(tab.summary.or_(tab.problem).first).not_to_be_empty()
        return tab

    return open_tab


def test_from_a_preset_to_films_side_by_side_and_after_a_reload(address, compare):
    tab = compare(address)
    expect(tab.summary).to_contain_text("2 runs, 210 frames")
    expect(tab.root.locator(".lost summary")).to_contain_text("What changes between modes")
    tab.run.click()
    expect(tab.cells).to_have_count(2)
    tab.expect("ended")
    expect(tab.message).to_have_text("2 runs finished.")
    tab.expect_films(2)
    expect(tab.root.locator(".stage")).to_contain_text("Grey world")
    expect(tab.summary).to_contain_text("All are there already")
    for button in ("Report", "CSV", "JSON", "Film", "Contact sheet"):
        expect(tab.root.locator(".files").get_by_role("button", name=button)).to_be_visible()
    tab.page.reload()
    expect(tab.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    tab.expect("ended")
    tab.expect_films(2)
    expect(tab.panel.get_by_label("Three worlds")).to_be_checked()


def two_seeds_of_two_worlds(tab, seeds):
    tab.preset("Four seeds")
    expect(tab.summary).to_contain_text("4 runs")
    tab.add(CHECKPOINTS, "Slow world")
    expect(tab.problem).to_contain_text("8 columns do not fit")
    tab.seeds(seeds)
    expect(tab.summary).to_contain_text("4 runs, 420 frames")


@pytest.mark.parametrize(
    "preset, part, words",
    [("Four seeds", "summary", "4 runs"), ("Embedded against published", "problem", "mgdemo download")],
)
def test_what_is_chosen_while_the_tab_opens_counts(address, visit, preset, part, words):
    """The last answer to the opening comes after that to the choice, which it does not know."""
    player = visit(address)
    held = HeldEvents(player, 3)
    tab = Tab(player)
    player.page.get_by_role("tab", name="Compare").click()
    for number in range(2):  # the plan, and what this machine computes on
        held.wait_for(number + 1)[number].continue_()
    held.wait_for(3)  # the plan again
    tab.preset(preset)
    answer = getattr(tab, part)
    expect(answer).to_contain_text(words)
    with player.page.expect_response("**/queue/join*"):
        held.wait_for(3)[2].continue_()
    player.page.wait_for_timeout(1000)
    expect(answer).to_contain_text(words)
    expect(tab.run).to_be_enabled(enabled=part == "summary")


def test_a_running_grid_is_found_by_another_page_which_cannot_cancel_it(address, compare, monkeypatch):
    looked, measure = threading.Event(), Runner._measure

    def measure_later(*run):
        looked.wait(PATIENCE / 1000)
        measure(*run)

    monkeypatch.setattr(Runner, "_measure", measure_later)
    tab = compare(address)
    two_seeds_of_two_worlds(tab, "10, 11")
    tab.run.click()
    tab.expect("running")
    other = compare(address, tab.link)
    other.expect("running")
    expect(other.cells).to_have_count(4)
    expect(other.cancel).to_be_hidden()
    other.panel.get_by_role("button", name="What to compare").click()
    expect(other.panel.get_by_label("Seeds, a column each")).to_have_value("10, 11")
    tab.page.reload()
    tab.expect("running")
    expect(tab.cancel).to_be_visible()
    looked.set()
    tab.expect("ended")
    other.expect("ended")
    tab.expect_films(4)
    other.expect_films(4)


def test_cancel_keeps_what_is_finished_and_run_makes_the_rest(address, compare):
    tab = compare(address)
    two_seeds_of_two_worlds(tab, "20..21")
    tab.run.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.cancel).to_be_focused(timeout=PATIENCE)
    expect(tab.message).to_have_text(re.compile(r"^2 of 4"), timeout=PATIENCE)
    tab.page.keyboard.press("Enter")
    tab.expect("ended")
    expect(tab.run).to_be_focused()
    expect(tab.message).to_have_text("2 of 4 runs finished, 2 not made. Run makes the rest.")
    tab.expect_films(2)
    tab.run.click()
    tab.expect("running")
    tab.expect("ended")
    expect(tab.message).to_have_text("4 runs finished.")
    tab.expect_films(4)


def test_a_run_that_fails_says_why_and_the_others_are_shown(address, compare):
    tab = compare(address)
    tab.add(CHECKPOINTS, "Broken world")
    expect(tab.summary).to_contain_text("3 runs")
    tab.run.click()
    tab.expect("ended")
    expect(tab.message).to_have_text("2 of 3 runs finished, 1 failed.")
    expect(tab.cells.filter(has_text="Broken world")).to_contain_text("Failed: ")
    tab.expect_films(2)


def test_what_cannot_be_run_says_why(address, compare):
    tab = compare(address)
    tab.preset("FP8 against bf16")
    expect(tab.problem).to_contain_text("FP8 needs an NVIDIA GPU")
    expect(tab.run).to_be_disabled()
    tab.preset("Embedded against published")
    expect(tab.problem).to_contain_text("mgdemo download")
    tab.preset("Four seeds")
    expect(tab.summary).to_contain_text("4 runs")
    expect(tab.problem).to_be_hidden()
    tab.seeds("0..6")
    expect(tab.problem).to_have_text("7 columns do not fit beside each other: choose 6 at most.")
    tab.seeds("0..3")
    expect(tab.run).to_be_enabled()
    tab.seeds("0..9", "Seeds, a row each")
    expect(tab.problem).to_contain_text("4200 frames are too many for one comparison here")
    tab.seeds("x", "Seeds, a row each")
    expect(tab.problem).to_contain_text("x is not a seed")
    tab.preset("Three worlds")
    expect(tab.run).to_be_enabled()
    tab.add(CHECKPOINTS, "Big world (not downloaded)")
    expect(tab.problem).to_contain_text("not on this machine")


def test_files_of_ones_own_are_rows_and_stay_out_of_links(address, compare, tmp_path):
    path = tmp_path / "my walk.yaml"
    path.write_text("title: My walk\nmode: universal\nactions:\n  - {hold: [W], for: 1s}\n")
    tab = compare(address)
    with tab.page.expect_file_chooser() as chooser:
        tab.panel.get_by_role("button", name="Add your own scenario or film").click()
    chooser.value.set_files(path)
    expect(tab.summary).to_contain_text("4 runs")
    expect(tab.panel.get_by_text("my walk.yaml (yours)")).to_be_visible()
    tab.run.click()
    tab.expect("ended")
    link = tab.link
    expect(tab.page.locator("#links .message")).to_contain_text("your own files are not in the link")
    other = compare(address, link)
    other.expect("ended")
    other.expect_films(2)
    other.panel.get_by_role("button", name="What to compare").click()
    expect(other.panel.get_by_label("Seeds, a column each")).to_be_visible()
    expect(other.page.get_by_text("my walk.yaml (yours)")).to_have_count(0)


def test_a_blind_vote_names_the_films_only_afterwards(address, compare):
    tab = compare(address)
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: asked.append(str(data))))
    tab.root.get_by_label("Blind vote").check()
    tab.run.click()
    fields = tab.ballots.get_by_role("group", name="Which one follows the controls better?")
    expect(fields).to_be_visible(timeout=PATIENCE)
    expect(tab.ballots.locator("canvas:visible")).to_have_count(2, timeout=PATIENCE)
    expect(tab.ballots.locator("figure.cell")).to_have_text([re.compile("^Left"), re.compile("^Right")])
    expect(tab.ballots.locator(".count")).to_contain_text("Pair 1 of 1")
    expect(tab.cells).to_have_count(0)
    shown = tab.ballots.inner_html()
    for name in ("Grey world", "Grey run"):
        assert name not in shown and not any(name in each for each in asked)
    assert not any("/films/" in each for each in asked)
    expect(tab.ballots.get_by_role("button", name="Vote", exact=True)).to_be_disabled()
    tab.vote("Left", "Both bad")
    expect(tab.ballots.locator(".names")).to_have_text(
        re.compile(r"Left: Grey (world|run)\. Right: Grey (world|run)\.")
    )
    obeys, looks = (
        tab.ballots.get_by_role("table", name=f"Which one {verb} better?")
        for verb in ("follows the controls", "looks")
    )
    expect(obeys.get_by_role("row").nth(1)).to_contain_text(re.compile(r"Grey (world|run)\d\d %"))
    expect(looks).to_contain_text("–")
    with tab.page.expect_download() as download:
        tab.ballots.get_by_role("link", name="Save all votes as CSV").click()
    assert download.value.suggested_filename == "votes.csv"
    tab.page.reload()
    expect(tab.ballots.locator(".count")).to_contain_text("You have voted on the only pair", timeout=PATIENCE)
    tab.root.get_by_label("Blind vote").uncheck()
    tab.expect_films(2)


def test_a_vote_by_keyboard(address, compare):
    tab = compare(address)
    tab.preset("Four seeds")
    expect(tab.summary).to_contain_text("4 runs")
    tab.root.get_by_label("Blind vote").focus()
    tab.page.keyboard.press("Space")
    tab.run.click()
    first = tab.ballots.get_by_role("radio", name="Left").first
    expect(tab.ballots.locator(".count")).to_contain_text("of 6", timeout=PATIENCE)
    first.focus()
    for key in ("Space", "ArrowRight", "Tab", "Space", "Tab", "Enter"):
        tab.page.keyboard.press(key)
    following = tab.ballots.get_by_role("button", name="Next pair")
    expect(following).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.ballots.locator(".count")).to_contain_text("Pair 2 of 6")


@pytest.mark.parametrize("width", [360, 3840])
def test_nothing_is_wider_than_the_window(address, compare, width):
    tab = compare(address, viewport={"width": width, "height": 800})
    expect(tab.run).to_be_enabled()

    def fits():
        return tab.page.evaluate("document.documentElement.scrollWidth") <= width

    assert fits()
    tab.panel.get_by_role("button", name="What corresponds between modes").click()
    expect(tab.panel.get_by_role("table", name="By meaning")).to_be_visible()
    assert fits()
    tab.run.click()
    tab.expect("ended")
    tab.expect_films(2)
    assert fits()
    tab.root.get_by_label("Blind vote").check()
    expect(tab.ballots.locator(".count")).not_to_be_empty()
    assert fits()
