"""Health notices a page that is dead."""

import asyncio
import time
from types import SimpleNamespace as Stub

import gradio as gr
from gradio.queueing import Event, EventQueue
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mgdemo.serving import SessionService, Settings, operator_routes
from mgdemo.ui.page_watch import HANGING_SECONDS, LEASE, PageWatch


def page():
    """A page whose queue has begun, and its job slots."""
    with gr.Blocks() as demo:
        gr.Button()
    demo.queue()

    async def begin():
        demo._queue.start()

    asyncio.run(begin())
    return demo, demo._queue.active_jobs


def event(demo, kind, limit=None):
    """One that is worked on. limit: of its kind."""
    demo._queue.event_queue_per_concurrency_id[kind] = EventQueue(kind, limit)
    return Event("page", Stub(name=kind, concurrency_id=kind), None, None)


def test_a_page_whose_jobs_all_hang_is_not_healthy(tmp_path, monkeypatch):
    demo, slots = page()
    assert len(slots) == 40, "as Gradio has them"
    service = SessionService(Settings(record_dir=tmp_path))
    try:
        client = TestClient(Starlette(routes=operator_routes(service, PageWatch(demo).trouble)))
        slots[:] = [[event(demo, f"kind {number}")] for number in range(40)]
        assert client.get("/gradio_api/live-health").status_code == 200, "they have just begun"
        later = time.monotonic() + HANGING_SECONDS + 1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        answer = client.get("/gradio_api/live-health")
        assert (answer.status_code, answer.json()["status"]) == (503, "stuck")
        assert "all of its 40 jobs hang" in answer.json()["page"]
        assert (client.get("/healthz").status_code, client.get("/readyz").text) == (503, "stuck")
        slots[7] = None
        assert client.get("/gradio_api/live-health").json()["status"] == "ok"
    finally:
        service.close()


def test_one_kind_of_events_that_all_hang_is_trouble_unless_they_may_last(monkeypatch):
    demo, slots = page()
    watch = PageWatch(demo)
    slots[:4] = [[event(demo, "choose", 3)] for _ in range(3)] + [[event(demo, LEASE, 1)]]
    assert watch.trouble() == ""
    later = time.monotonic() + HANGING_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert watch.trouble() == "The page does not answer: all 3 jobs like choose hang. Restart it."
    slots[1] = [event(demo, "choose", 3)]
    assert watch.trouble() == "", "one of them has come to an end"
    slots[:] = [slots[3], *([event(demo, "choose")] for _ in range(39))]
    assert watch.trouble() == ""
    later += HANGING_SECONDS + 1
    assert "all of its 40 jobs hang" in watch.trouble(), "but for the one that may last"
