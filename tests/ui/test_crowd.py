"""Many visitors at once."""

import asyncio
import threading
from types import SimpleNamespace as Stub

import gradio as gr
from gradio.context import LocalContext
from starlette.requests import Request

from benchmarks.crowd import crowd
from mgdemo import ui
from mgdemo.apart import AT_ONCE
from mgdemo.serving import SessionService
from mgdemo.settings import Settings
from mgdemo.ui.sessions_ui import STOPS

JOBS = 40  # events that Gradio works on at once
SCRIPT, VISITOR = "203.0.113.1", "203.0.113.2"
PATIENCE = 60  # seconds; only reached when something is broken


def test_sessions_and_waiting_visitors_keep_no_event_of_gradio(serve):
    async def visit():
        async with crowd(serve(queue=JOBS + 5), JOBS + 1) as visitor, asyncio.timeout(PATIENCE):
            await visitor.click()

    asyncio.run(visit())


def test_one_visitor_who_waits_for_films_leaves_the_job_slots_to_others(stub_library, tmp_path, monkeypatch):
    service, ended = SessionService(Settings(record_dir=tmp_path)), asyncio.Event()
    session = Stub(end=lambda *outcome: None, ended=ended.wait)
    try:
        demo = ui.build(service, stub_library)
        monkeypatch.setattr(service, "get", lambda token: session)
        stops = [fn for fn in demo.fns.values() if fn.name == "stop"]
        assert len(stops) == 2 and len({fn.concurrency_id for fn in stops}) == 1, "Play and Scenarios"
        assert {fn.concurrency_limit for fn in stops} == {STOPS} and STOPS <= JOBS / 4

        async def stop(address):
            scope = {"type": "http", "client": (address, 1), "headers": [], "path": "/", "query_string": b""}
            LocalContext.request.set(gr.Request(request=Request(scope)))
            (answer, *_) = await stops[0].fn([], gr.EventData(None, {"token": "x"}))
            return answer.props["session"].get("error", "")

        async def stop_over_and_over():
            waiting = [asyncio.create_task(stop(each)) for each in (SCRIPT, SCRIPT, VISITOR)]
            await asyncio.sleep(0)
            third = await asyncio.wait_for(stop(SCRIPT), PATIENCE)
            assert third.startswith("You already have 2 films being written")
            assert not any(each.done() for each in waiting)
            ended.set()
            assert await asyncio.gather(*waiting) == ["", "", ""]

        asyncio.run(stop_over_and_over())
    finally:
        service.close()


def test_a_page_asks_again_for_a_film_that_takes_long(stub_library, tmp_path, monkeypatch):
    service, ended = SessionService(Settings(record_dir=tmp_path)), asyncio.Event()
    session = Stub(end=lambda *outcome: None, ended=ended.wait)
    monkeypatch.setattr("mgdemo.ui.sessions_ui.STOP_SECONDS", 0.1)
    try:
        demo = ui.build(service, stub_library)
        monkeypatch.setattr(service, "get", lambda token: session)
        stop = next(fn.fn for fn in demo.fns.values() if fn.name == "stop")

        async def answered():
            answer, *films = await stop([], gr.EventData(None, {"token": "x"}))
            return answer.props["session"], films

        async def ask_twice():
            answer, films = await answered()
            assert answer["saving"] and answer["token"] == "x" and films == [gr.skip()] * len(films)
            ended.set()
            answer, _ = await answered()
            assert answer["ended"] and "saving" not in answer

        asyncio.run(ask_twice())
    finally:
        service.close()


def test_nobody_waits_while_earlier_recordings_are_looked_up(stub_library, tmp_path, monkeypatch):
    service, looks = SessionService(Settings(record_dir=tmp_path)), []

    def look(token):
        looks.append((token, threading.get_ident()))

    try:
        demo = ui.build(service, stub_library)
        monkeypatch.setattr(service, "recording_of", look)
        monkeypatch.setattr(service, "ended", look)
        resume, stop = (next(fn.fn for fn in demo.fns.values() if fn.name == n) for n in ("resume", "stop"))

        async def come_back():
            await resume(Stub(session_hash="page"), [], gr.EventData(None, {"token": "a", "earlier": ["b"]}))
            await stop([], gr.EventData(None, {"token": "c"}))

        asyncio.run(come_back())
    finally:
        service.close()
    assert {token for token, _ in looks} == {"a", "b", "c"}
    assert threading.get_ident() not in {thread for _, thread in looks}, "the event loop goes on"


def test_who_asks_for_many_branches_leaves_processes_for_the_films_of_others(stub_library, tmp_path):
    service = SessionService(Settings(record_dir=tmp_path))
    try:
        demo = ui.build(service, stub_library)
    finally:
        service.close()
    choosing = [fn for fn in demo.fns.values() if "Results.choose" in getattr(fn.fn, "__qualname__", "")]
    assert len(choosing) == 2, "Play and Scenarios"
    assert len({fn.concurrency_id for fn in choosing}) == 1
    # One is the archive's, another one a comparison's.
    assert {fn.concurrency_limit for fn in choosing} == {AT_ONCE - 2}
