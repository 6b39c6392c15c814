"""Reports: whole in one file, and the same figures everywhere."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image
from playwright.sync_api import expect
from test_runs import made, planned

from mgdemo.compare import costs, report_films
from mgdemo.compare.plan import grid
from mgdemo.compare.report import write_report
from mgdemo.compare.run import Outcome
from mgdemo.compare.store import StoredRun
from mgdemo.compare.table import as_csv, as_text, cells
from mgdemo.measure.run import MEASURES
from mgdemo.video.mp4 import write_mp4

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">{{ 7 * 7 }}'"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A grid of two modes and a failure, whose scenario has a stranger's title; its cells and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    plan = planned("universal", "universal-30", "templerun", "universal-broken", frames=57)
    cases = [replace(case, title=HOSTILE) for case in plan.rows]
    plan = grid(cases, plan.columns, version="1", device="cpu")
    job, _ = made(folder, plan)
    rows = cells(plan, job.outcomes())
    write_report(folder, plan, rows, title='Three <worlds> & "one" failure', device="cpu")
    return folder, plan, rows


@pytest.fixture
def opened(compared, browser):
    """The report as a colleague opens it: from a disk, offline; and what the browser complained of."""
    complaints = []
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((compared[0] / "report.html").as_uri())
    yield page, complaints
    context.close()


def test_the_page_refers_to_nothing_outside(compared):
    page = (compared[0] / "report.html").read_text("utf-8")
    assert page.count("data:video/mp4;base64,") == 3
    assert not re.search(r"""(src|href)=["'](?!data:)""", page.replace(escape(HOSTILE), ""))
    assert "http://" not in page and "https://" not in page
    assert len(page) < 2_000_000
    assert "<worlds>" not in page and "Three &lt;worlds&gt;" in page


def test_the_page_says_what_failed_and_what_is_best(compared):
    page = (compared[0] / "report.html").read_text("utf-8")
    assert "Failed: " in page and re.search('class="best', page) and "title: " in page


def test_the_report_plays_from_a_disk_with_nothing_installed(opened):
    page, complaints = opened
    expect(page.locator(".cell canvas:not([hidden])")).to_have_count(3)
    expect(page.locator(".cell[data-phase=failed]")).to_contain_text("Failed: ")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".slider")).to_have_value(re.compile(r"\d\d"))
    page.get_by_role("button", name="Pause").click()
    expect(page).to_have_url(re.compile("#frame="))
    assert not complaints


def test_what_strangers_write_is_shown_as_it_is(opened):
    page, complaints = opened
    expect(page.locator("h3", has_text="onerror").first).to_have_text(HOSTILE)
    expect(page.locator(".cell canvas:not([hidden])")).to_have_count(3)
    assert page.title() == 'Three <worlds> & "one" failure'
    assert page.locator("img").count() == page.locator("img.sheet, img.preview").count()
    assert not complaints


def test_what_runs_cost_is_there_on_demand_as_far_as_it_is_known(opened):
    page, _ = opened
    costs = page.locator("details", has_text="What it cost to make")
    expect(costs.get_by_role("table")).to_be_hidden()
    costs.locator("summary").click()
    for name in ("denoising a block", "starting the world", "memory at its peak"):
        cells = costs.get_by_role("row", name=name).get_by_role("cell")
        expect(cells).to_have_text([re.compile(r"\d")] * 3 + ["–"])
    expect(costs.get_by_text("energy")).to_have_count(0)


def test_costs_are_shown_with_their_units():
    facts = {"timings": {"stages": {"dit": 60.04, "vae": 335.6}, "load_seconds": 18.66, "start_seconds": 0.1}}
    facts |= {"peak_bytes": 12_600_000_000, "joules_per_frame": 7.6}
    assert dict(costs.rows([facts, None])) == {
        "denoising a block": ["60 ms", "–"],
        "decoding a block": ["336 ms", "–"],
        "loading the checkpoint": ["19 s", "–"],
        "starting the world": ["0.10 s", "–"],
        "memory at its peak": ["12.6 GB", "–"],
        "energy of a frame": ["7.60 J", "–"],
    }
    assert costs.rows([None]) == []


