"""What the page's process remembers of pages, and of files that they have sent."""

from pathlib import Path

import httpx
import pytest

from devtools.ports import free_port
from mgdemo import ui
from mgdemo.serving import SessionService, Settings, events
from mgdemo.ui import gradio_memory


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(gradio_memory, "LEAST", 4)
    monkeypatch.setattr(events, "PAGES", 5)
    settings = Settings(record_dir=tmp_path, port=free_port(), visitor_megabytes=0, visitor_requests=100)
    service = SessionService(settings)
    demo = ui.build(service)
    ui.launch(demo, prevent_thread_lock=True, quiet=True)
    yield demo
    demo.close(verbose=False)
    service.close()


def test_the_paths_of_deleted_files_are_forgotten_and_the_others_kept(page):
    sent, kept = [], []
    with httpx.Client(base_url=page.local_url) as client:
        for number in range(40):
            answer = client.post("gradio_api/upload", files={"files": (f"{number}.png", bytes([number]))})
            path = Path(answer.raise_for_status().json()[0])
            sent.append(path)
            if number % 20:
                path.unlink()
            else:
                kept.append(str(path))
    known = {path for paths in page.temp_file_sets for path in paths}
    assert {*kept} <= known and len(known & {*map(str, sent)}) <= 6


def test_of_one_visitors_pages_the_latest_ones_are_kept(page):
    load = next(
        event for event in page.config["dependencies"] if [t[1] for t in event["targets"]] == ["load"]
    )
    with httpx.Client(base_url=page.local_url) as client:
        for name in [*(f"page {number}" for number in range(8)), "page 3", "page 8"]:
            event = {"data": [None] * len(load["inputs"]), "fn_index": load["id"], "session_hash": name}
            client.post("gradio_api/queue/join", json=event).raise_for_status()
            with client.stream("GET", "gradio_api/queue/data", params={"session_hash": name}) as stream:
                assert any("process_completed" in line for line in stream.iter_lines())
    assert set(page.state_holder.session_data) == {f"page {number}" for number in (3, 5, 6, 7, 8)}
    assert set(page.state_holder.time_last_used) == set(page.state_holder.session_data)
