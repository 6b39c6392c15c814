"""Other programs: Gradio's client from a process of its own, and an MCP client over HTTP."""

import asyncio
import json
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import httpx
import pytest
from gradio.queueing import Queue
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from mgdemo.ui.calls import Calls, TooManyCalls
from mgdemo.video.mp4 import read_frames

SCENARIO = "title: Two blocks\nmode: universal\nactions:\n  - {hold: [W], for: 2 blocks}\n  - mark: there\n"
LONG = "title: Long\nmode: universal\nactions:\n  - {hold: [W], for: 500s}\n"
PATIENCE = 60  # seconds; only reached when something is broken


@pytest.fixture(scope="module")
def address(serve):
    return serve(mcp=True)


@pytest.fixture(scope="module")
def ask(address, tmp_path_factory):
    """ask(code) runs code in another process, with `client`; it prints JSON."""
    folder = tmp_path_factory.mktemp("client")

    def run(code):
        script = f"""
            import json, sys
            from gradio_client import Client
            client = Client({address!r}, verbose=False, download_files={str(folder)!r})
            def error_of(call):
                try:
                    return call()
                except Exception as error:
                    return str(error)
        """
        text = textwrap.dedent(script) + textwrap.dedent(code)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_the_catalog_names_what_there_is_to_play(ask):
    found = ask("print(json.dumps(client.predict(api_name='/catalog')))")
    worlds = {entry["name"]: entry for entry in found["checkpoints"]}
    assert worlds["universal"]["controls"][0] == "forward" and worlds["universal"]["available"]
    assert worlds["universal"]["images"] == ["blue", "green", "red"]
    assert not worlds["universal-big"]["available"]
    assert found["optimizations"] == [""], "a CPU computes no other"


def test_scenarios_are_listed_with_their_text(ask):
    everything, runs = ask(
        "print(json.dumps([client.predict(mode, api_name='/scenarios') for mode in ('', 'templerun')]))"
    )
    assert [entry["name"] for entry in everything] == ["universal/one", "templerun/one"]
    (run,) = runs
    assert (run["title"], run["frames"]) == ("A run", 21) and "for: 2 blocks" in run["yaml"]


def test_a_text_is_judged(ask):
    good, bad = ask(f"""
        texts = [{SCENARIO!r}, "title: x\\nmode: universal\\nactions:\\n  - {{hold: [Q], for: 1s}}\\n"]
        print(json.dumps([client.predict(text, api_name='/validate') for text in texts]))
    """)
    assert good["valid"] and good["scenario"]["marks"] == [{"name": "there", "frame": 20}]
    assert not bad["valid"] and bad["line"] == 4 and "Q" in bad["words"]


