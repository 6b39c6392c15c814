"""One visitor cannot fill the log."""

import time

import pytest

from devtools.web_process import Script
from mgdemo.logs import QUIET_SECONDS

pytestmark = pytest.mark.anyio


async def test_no_event_whatever_it_is_sent_fills_the_log(start):
    web = start(visitor_requests=0)
    async with Script(web) as script:
        events = [each for each in script.config["dependencies"] if each["inputs"] and each["targets"]]
        sizes, sentences, began = [], set(), time.monotonic()
        for _ in range(3):
            for each in events:
                nonsense = dict.fromkeys(range(len(each["inputs"])), "nonsense")
                answer = await script.answer(script.order(each, values=nonsense))
                if isinstance(answer, dict):
                    sentences.add(answer["error"])
            sizes.append(web.log.stat().st_size)
        minutes = (time.monotonic() - began) // QUIET_SECONDS  # after each the same may be said again
        assert len(events) > 20 and sizes[2] - sizes[0] <= minutes * sizes[0], web.log.read_text()[-3000:]
        assert "There is no checkpoint called nonsense here: choose another." in sentences
    assert web.health()["status"] == "ok"
