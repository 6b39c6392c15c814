"""What the page's process remembers of files that visitors have sent."""

from pathlib import Path

import httpx
import pytest

from devtools.ports import free_port
from mgdemo import ui
from mgdemo.serving import SessionService, Settings
from mgdemo.ui import sent_files


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(sent_files, "LEAST", 4)
    settings = Settings(record_dir=tmp_path, port=free_port(), visitor_requests=0, visitor_megabytes=0)
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
