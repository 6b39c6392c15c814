"""A worker may die after any event: a session goes on with the same frames, and each of them comes once."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from benchmarks import remembering_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.picture import StartImage, prepare_image
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.serving.engines import EngineHealth
from mgdemo.serving.engines.fleets import Fixed
from mgdemo.serving.outbox import Outbox
from mgdemo.settings import Settings
from mgdemo.video.encode import jpeg
from mgdemo.video.mp4 import read_frames
from mgdemo.worker.worker import Worker
from tests.faults.conftest import WORLDS

IMAGE = Image.new("RGB", (90, 60), (30, 60, 90))
CHECKPOINT = "universal-0"
PATIENCE = 60
REGENERATED = 8  # events of a block that is made again, for which a busy machine may be too late
BUFFER = 470  # ms that the player says to have left: there is time to regenerate most of a block


class Engine:
    """Keeps the commands of the service for the worker that a test works by hand."""

    def __init__(self, settings, device, on_event, on_lost):
        self.device, self.event, self.lost, self.commands = device, on_event, on_lost, []

    def send(self, command):
        self.commands.append(command)

    def health(self):
        return EngineHealth(self.device, True)

    def kill(self, reason):
        pass

    def close(self):
        pass


class Stage:
    """A service with one session, and workers in this process, of which one lives at a time."""

    def __init__(self, folder, track=None, **settings):
        defaults = {"loader": WORLDS, "record_dir": folder, "stand_seconds": 0, "idle_seconds": 600}
        self.settings = Settings(**defaults | settings)
        self.service = SessionService(self.settings, Fixed(self.settings, self._engine))
        self.session = self.service.open(SessionRequest(CHECKPOINT, StartImage(None, IMAGE), 3, track))
        self.session.attach(Outbox(), "jpeg")
        self.events, self.lives = [], None
        self.worker = self.new_worker()

    def _engine(self, *args):
        self.engine = Engine(*args)
        return self.engine

    def new_worker(self):
        return Worker(self.settings, "cpu", self.hear)

    def hear(self, event):
        """An event of the worker, unless it is dead by then."""
        if self.lives is None or self.lives > 0:
            self.events.append(event)
            self.lives = self.lives and self.lives - 1
            self.engine.event(event)
            if isinstance(event, m.Ready):
                self.tree = self.session.phase.tree
            if isinstance(event, m.Thumbnail) and self.session.live:
                block = next(
                    event.message.block for event in reversed(self.events) if isinstance(event, m.Block)
                )
                self.say(m.Ack(block=block, buffer_ms=BUFFER if block == 1 else 0))

    def kill(self):
        self.lives, self.worker = None, self.new_worker()
        self.engine.commands.clear()
        self.engine.lost("The engine stopped unexpectedly (test).")

    def say(self, message):
        self.session.receive(self.session._link._outbox, message)

    def work(self):
        """One job of the worker; whether it still lives."""
        while self.engine.commands:
            self.worker.hear(self.engine.commands.pop(0))
        self.worker.work(0.01)
        return self.lives != 0

    def until(self, condition):
        """Works until something is so, or the worker is dead: whether it lives."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.events[-5:]
            if not self.work():
                return False
        return True

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    def truth(self):
        """The pictures of all frames of the session's tree, as an undisturbed world makes them."""
        model, pictures, tree = remembering_world.load(CHECKPOINT, device="cpu"), {}, self.tree
        for end in tree.ends:
            world = model.start(prepare_image(IMAGE, *model.size), 3)
            for node in tree.path(end):
                for index, frame in enumerate(world.step(tree[node].actions), tree[node].first_frame):
                    pictures[node, index] = hashlib.sha256(jpeg(frame)).hexdigest()
        return pictures


def blocks(stage):
    """Blocks that are complete, of all branches."""
    return len({event.node for event in stage.of(m.Thumbnail)})


def live(stage):
    """Walks, turns in time for the block to be regenerated, goes back, takes another way, makes one step."""
    stage.say(m.Input(held=("KeyW",), input_seq=1))
    yield lambda: blocks(stage) >= 2
    stage.say(m.Input(held=("KeyA",), input_seq=2))
    yield lambda: blocks(stage) >= 5
    stage.say(m.Rewind(node=3))
    yield lambda: stage.of(m.RewindDone)
    stage.say(m.Input(held=("KeyS",), input_seq=3))
    stage.say(m.Pause(on=False))
    yield lambda: blocks(stage) >= 7
    stage.say(m.Pause(on=True))
    stage.say(m.Step())
    yield lambda: blocks(stage) >= 8


def scripted(stage):
    yield lambda: stage.of(m.Finished)


def play(stage, story, lives):
    """Plays a story; the worker dies after so many events (None: never). Whether it died."""
    stage.lives, died = lives, False
    for condition in story(stage):
        while not stage.until(condition):
            died = True
            stage.kill()
            if not stage.until(lambda: stage.of(m.Restored, m.Ready)):
                raise AssertionError("only one death")
    return died


def check(stage):
    """Every frame of every node is there once in its last making, and is what it has to be."""
    wanted, latest = stage.truth(), {}
    for event in stage.events:
        if isinstance(event, m.Block):
            latest[event.message.node] = {}
        elif isinstance(event, m.Frames):
            for offset, packet in enumerate(event.h264):
                index = event.first + offset
                assert index not in latest[event.node], "no frame comes twice"
                picture = hashlib.sha256(event.jpeg[offset]).hexdigest() if event.jpeg else None
                latest[event.node][index] = picture
                assert packet
    assert {(node, index) for node, frames in latest.items() for index in frames} == set(wanted)
    shown = {(node, index): p for node, frames in latest.items() for index, p in frames.items() if p}
    assert len(shown) > 0.8 * len(wanted)
    assert shown == {key: wanted[key] for key in shown}


@pytest.mark.parametrize(("story", "track"), [(live, None), (scripted, 45)])
def test_a_session_goes_on_after_any_event(tmp_path, story, track):
    track = track and ActionTrack.hold("universal", ["forward"], None, track)
    for attempt in range(10):  # a busy machine may be too late to regenerate a block
        whole = Stage(tmp_path / f"whole{attempt}", track, regenerate=True, rewind_megabytes=0)
        assert not play(whole, story, None)
        check(whole)
        whole.service.close()
        if track or any(event.message.splice for event in whole.of(m.Block)):
            break
    else:
        raise AssertionError("nothing was regenerated")
    count = len(whole.events)
    assert count > (15 if track else 50)

    def dies_after(lives):
        stage = Stage(tmp_path / str(lives), track, regenerate=True, rewind_megabytes=0)
        assert play(stage, story, lives) or lives > count - REGENERATED, lives
        check(stage)
        stage.service.close()
        recording = stage.service.recording_of(stage.session.token)
        lengths = sorted([recording.frames, *(branch.frames for branch in recording.branches)])
        assert lengths == sorted(stage.tree[end].frames for end in stage.tree.ends), "all branches are kept"
        assert len(list(read_frames(recording.mp4))) == recording.frames

    with ThreadPoolExecutor(8) as pool:  # they mostly wait until a block is due
        assert len(list(pool.map(dies_after, range(2, count)))) == count - 2
