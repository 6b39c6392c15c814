"""The operator's page in a browser."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from mgdemo.paths import ROOT

TOKEN = "a secret"


@pytest.fixture
def desk(browser, serve):
    """The page with a token of its own, and the address of its server."""
    address = serve(operator_token=TOKEN, sessions=1).rstrip("/")
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/operator")
    yield page, address
    context.close()
    assert not problems


def enter(page, token=TOKEN):
    expect(page.get_by_label("The operator's token")).to_be_focused()
    page.keyboard.type(token)
    page.keyboard.press("Enter")


def test_an_operator_sees_the_sessions_ends_one_and_drains(desk, visit):
    page, address = desk
    enter(page, "a guess")
    expect(page.get_by_role("alert")).to_have_text("This needs the operator's token.")
    enter(page)
    expect(page.locator(".state")).to_have_text("Ready")
    expect(page.get_by_text("No sessions.")).to_be_visible()
    visitor = visit(address)
    visitor.start()
    visitor.expect("playing")
    session = page.locator(".sessions li")
    expect(session).to_contain_text(
        re.compile(r"universal, played live.*Playing for 0:\d\d.*frames", re.DOTALL)
    )
    expect(session.locator("img")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"

    page.get_by_role("button", name="Drain").press("Enter")
    expect(page.locator(".state")).to_have_text("Draining: no new sessions")
    expect(visitor.root.locator(".note")).to_contain_text("The server is about to be restarted")
    assert httpx.get(f"{address}/readyz").status_code == 503

    session.get_by_role("button", name="End").press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(session).to_have_count(1)
    session.get_by_role("button", name="End").press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visitor.expect("ended")
    expect(visitor.root.locator(".status")).to_contain_text(
        "The operator of this server has ended your session."
    )
    expect(session).to_have_count(0)

    visitor.start()
    expect(visitor.root.locator(".message")).to_contain_text("No new sessions begin here for now")
    expect(page.locator(".refusals")).to_contain_text("No new sessions while draining")
    page.get_by_role("button", name="Let sessions begin again").press("Enter")
    expect(page.locator(".state")).to_have_text("Ready")

    page.reload()
    expect(page.locator(".state")).to_have_text("Ready")
    assert TOKEN not in page.url
    page.get_by_role("button", name="Forget the token").press("Enter")
    page.reload()
    expect(page.get_by_label("The operator's token")).to_be_focused()


def test_another_site_cannot_show_the_page_and_nothing_foreign_runs_in_it(desk):
    _, address = desk
    headers = httpx.get(f"{address}/operator").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script-src 'self'" in headers["content-security-policy"]


def test_without_a_token_there_is_no_page(serve):
    address = serve().rstrip("/")
    assert httpx.get(f"{address}/operator").status_code == 404


def test_each_reason_of_a_refusal_has_words():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "mgdemo").rglob("*.py"))
    reasons = set(re.findall(r'(?:refused|Refusal)\(\s*"(\w+)"', sources))
    page = (ROOT / "mgdemo/ui/operator/wording.js").read_text("utf-8")
    words = page.partition("const REFUSALS = {")[2].partition("};")[0]
    assert len(reasons) > 15 and reasons == set(re.findall(r"^ +(\w+):", words, re.MULTILINE))
