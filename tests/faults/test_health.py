"""Health notices a page that is dead."""

import asyncio
import time

import gradio as gr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mgdemo.serving import SessionService, Settings, operator_routes
from mgdemo.ui.page_watch import HANGING_SECONDS, PageWatch


def test_a_page_whose_jobs_all_hang_is_not_healthy(tmp_path, monkeypatch):
    with gr.Blocks() as demo:
        gr.Button()
    demo.queue()

    async def begin():
        demo._queue.start()

    asyncio.run(begin())
    slots = demo._queue.active_jobs
    assert len(slots) == 40, "as Gradio has them"
    service = SessionService(Settings(record_dir=tmp_path))
    try:
        client = TestClient(Starlette(routes=operator_routes(service, PageWatch(demo).trouble)))
        slots[:] = [[object()] for _ in slots]
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