def test_differences_to_the_baseline_are_there_on_demand(opened):
    page, _ = opened
    delta = page.locator("td .delta").first
    expect(delta).to_be_hidden()
    page.get_by_label("differences to the baseline").check()
    expect(delta).to_be_visible()
    assert re.fullmatch(r"[+−]\d+", delta.text_content())


def test_films_may_lie_beside_the_page(compared, browser, tmp_path):
    folder, plan, rows = compared
    write_report(folder / "beside", plan, rows, title="Beside", inside=False, film=False)
    assert not (folder / "beside" / "grid.mp4").exists()
    text = (folder / "beside" / "report.html").read_text("utf-8")
    assert "data:video" not in text and text.count('"../runs/') == 3
    page = browser.new_page()
    page.goto((folder / "beside" / "report.html").as_uri())
    expect(page.locator(".cell canvas:not([hidden])")).to_have_count(3)
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".slider")).to_have_value(re.compile(r"\d\d"))
    page.close()


def test_a_contact_sheet_may_be_taller_than_a_jpeg(compared, monkeypatch):
    folder, plan, rows = compared
    monkeypatch.setattr("mgdemo.compare.report.contact_sheet", lambda _: Image.new("RGB", (40, 70_000)))
    write_report(folder / "tall", plan, rows, title="Tall", inside=False, film=False)
    assert (folder / "tall" / "report.html").read_text("utf-8").count('<img class="sheet"') == 5
    with Image.open(folder / "tall" / "contact-sheet.png") as sheet:
        assert sheet.size == (40, 70_000)


def test_films_share_a_budget(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (75, 96, 128, 3), np.uint8)
    (tmp_path / "run").mkdir()
    write_mp4(tmp_path / "run" / "video.mp4", noise, 25)
    stored = StoredRun(tmp_path / "run", {"frames": 75}, {})
    assert stored.video.stat().st_size > 600_000
    monkeypatch.setattr(report_films, "BUDGET", 300_000)
    films = [report_films.inside(stored, report_films.seconds_of([stored] * 3)) for _ in range(3)]
    assert sum(map(len, films)) < 1.5 * 300_000 * 4 / 3


def test_json_and_csv_say_the_same(compared):
    folder, plan, _ = compared
    report = json.loads((folder / "report.json").read_text("utf-8"))
    lines = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text("utf-8"))))
    assert [line["run"] for line in lines] == [run.key for run in plan.all]
    for line, run in zip(lines, report["rows"][0]["runs"], strict=True):
        assert line["run"] == run["key"] and line["error"] == run["error"]
        for name in MEASURES:
            score = run["scores"][name]
            assert (line[name] == "") == (score is None)
            assert score is None or float(line[name]) == pytest.approx(score, abs=1e-3)
        known = run["facts"] and run["facts"]["timings"]["first_block_seconds"]
        assert line["first_block_seconds"] == ("" if known is None else f"{known:.4g}")
    assert lines[3]["error"] and lines[3]["frames"] == ""


def test_what_should_be_the_same_is_held_against_the_baseline(compared):
    _, _, [row] = compared
    assert row[0].scores["splits"] is None, "it is the baseline"
    assert row[1].scores["splits"] == 1, "the same actions, the same frames"
    assert row[2].scores["splits"] is None, "other actions"
    assert row[1].splits["first"] is None and row[1].splits["psnr"] > 60


def test_a_contact_sheet_shows_every_run(compared):
    folder = compared[0]
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.height > 3 * 90 and np.asarray(sheet).std() > 5


def test_a_terminal_gets_the_scores(compared):
    _, plan, rows = compared
    text = as_text(plan, rows)
    assert "failed: " in text and all(name in text for name in MEASURES)


def test_nothing_made_is_still_a_report(tmp_path):
    plan = planned("universal")
    rows = cells(plan, [Outcome(run, None, "No engine.") for run in plan.all])
    path = write_report(tmp_path, plan, rows, title="Nothing")
    assert "No engine." in path.read_text("utf-8")


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1"])
def test_a_title_is_no_formula_in_a_spreadsheet(compared, title):
    _, plan, table = compared
    plan = replace(plan, rows=tuple(replace(case, title=title) for case in plan.rows))
    lines = list(csv.DictReader(io.StringIO(as_csv(plan, table))))
    assert {line["scenario"] for line in lines} == {f"'{title}"}
