"""What a coroutine waits for in threads always ends, and its own end harms nobody else."""

import asyncio
import re
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from mgdemo.paths import ROOT
from mgdemo.serving.waiting import in_thread, shared

pytestmark = pytest.mark.anyio
PATIENCE = 20


async def test_a_function_that_raises_stop_iteration_is_not_waited_for_without_end():
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await in_thread(next, iter(()))
        assert await in_thread(divmod, 7, 2) == (3, 1)


async def test_whoever_stops_waiting_takes_nothing_from_the_others():
    future = Future()
    one, other = (asyncio.create_task(shared(future)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(future.set_result, 7)
        async with asyncio.timeout(PATIENCE):
            assert await other == 7


def test_all_coroutines_of_the_server_wait_so():
    for folder in ("serving", "ui", "compare"):
        for path in (ROOT / "mgdemo" / folder).rglob("*.py"):
            if path.name != "waiting.py":
                found = re.search(
                    r"asyncio\.(to_thread|wrap_future)|run_in_executor", path.read_text("utf-8")
                )
                assert not found, (path, found)
