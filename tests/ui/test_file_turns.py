"""Files of visitors are read in turns, and one visitor cannot take all of them."""

import threading
import time

import gradio as gr
import pytest
from gradio.context import LocalContext
from PIL import Image
from starlette.requests import Request

from mgdemo import ui
from mgdemo.serving import SessionService, Settings
from mgdemo.ui import files
from mgdemo.ui.file_turns import AT_ONCE, OF_ONE, FileTurns, NoTurn
from mgdemo.ui.serve import JOBS

PATIENCE = 60  # seconds; only reached when something is broken
READERS = ("choose_file", "open_picture", "open_replay", "choose_upload", "added")
SCRIPT, VISITOR, OTHER = "203.0.113.1", "203.0.113.2", "203.0.113.3"


class Reading:
    """Pictures that are read until `go`. Whose are `begun`, and what was `said` to whom, in order."""

    def __init__(self, folder):
        self.folder, self.go, self.threads = folder, threading.Event(), []
        self.begun, self.said, self.now, self.most = [], [], 0, 0

    def open(self, source, name):
        self.begun.append(source.name.partition("-")[0])
        self.now += 1
        self.most = max(self.most, self.now)
        assert self.go.wait(PATIENCE)
        self.now -= 1
        return Image.new("RGB", (8, 8))

    def send(self, address):
        """The event of a visitor who has sent a picture, in a thread."""
        path = self.folder / f"{address}-{len(self.threads)}.png"
        path.write_bytes(b"a picture")
        thread = threading.Thread(target=self._event, args=(address, path), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _event(self, address, path):
        scope = {"type": "http", "client": (address, 1), "headers": [], "path": "/", "query_string": b""}
        LocalContext.request.set(gr.Request(request=Request(scope)))
        try:
            files.sent_picture({"path": str(path), "name": "a.png"})
        except NoTurn as error:
            self.said.append((address, str(error)))

    def end(self):
        self.go.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def reading(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(files, "TURNS", FileTurns())
    reading = Reading(tmp_path)
    monkeypatch.setattr(files, "open_apart", reading.open)
    yield reading
    reading.end()


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_visitor_leaves_turns_to_others_and_is_refused_what_would_wait_long(reading):
    for _ in range(OF_ONE + 2):
        reading.send(SCRIPT)
    until(lambda: len(reading.said) == 2)
    assert set(reading.said) == {
        (SCRIPT, "a.png was not read: 3 of your files are still waiting. Try again in a minute.")
    }
    reading.send(VISITOR)
    until(lambda: reading.begun == [SCRIPT, VISITOR])
    reading.end()
    assert sorted(reading.begun) == [SCRIPT] * OF_ONE + [VISITOR] and reading.most == AT_ONCE


def test_who_waits_too_long_for_others_is_told_so(reading, monkeypatch):
    monkeypatch.setattr("mgdemo.ui.file_turns.PATIENCE", 0.1)
    for number, address in enumerate((SCRIPT, VISITOR), 1):
        reading.send(address)
        until(lambda number=number: len(reading.begun) == number)
    reading.send(OTHER)
    until(lambda: reading.said)
    assert reading.said == [(OTHER, "a.png was not read: the server is busy. Try again in a minute.")]


def test_all_events_that_read_files_share_a_few_of_the_job_slots(stub_library, tmp_path):
    service = SessionService(Settings(record_dir=tmp_path))
    try:
        demo = ui.build(service, stub_library)
    finally:
        service.close()
    readers = [fn for fn in demo.fns.values() if str(fn.name) in READERS]
    assert {fn.name for fn in readers} == set(READERS)
    assert len({fn.concurrency_id for fn in readers}) == 1
    (limit,) = {fn.concurrency_limit for fn in readers}
    assert OF_ONE < limit <= JOBS / 4
