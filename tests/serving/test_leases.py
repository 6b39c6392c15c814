"""Sessions whose device is lent for a while: it is asked for, runs out, is refused; they go on exactly."""

import asyncio
import contextlib
import hashlib
import threading
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks import remembering_world
from benchmarks.stub_world import SMALL_HEIGHT, SMALL_WIDTH
from devtools.live_player import Player, Server, end_of, until, wait_for
from mgdemo.actions import ActionTrack
from mgdemo.compare.jobs import Comparisons
from mgdemo.compare.plan import Case, Variant, grid
from mgdemo.compare.store import RunStore
from mgdemo.picture import StartImage, prepare_image
from mgdemo.scenario import Scenario
from mgdemo.serving import Settings
from mgdemo.serving.engines import lease as lending
from mgdemo.serving.engines.zerogpu import leases
from mgdemo.serving.loan import run_seconds
from mgdemo.ui.scenarios.view import described
from mgdemo.video.digest import TAG
from mgdemo.video.mp4 import metadata
from mgdemo.worker.lease import serve

pytestmark = pytest.mark.anyio
WORLDS = "benchmarks.remembering_world:load"


class Lender:
    """Lends this very process, as ZeroGPU would lend one with a GPU. refuses: with this error."""

    def __init__(self):
        self.seconds, self.refuses = [], None

    def __call__(self, address, seconds):
        self.seconds.append(seconds)
        if self.refuses is not None:
            raise self.refuses
        yield from serve(address, seconds)


class Request:
    """A visitor's request, which has the device while it is iterated."""

    def __init__(self, service, token):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(service.lending.hold(token),), daemon=True)
        self._thread.start()

    def _run(self, lease):
        for _ in lease:
            if self._stop.is_set():
                lease.close()

    async def over(self):
        await until(lambda: not self._thread.is_alive())

    async def leave(self):
        """As Gradio does it with a page that was closed."""
        self._stop.set()
        await self.over()


async def lent(server, session):
    """The request that a session gets its device by, once it wants one."""
    await wait_for(session, lambda status: status.lease == "wanted")
    return Request(server.service, session.token)


@pytest.fixture
def lender():
    return Lender()


@pytest.fixture
def serve_lent(tmp_path, lender):
    """serve_lent(loader) -> Server; all of them are closed in the end."""
    with contextlib.ExitStack() as stack:

        def start(loader=WORLDS):
            given = {"stand_seconds": 0, "regenerate": False, "sessions": 2, "loader": loader}
            settings = Settings(engine="zerogpu", record_dir=tmp_path, **given)
            server = Server(settings, leases(settings, lender))
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def server(serve_lent):
    return serve_lent()


def track(frames):
    return ActionTrack.hold("universal", ["forward"], None, frames)


def over(status):
    return status.lease == "over"


@contextlib.contextmanager
def leases_over(monkeypatch):
    """While this lasts, the time of all leases is over."""
    with monkeypatch.context() as patch:
        patch.setattr(lending, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600))
        yield


def truth(tree, seed=0):
    """The hash of the frames up to the head of a tree, as an undisturbed world makes them."""
    model = remembering_world.load("universal", device="cpu")
    world, digest = (
        model.start(prepare_image(Image.new("RGB", (90, 60), (30, 60, 90)), *model.size), seed),
        [],
    )
    for node in tree.path(tree.head):
        digest += [hashlib.sha256(frame.tobytes()).digest() for frame in world.step(tree[node].actions)]
    return hashlib.sha256(b"".join(digest)).hexdigest()


async def film_of(session):
    """The recording's hash of its frames, as they were made."""
    tree = session.phase.tree
    recording = await session.stop()
    return metadata(recording.mp4)[TAG], tree


async def test_a_world_goes_on_in_another_lease_with_the_same_frames(server, lender, monkeypatch):
    session = server.open()
    async with Player(server, session.token) as player:
        status = await wait_for(session, lambda status: status.phase == "loading")
        assert status.lease == "wanted" and "GPU" in status.text
        first = Request(server.service, session.token)
        await player.press("KeyW")
        await player.block(1)
        assert 0 < session.status().lease_seconds <= 60
        with leases_over(monkeypatch):
            status = await wait_for(session, over)
            assert "Your 60 seconds on the GPU are over. Press Go on" in status.text
            await first.over()
        assert session.phase.frames and server.service.health()["playing"] == 0, "the place is free"
        made = player.of("block")[-1]["block"]
        await player.send(type="go_on")
        status = await wait_for(session, lambda status: status.lease == "wanted")
        assert status.phase == "buffering"
        second = Request(server.service, session.token)
        await player.press("KeyW")
        await player.block(made + 3)
        film, tree = await film_of(session)
        await second.over()  # a session that has ended gives the device back
    assert tree.blocks > made + 2 and film == truth(tree)
    assert lender.seconds == [60, 60]
    frames = [frame for _, _, frame, _, _ in player.frames]
    assert frames == list(range(len(frames))), "the player got each frame once"


async def test_what_another_loader_has_loaded_in_this_process_is_not_taken_over(serve_lent):
    for loader in ("benchmarks.stub_world:load_small", WORLDS):
        server = serve_lent(loader)
        session = server.open()
        async with Player(server, session.token) as player:
            request = await lent(server, session)
            await player.press("KeyW")
            await player.block(1)
            film, tree = await film_of(session)
            await request.over()
    assert film == truth(tree)