def test_a_scenario_is_run_and_its_film_fetched(ask):
    states = ask(f"""
        job = client.submit({SCENARIO!r}, seed=3, image="red", api_name='/replay')
        print(json.dumps(list(job)))
    """)
    assert states[0]["phase"] in ("queued", "loading", "playing")
    last = states[-1]
    assert (last["phase"], last["progress"], last["frames"]) == ("ended", 1.0, 21)
    assert len(list(read_frames(last["film"]))) == 21
    assert "seed: 3" in Path(last["scenario"]).read_text("utf-8")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("client.predict('nobody/knows', api_name='/replay')", "There is no scenario called nobody/knows"),
        ("client.predict('title: x', api_name='/replay')", "mode"),
        ("client.predict('universal/one', 'templerun', api_name='/replay')", "use `compare`"),
        ("client.predict('universal/one', image='pink', api_name='/replay')", "blue, green, red"),
        ("client.predict('universal/one', seed=-7, api_name='/replay')", "seed"),
        (
            "client.predict(['universal/one'], ['nothing'], api_name='/compare')",
            "checkpoint called nothing",
        ),
        ("client.predict('universal/one', 'universal', api_name='/compare')", "is a list of names"),
        ("client.predict(['universal/one'], ['universal'], '0..x', api_name='/compare')", "is not a seed"),
        ("client.predict('0123', api_name='/report')", "ask for it with `compare`"),
        ("client.predict('flying', api_name='/scenarios')", "There is no mode flying"),
        ("client.predict(['templerun'], api_name='/scenarios')", "There is no mode ['templerun']"),
        ("client.predict(7, api_name='/validate')", "is a text"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(ask, call, words):
    said = ask(f"print(json.dumps(error_of(lambda: {call})))")
    assert words in (said["words"] if isinstance(said, dict) else said)


def test_no_event_is_followed_by_statistics_that_nobody_can_read(serve, monkeypatch):
    tables = []
    monkeypatch.setattr(Queue, "_get_df", lambda _queue, records: tables.append(records))
    address = f"{serve()}gradio_api/call/validate"
    for _ in range(2):
        event = httpx.post(address, json={"data": [SCENARIO]}).json()["event_id"]
        assert "event: complete" in httpx.get(f"{address}/{event}", timeout=PATIENCE).text
    assert not tables


def test_one_visitor_cannot_hold_all_slots():
    calls = Calls(2)
    with calls.one("a"), calls.one("a"):
        with pytest.raises(TooManyCalls, match=r"^You already have 2 calls running.*one to"), calls.one("a"):
            pytest.fail("a third one")
        with calls.one("b"), calls.one(""):
            pass
    with calls.one("a"):
        pass
    with Calls(0).one("a"):
        pass


def test_a_run_goes_on_only_as_long_as_somebody_reads_its_answer(serve):
    address = serve(connect_seconds=3)

    def post(name="replay", *data):
        """A run that takes minutes, or another call; its event."""
        data = data or (LONG, "universal-slow", -1, "")
        return httpx.post(f"{address}gradio_api/call/{name}", json={"data": data}).json()["event_id"]

    def playing():
        return httpx.get(f"{address}gradio_api/live-health").json()["playing"]

    def answer(event, name="replay"):
        return httpx.stream("GET", f"{address}gradio_api/call/{name}/{event}", timeout=PATIENCE)

    def error(event, name="replay"):
        with answer(event, name) as late:
            return next(line for line in late.iter_lines() if "data: {" in line)

    with answer(post()) as read:
        lines = read.iter_lines()  # which closes the stream when it is forgotten
        assert "generating" in next(lines)
        forgotten = post()
        until(lambda: playing() == 2)
        until(lambda: playing() == 1)
        assert "This call's output was not read for 3 seconds" in error(forgotten)
        assert playing() == 1, "the one whose answer is read goes on"
        assert next(line for line in lines if line)
    until(lambda: playing() == 0)
    forgotten = post("compare", ["universal/one"], ["universal-slow"], "", [], "meaning")  # takes six seconds
    until(lambda: playing() == 1)
    until(lambda: playing() == 0)
    assert "was not read for" in error(forgotten, "compare")


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_comparison_is_run_and_reported(ask, address):
    states, report, table = ask("""
        job = client.submit(["universal/one"], ["universal", "templerun"], api_name='/compare')
        states = list(job)
        page = client.predict(states[-1]["id"], "report.html", api_name='/report')
        table = client.predict(states[-1]["id"], api_name='/report')
        print(json.dumps([states, page, table]))
    """)
    last = states[-1]
    assert last["done"] and [run["phase"] for run in last["runs"]] == ["finished"] * 2
    assert [run["checkpoint"] for run in last["runs"]] == ["universal", "templerun"]
    assert all(run["frames_sha256"] and "follows" in run["scores"] for run in last["runs"])
    with urllib.request.urlopen(f"{address}{report['address']}") as page:
        assert b"<html" in page.read()
    assert len(table["report"]["rows"]) == 1


def code(language):
    """The examples of docs/api.md in a language, with what there is here in place of the embedded worlds."""
    here = {
        "http://127.0.0.1:7860/": "{address}",
        "http://127.0.0.1:7860": "{address}",
        "universal/first-steps": "universal/one",
        "gta_drive/slalom": "universal/one",
        "gta_drive-tiny": "templerun",
        "universal-tiny": "universal",
    }
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    found = [part.partition("```")[0] for part in text.split(f"```{language}\n")[1:]]
    for name, other in here.items():
        found = [each.replace(name, other) for each in found]
    return found


def test_the_example_in_python_does_what_it_says(address, tmp_path):
    (example,) = code("python")
    text = example.replace("{address}", address)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=180, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("/files/report.html")
    assert sum(line.startswith(("universal {", "templerun {")) for line in lines) == 2
    assert any(line.startswith("playing ") for line in lines) and any(".mp4" in line for line in lines)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_example_with_curl_does_what_it_says(address):
    (example,) = (text for text in code("sh") if "curl" in text)
    post, _, get = example.replace("{address}", address).splitlines()

    def run(line):
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60).stdout

    event = json.loads(run(post))["event_id"]
    assert '"title": "A run"' in run(get.replace("EVENT_ID", event))


def test_the_same_are_tools_of_the_model_context_protocol(address):
    asyncio.run(use_tools(address))


async def use_tools(address):
    async with (
        streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert tools.keys() == {"catalog", "scenarios", "validate", "replay", "compare", "report"}
        assert "universal, gta_drive or templerun" in str(tools["scenarios"].inputSchema)
        found = await session.call_tool("validate", {"yaml": SCENARIO})
        assert not found.isError and "'valid': True" in found.content[0].text
        played = await session.call_tool("replay", {"scenario": "universal/one"})
        assert not played.isError and "ended" in played.content[0].text
        failed = await session.call_tool("replay", {"scenario": "nobody/knows"})
        assert failed.isError and "There is no scenario called nobody/knows" in failed.content[0].text
