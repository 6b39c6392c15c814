"""Many visitors at once."""

import asyncio

from benchmarks.crowd import crowd

JOBS = 40  # events that Gradio works on at once
PATIENCE = 60  # seconds; only reached when something is broken


def test_sessions_and_waiting_visitors_keep_no_event_of_gradio(serve):
    async def visit():
        async with crowd(serve(queue=JOBS + 5), JOBS + 1) as visitor, asyncio.timeout(PATIENCE):
            await visitor.click()

    asyncio.run(visit())