async def test_a_checkpoint_that_outlives_a_lease_is_not_loaded_once_more(server, monkeypatch):
    calls, may, load = [], threading.Event(), remembering_world.load

    def slow(checkpoint, **options):
        calls.append(checkpoint)
        may.wait(60)
        return load(checkpoint, **options)

    monkeypatch.setattr(remembering_world, "load", slow)
    name = "universal-30"  # which no other test has loaded into this process
    session = server.open(checkpoint=name)
    async with Player(server, session.token):
        request = await lent(server, session)
        await until(lambda: calls)
        with leases_over(monkeypatch):
            await request.over()
    session = server.open(checkpoint=name)
    async with Player(server, session.token) as player:
        await lent(server, session)
        may.set()
        await player.press("KeyW")
        await player.block(1)
    assert calls == [name]


async def test_a_scenario_has_one_lease_as_long_as_it_needs(server, lender):
    session = server.open(track=track(45))
    request = await lent(server, session)
    ended = await end_of(session)
    await request.over()
    assert (ended.outcome, ended.frames) == ("ended", 45)
    assert lender.seconds == [run_seconds(45, None)]


async def test_a_refusal_is_said_and_a_world_that_has_begun_is_kept(server, lender, monkeypatch):
    lender.refuses = RuntimeError("You have exceeded your quota. Try again in 3:00:00. ")
    refused = server.open()
    async with Player(server, refused.token):
        await lent(server, refused)
        ended = await end_of(refused)
    assert ended.outcome == "error" and ended.text.startswith(
        "You have exceeded your quota. Try again in 3:00:00."
    )
    assert "Press Start to try again" in ended.text

    lender.refuses = None
    session = server.open()
    async with Player(server, session.token) as player:
        await lent(server, session)
        await player.press("KeyW")
        await player.block(1)
        with leases_over(monkeypatch):
            await wait_for(session, over)
        lender.refuses = RuntimeError("No GPU was available after 60s")
        await player.send(type="go_on")
        await lent(server, session)
        status = await wait_for(session, over)
        assert status.text.startswith("No GPU was available after 60s. Press Go on to try again")
        film, tree = await film_of(session)
    assert tree.blocks and film == truth(tree), "what was made is kept"


async def test_a_page_that_is_left_gives_its_device_back(server):
    session = server.open()
    async with Player(server, session.token) as player:
        request = await lent(server, session)
        await player.press("KeyW")
        await player.block(1)
        await request.leave()
        status = await wait_for(session, over)
        assert "Your page has given the GPU back" in status.text


async def test_a_player_that_is_lost_gives_the_device_back(server):
    session = server.open()
    async with Player(server, session.token) as player:
        request = await lent(server, session)
        await player.press("KeyW")
        await player.block(1)
    await request.over()
    assert over(session.status())


async def test_a_device_that_cannot_be_heard_is_given_back(server, monkeypatch):
    def fail(self, stream):
        raise MemoryError

    monkeypatch.setattr(lending.Hearing, "read", fail)
    session = server.open()
    async with Player(server, session.token):
        request = Request(server.service, session.token)
        ended = await end_of(session)
        assert ended.text == "The GPU was lost (it cannot be heard): press Start to try again."
        await request.over()


async def test_a_lease_is_for_one_session_and_asked_for_once(server, lender, monkeypatch):
    one, two = server.open(), server.open()
    async with Player(server, one.token) as first, Player(server, two.token) as second:
        for session in (one, two):
            await wait_for(session, lambda status: status.lease == "wanted")
        requests = [Request(server.service, one.token)]
        await first.press("KeyW")
        await first.block(1)
        assert two.status().lease == "wanted" and not second.of("block")
        await Request(server.service, one.token).over()
        await Request(server.service, "no such session").over()
        assert len(lender.seconds) == 1
        requests.append(Request(server.service, two.token))
        await second.press("KeyS")
        await asyncio.gather(first.block(3), second.block(3))
        assert (first.of("block")[2]["held"], second.of("block")[2]["held"]) == (["forward"], ["back"])


def planned(*checkpoints, frames):
    """A grid of one row."""
    image, size = StartImage(None, Image.new("RGB", (90, 60), (30, 60, 90))), (SMALL_HEIGHT, SMALL_WIDTH)
    columns = [Variant(name, name.split("-")[0], size, name, True) for name in checkpoints]
    return grid([Case("Ahead", track(frames), image, 0)], columns, version="1", device="GPU")


async def test_runs_of_a_comparison_have_leases_and_go_on_by_themselves(
    server, lender, monkeypatch, tmp_path
):
    comparisons = Comparisons(server.service, RunStore(tmp_path / "runs"), device="GPU")
    job = comparisons.start(planned("universal-400", "gta_drive", frames=117), "page")
    while not job.done:
        await until(lambda: job.done or any(state.wants for state in job.states()))
        wanting = [state.wants for state in job.states() if state.wants]
        assert len(wanting) <= 1, "one GPU at a time"
        for token in wanting:
            request = Request(server.service, token)
            if len(lender.seconds) < 2:  # the first lease is over too soon
                await until(lambda: 0 < job.states()[0].share < 1)
                with leases_over(monkeypatch):
                    await until(lambda: any(state.wants for state in job.states()))
            await request.over()
    comparisons.close()
    assert [state.phase for state in job.states()] == ["finished", "finished"]
    assert len(lender.seconds) == 3 and lender.seconds[0] == run_seconds(117, None) > lender.seconds[1]
    assert [state.stored.facts["frames"] for state in job.states()] == [117, 117]


def test_what_a_start_and_a_run_take_is_said_before(server):
    note, scenario = server.service.lending.note, Scenario("A", "", "universal", None, None, track(45))
    assert "Start lends you a GPU for 60 seconds" in note
    assert f"for about {run_seconds(45, None)} s" in described(scenario, server.service.lending)
    assert "GPU" not in described(scenario)
