"""What the browser tests see of a page: one of its players, and the column beside it."""

import time

from playwright.sync_api import Frame, Page, Route, expect

from mgdemo import checkpoints, scenario
from mgdemo.ui.library import Library

HEIGHT, WIDTH = 48, 64  # of the stub's pictures
PATIENCE = 60  # seconds; only reached when something is broken
DECODING = 2  # frames that may still appear after a pause
REAL = Library(checkpoints.catalog, checkpoints.start_images, scenario.library, checkpoints.opening_loop)
EMBEDDED = [entry for entry in checkpoints.catalog() if entry.embedded]

# A script for the page: it keeps all its WebSockets in window.sockets.
SOCKETS = """
  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...all) { super(...all); window.sockets.push(this); }
  };
"""

# Another one: window.passed has what its players showed one after the other, each as [kind, text].
PASSED = """
  window.passed = [];
  new MutationObserver((records) => {
    for (const { target: it } of records) {
      if (it === document) continue;
      if (it.matches(".player")) passed.push(["state", it.dataset.state]);
      else if (it.matches(".status")) passed.push(["status", it.textContent]);
      else if (it.matches("progress")) passed.push(["progress", String(it.value)]);
      else if (it.matches(".pad.used")) passed.push(["used", it.dataset.control]);
    }
  }).observe(document, { subtree: true, childList: true, attributeFilter: ["data-state", "value", "class"] });
"""


class Player:
    """A page (or one inside an iframe of `page`) and one of its two players."""

    def __init__(self, page: Page, frame: Frame, name: str):
        self.page, self.scope, self.root = page, frame, frame.locator(f"#{name}")
        self.panel = frame.get_by_role("tabpanel").filter(has=self.root)
        self.player, self.status = self.root.locator(".player"), self.root.locator(".status")
        self.message, self.results = self.root.locator(".message"), self.panel.locator(".results")

    def start(self):
        self.root.locator(".start").click()

    def stop(self):
        self.root.get_by_role("button", name="Stop").click()
        self.expect("ended")

    def expect(self, state):
        expect(self.player).to_have_attribute("data-state", state)

    def expect_passing(self, state):
        """Waits until it has been in a state that may not last, since the last call of this."""
        self.expect_passed("state", f"^{state}$")
        self.scope.evaluate(
            """(state) => {
              const is = ([kind, text]) => kind === "state" && text === state;
              passed.splice(0, passed.findIndex(is) + 1);
            }""",
            state,
        )

    def expect_passed(self, kind, pattern):
        """Waits until it has shown what may not last.

        kind: "state", the words of its "status", its bar's "progress", or a control that is "used".
        """
        self.scope.wait_for_function(
            "([wanted, words]) => passed.some(([kind, text]) => kind === wanted && RegExp(words).test(text))",
            arg=[kind, pattern],
        )

    def wait_for_health(self, condition):
        """Waits until what the server says of its health meets a condition."""
        self.wait_until(
            lambda: condition(self.page.evaluate("fetch('gradio_api/live-health').then((it) => it.json())"))
        )

    def wait_until(self, condition):
        """Looks again and again at what the page does not know, or what takes more than one look."""
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until
            self.page.wait_for_timeout(100)

    def pad(self, control):
        return self.root.locator(f'.pad[data-control="{control}"]')

    def expect_lit(self, control, name, lit=True):
        """name: "held" by the visitor, or "used" by the server in the block that is shown."""
        check = expect(self.pad(control))
        (check.to_contain_class if lit else check.not_to_contain_class)(name)

    def choose(self, label, option):
        """Opens one of the lists of the column and picks from it."""
        self.panel.get_by_label(label).click()
        self.page.get_by_role("option", name=option).click()

    def scenario(self, title):
        """The radio button of a scenario in the gallery."""
        return self.panel.get_by_role("radiogroup", name="Scenario").get_by_role("radio", name=title)

    def choose_scenario(self, title):
        self.panel.get_by_role("radiogroup", name="Scenario").get_by_text(title, exact=True).click()
        expect(self.scenario(title)).to_be_checked()

    def world(self, title):
        self.panel.get_by_text(title, exact=True).click()

    def upload(self, button, path):
        with self.page.expect_file_chooser() as chooser:
            self.panel.get_by_role("button", name=button).click()
        chooser.value.set_files(path)

    def start_image(self, name):
        """The radio button of a start image."""
        return self.panel.get_by_role("radiogroup", name="Start image").get_by_role(
            "radio", name=name, exact=True
        )

    def pick(self, name):
        """Chooses a start image."""
        self.panel.get_by_role("radiogroup", name="Start image").get_by_alt_text(name, exact=True).click()

    @property
    def frame(self):
        """The index of the frame that is shown."""
        return int(self.player.get_attribute("data-frame") or -1)

    def pixels(self):
        """The middle row of the picture: (left part's level, right part's level)."""
        return self.root.locator(".screen").evaluate(
            """(canvas) => {
              const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
              return [row[Math.floor(canvas.width / 4) * 4], row[Math.floor((canvas.width * 3) / 4) * 4]];
            }"""
        )

    def wait_for_frame(self, index):
        self.scope.wait_for_function(
            "([player, index]) => Number(player.dataset.frame) >= index",
            arg=[self.player.element_handle(), index],
        )

    def save(self, button, folder):
        """Downloads by one of the films' buttons; the file's path."""
        expect(self.results.locator("video")).to_be_visible()  # before it, Gradio's buttons do nothing
        with self.page.expect_download() as download:
            self.results.get_by_role("link", name=button).or_(
                self.results.get_by_role("button", name=button)
            ).first.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


class HeldEvents:
    """The next `number` events of a player's page, held until they are let go."""

    def __init__(self, player: Player, number: int):
        self._player, self._number, self._held = player, number, []
        player.page.route("**/queue/join*", self._came)

    def _came(self, route: Route) -> None:
        if len(self._held) < self._number:
            self._held.append(route)
        else:
            route.continue_()

    def wait_for(self, number: int) -> list[Route]:
        """Those that have come, once they are so many."""
        self._player.wait_until(lambda: len(self._held) >= number)
        return self._held
