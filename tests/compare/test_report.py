"""Reports: whole in one file, and the same figures everywhere."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from test_runs import made, planned

from mgdemo.compare.report import write_report
from mgdemo.compare.run import Outcome
from mgdemo.compare.table import as_text, cells
from mgdemo.measure.run import MEASURES


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A grid of two modes and a failure, its cells and its folder."""
    folder = tmp_path_factory.mktemp("compared")
    plan = planned("universal", "universal-30", "templerun", "universal-broken", frames=57)
    outcomes = made(folder, plan)[0].outcomes()
    rows = cells(plan, outcomes)
    write_report(folder, plan, rows, title='Three <worlds> & "one" failure', device="cpu")
    return folder, plan, rows


def test_the_page_refers_to_nothing_outside(compared):
    page = (compared[0] / "report.html").read_text("utf-8")
    assert page.count("data:video/mp4;base64,") == 3
    assert not re.search(r"""(src|href)=["'](?!data:)""", page) and "http" not in page
    assert len(page) < 2_000_000
    assert "<worlds>" not in page and "Three &lt;worlds&gt;" in page


def test_the_page_says_what_failed_and_what_is_best(compared):
    page = (compared[0] / "report.html").read_text("utf-8")
    assert "Failed: " in page and re.search('class="n best', page)


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
        assert sheet.height == 3 * 74 and np.asarray(sheet).std() > 5


def test_a_terminal_gets_the_scores(compared):
    _, plan, rows = compared
    text = as_text(plan, rows)
    assert "failed: " in text and all(name in text for name in MEASURES)


def test_nothing_made_is_still_a_report(tmp_path):
    plan = planned("universal")
    rows = cells(plan, [Outcome(run, None, "No engine.") for run in plan.all])
    path = write_report(tmp_path, plan, rows, title="Nothing")
    assert "No engine." in path.read_text("utf-8")
