"""Pages that ask and never read the answers."""

import asyncio

import gradio as gr
import httpx
import pytest
from gradio.server_messages import ProcessCompletedMessage

from devtools.web_process import PATIENCE, Script
from mgdemo.serving.gate import BURST_SECONDS
from mgdemo.ui import unread
from mgdemo.ui.unread import Answers

pytestmark = pytest.mark.anyio


async def joined(script, order, words=""):
    """Whether an event was taken, as soon as the rate allows it; if not, it was refused with these words."""
    async with asyncio.timeout(PATIENCE):
        while "wait a few seconds" in (answer := await script.join(order)).text:
            await asyncio.sleep(0.1)
    if answer.status_code == 200:
        return True
    assert answer.status_code == 429 and words in answer.text
    return False


async def test_a_script_that_never_reads_its_answers_is_refused_until_it_does(start):
    web = start()
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        order, most = script.order(script.events("load")[0]), 10 * BURST_SECONDS
        taken = 0
        while await joined(script, order, "for their page to read them: reload the page"):
            taken += 1
            assert taken <= most
        assert taken == most
        other = order | {"session_hash": "another page of the same visitor"}
        assert not await joined(script, other, "reload the page")
        assert await joined(visitor, visitor.order(visitor.events("load")[0]))
        url = f"/gradio_api/queue/data?session_hash={script.page}"
        async with asyncio.timeout(PATIENCE), script.client.stream("GET", url) as stream:
            async for _ in stream.aiter_lines():
                pass  # until all are read, and Gradio ends the stream
        assert await joined(script, order)
    assert 'mgdemo_refusals_total{reason="unread"} 2.0' in httpx.get(f"{web.address}/metrics").text


async def test_answers_that_nobody_reads_for_long_are_dropped_and_others_are_not(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(unread.time, "monotonic", lambda: now[0])
    with gr.Blocks() as demo:
        gr.Button()
    demo.queue()
    asked, queue = Answers(demo), demo._queue

    def answer(page, event):
        message = ProcessCompletedMessage(output={}, success=True, event_id=event)
        queue.pending_messages_per_session[page].put_nowait(message)

    for page in ("gone", "here"):
        queue.pending_messages_per_session[page] = asyncio.Queue()  # as Gradio does it
        for event in "abc":
            answer(page, event)
    now[0] += unread.UNREAD_SECONDS
    await queue.pending_messages_per_session["here"].get()
    now[0] += unread.SWEEP_SECONDS + 1
    assert (asked.events("gone"), asked.events("here")) == (0, 2)
    answer("gone", "d")
    assert asked.events("gone") == 1, "it may come back"
