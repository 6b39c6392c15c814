"""A server that hangs for long ends by itself, to be started again, with the recordings it can save."""

import contextlib
import subprocess

import httpx
import pytest

from devtools.web_process import Script, heard, played, web_process
from mgdemo.serving.shutdown import HUNG
from mgdemo.serving.watchdog import LOOK_SECONDS, Watchdog

pytestmark = pytest.mark.anyio

WORDS = {
    "page": "The page does not answer. The server ends, to be started again.",
    "clock": "Sessions are not looked after any more. The server ends, to be started again.",
    "loop": "The server answers nobody. The server ends, to be started again.",
}


@pytest.mark.parametrize("what", WORDS)
async def test_a_server_that_hangs_ends_and_a_new_one_has_the_recording(tmp_path, what):
    hang = tmp_path / "hang"
    variables = {"HANG": what, "HANG_AT": str(hang), "MGDEMO_STUCK_SECONDS": "2"}
    with web_process(tmp_path, module="tests.support.hanging_app", **variables) as web:
        async with Script(web) as script:
            token = (await script.start())["token"]
            async with script.player(token, max_size=2**22) as player:
                await played(player, 4)
                hang.touch()
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(f"{web.address}/readyz", timeout=1)
                if what == "page":  # the others can tell nobody
                    end = await heard(player, "end")
                    assert end["recording"] and end["text"].startswith("The server was shut down")
                assert web.process.wait(60) == HUNG
        assert WORDS[what] in web.log.read_text()
    with web_process(tmp_path) as web:
        async with Script(web) as script, script.player(token) as player:
            end = await heard(player, "end")
    assert end["recording"] and "The server was" in end["text"]


async def test_a_server_that_may_hang_for_ever_goes_on(tmp_path):
    hang = tmp_path / "hang"
    hang.touch()
    variables = {"HANG": "page", "HANG_AT": str(hang), "MGDEMO_STUCK_SECONDS": "0"}
    with web_process(tmp_path, module="tests.support.hanging_app", **variables) as web:
        with pytest.raises(subprocess.TimeoutExpired):
            web.process.wait(4)
        assert httpx.get(f"{web.address}/healthz").text == "stuck"


def looks(watchdog, number):
    return [watchdog.look() for _ in range(number)]


def test_only_trouble_at_every_look_counts_and_not_the_time_between_looks():
    troubles = [""]
    watchdog = Watchdog([str, lambda: troubles[0]], patience=10)
    enough = round(10 / LOOK_SECONDS)
    assert not any(looks(watchdog, 3 * enough))
    for _ in range(5):  # a busy machine: it comes and goes
        troubles[0] = "It hangs."
        assert not any(looks(watchdog, enough - 1))
        troubles[0] = ""
        assert not any(looks(watchdog, 1))
    troubles[0] = "It hangs."
    assert looks(watchdog, enough) == [""] * (enough - 1) + ["It hangs."]
