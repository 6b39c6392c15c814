"""The panel with a visit's films."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from mgdemo.ui import results
from mgdemo.ui.links import Links
from mgdemo.video.films import Branch, Recording

PATIENCE = 60


@pytest.fixture
def panel(monkeypatch):
    monkeypatch.setattr(results, "whoever", lambda: visitor.name)
    visitor = SimpleNamespace(name="ann")
    with gr.Blocks():
        yield results.Results(Links(), 1), visitor


def test_a_film_that_is_not_known_any_more_is_told(panel, monkeypatch):
    (form, _), said = panel, []
    monkeypatch.setattr(gr, "Warning", said.append)
    assert form.choose([], "token 1") == (gr.skip(),) * len(form.panel)
    assert said == ["The server no longer knows this page's films: load the page again."]


@pytest.mark.parametrize(
    ("hours", "words"), [(0.1, "1 hour"), (1, "1 hour"), (30, "30 hours"), (48, "2 days")]
)
def test_how_long_a_film_is_kept_is_said_in_words(hours, words):
    assert results.kept_words(hours).startswith(f"It stays on this server for {words} at most")


def test_one_visitor_has_one_branchs_film_made_at_a_time(panel, monkeypatch):
    """Two are made at once for all visitors, and each may take minutes."""
    (form, visitor), begun, hold, said = panel, threading.Event(), threading.Event(), []
    monkeypatch.setattr(gr, "Warning", said.append)
    recording = Recording(Path("x.mp4"), None, None, 9, 25, 0)

    class Slow(Branch):
        def write(self):
            begun.set()
            hold.wait(PATIENCE)
            return recording

    slow = results.Left("token", replace(recording, branches=(Slow(1, 1, 9, 0, 25, None),)))
    first = threading.Thread(target=form.choose, args=([slow], "token 1"))
    first.start()
    assert begun.wait(PATIENCE)
    assert form.choose([slow], "token 1") == (gr.skip(),) * len(form.panel)
    assert said == ["You already have 1 film being made, which is the limit: wait for it to finish."]
    hold.set()
    first.join()
    visitor.name = "bob"
    assert "Branch 1" in form.choose([slow], "token 1")[0] and len(said) == 1
