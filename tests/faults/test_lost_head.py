"""The head node of a Ray cluster dies: the pages are told, and their recordings are written."""

import pytest

from devtools.ray_nodes import ray_nodes
from devtools.web_process import Script, heard, played

pytestmark = pytest.mark.anyio


async def test_without_the_head_of_its_cluster_a_server_ends_in_good_order(start):
    with ray_nodes() as nodes:
        nodes.have(1)
        web = start(engine="ray", device="cpu", ack_seconds=3600)
        async with Script(web) as script:
            token = (await script.start())["token"]
            async with script.player(token, max_size=2**22) as player:
                await played(player, 4)
                nodes.kill_head()
                end = await heard(player, "end")
        assert end["recording"] and end["text"].startswith("The server was shut down")
        assert web.process.wait(30) == 0
