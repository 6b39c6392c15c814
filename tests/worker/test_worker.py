"""The worker, by its commands and events."""

import time

import pytest
from PIL import Image

from benchmarks import stub_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.errors import UserError
from mgdemo.paths import ROOT
from mgdemo.settings import Settings
from mgdemo.worker import worker as w
from mgdemo.worker.failures import sentence

IMAGE = Image.new("RGB", (60, 40))
TRACK = ActionTrack.hold("universal", [], None, 45)
models = {}  # by checkpoint, for workers of this process


def load(checkpoint, *, device, progress=None, optimization=""):
    return models[checkpoint]


def press(session, input_seq, *held):
    """The command that a visitor holds W, or what else is given."""
    return m.ToSession(session=session, message=m.Input(held=held or ("KeyW",), input_seq=input_seq))


class Bench:
    """A worker with a stub model, worked by hand; its events, and a log of what it asked of worlds."""

    def __init__(self, checkpoint="universal-0", pipelined=False, **settings):
        self.events, self.log = [], []
        self.before = lambda what: None  # called before something is noted in the log
        self.model = stub_world.load_small(checkpoint, device="cpu")
        self.model.pipelined, self.model.start = pipelined, self.start
        models[checkpoint] = self.model
        settings = Settings(loader=f"{__name__}:load", **settings)
        self.worker, self.checkpoint, self.worlds = w.Worker(settings, "cpu", self.emit), checkpoint, []

    def start(self, image, seed=0):
        world, name = stub_world.World(self.model), "ab"[len(self.worlds)]
        self.worlds.append(world)
        made = world.stream

        def taken(pieces):
            self.note(f"{name} wait")
            for piece in pieces:
                yield piece
                self.note(f"{name} piece")

        def stream(actions):
            self.note(f"{name} begin")
            return taken(made(actions))

        world.stream = stream
        return world

    def note(self, what):
        self.before(what)
        self.log.append(what)

    def emit(self, event):
        self.events.append(event)
        if isinstance(event, m.Thumbnail | m.Failed):
            self.log.append(f"{event.session} {type(event).__name__}")
        if isinstance(event, m.Thumbnail) and not self.model.pipelined:  # which would never pause for us
            ack = m.Ack(block=self.of(m.Block)[-1].message.block, buffer_ms=0)
            self.worker.hear(m.ToSession(session=event.session, message=ack))

    def open(self, name, attach=True, **order):
        order = {"checkpoint": self.checkpoint, "image": IMAGE, "seed": 0, "track": None} | order
        self.worker.hear(m.Open(session=name, **order))
        self.until(lambda: any(event.session == name for event in self.of(m.Ready, m.Failed)))
        if attach:
            self.worker.hear(m.Attach(session=name))

    def until(self, condition):
        """Works until something is so."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.worker.work(0.05)

    def of(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]

    def steps(self):
        """The log, without the pieces."""
        return [what for what in self.log if not what.endswith("piece")]


def two(**options):
    """Two live sessions, both due."""
    bench = Bench(**options)
    bench.open("a", attach=False)
    bench.open("b", attach=False)
    for name in "ab":
        bench.worker.hear(m.Attach(session=name))
    return bench


def packets(bench):
    return [packet for event in bench.of(m.Frames) for packet in event.h264]


def test_frames_leave_while_the_rest_of_their_block_is_made():
    bench, left = Bench(), []
    bench.before = lambda what: what.endswith("piece") and left.append(len(packets(bench)))
    bench.open("a", attach=True, track=TRACK)
    bench.until(lambda: bench.of(m.Thumbnail))
    assert left == [1, 9], "a piece has left when the next one is made"
    kinds = [type(event) for event in bench.events if not isinstance(event, m.Loading)]
    assert kinds == [m.Ready, m.Begun, m.Block, m.Frames, m.Frames, m.Frames, m.Thumbnail]
    assert len(packets(bench)) == 9
    assert [event.first for event in bench.of(m.Frames)] == [0, 1, 5], (
        "the first one does not wait for others"
    )
    bench.until(lambda: len(bench.of(m.Thumbnail)) == 2)
    first, block = (event.message for event in bench.of(m.Block))
    assert first.made_ms == 0 < block.made_ms, "what is not known yet is 0"
    assert block.timings.keys() == {"dit", "vae", "encode"}, "those of the block before"


def test_what_is_held_when_a_player_connects_counts_in_the_first_block():
    """It comes with the connection: a message of its own would be heard after the block began."""
    bench = Bench()
    bench.open("a", attach=False)
    bench.worker.hear(m.Attach(session="a", input=m.Input(held=("right",), input_seq=3)))
    bench.until(lambda: bench.of(m.Block))
    message = bench.of(m.Block)[0].message
    assert (message.held, message.input_seq) == (("right",), 3)


def test_a_scenario_ends_by_itself_and_gives_its_place_away():
    bench = Bench()
    bench.open("a", track=TRACK)
    bench.until(lambda: bench.of(m.Finished))
    assert [block.message.frames for block in bench.of(m.Block)] == [9, 12, 12, 12]
    assert bench.log.count("a begin") == 4
    bench.worker.work(0)
    assert bench.log.count("a begin") == 4


def test_the_next_block_due_begins_while_frames_of_the_last_one_are_on_their_way():
    bench = two(pipelined=True)
    bench.worker.work(0)
    assert bench.steps() == ["a begin", "b begin", "a wait", "a Thumbnail", "b wait", "b Thumbnail"]
    one_by_one = two()
    one_by_one.worker.work(0)
    assert one_by_one.steps() == ["a begin", "a wait", "a Thumbnail"], "or these frames would have to wait"
    one_by_one.worker.work(0)
    assert one_by_one.steps()[3:] == ["b begin", "b wait", "b Thumbnail"]
    alone = two(pipelined=True)
    alone.worker.hear(m.Close(session="b"))
    alone.worker.work(0)
    assert alone.steps() == ["a begin", "a wait", "a Thumbnail"], "its next block is not due"


def test_a_block_tells_the_input_that_it_obeys_and_others_are_heard_meanwhile():
    bench = two(pipelined=True)

    def before(what):
        if what == "a begin":
            for name in "ab":
                bench.worker.hear(press(name, 7))

    bench.before = before
    bench.worker.work(0)
    a, b = bench.of(m.Block)
    assert [(block.session, block.message.input_seq) for block in (a, b)] == [("a", 0), ("b", 7)]
    assert not a.actions.keyboard.any() and b.actions.keyboard[:, 0].all()
    assert (a.message.held, b.message.held) == ((), ("forward",))


@pytest.mark.parametrize(
    "command", [m.Close(session="a"), m.ToSession(session="a", message=m.Rewind(node=0)), None]
)
def test_what_would_disturb_a_block_in_the_making_waits_until_it_is_sent(command):
    bench = two(pipelined=True)
    bench.before = lambda what: what == "a begin" and bench.worker.hear(command)
    bench.worker.hear(press("b", 7))
    bench.worker.work(0)
    assert bench.steps() == ["a begin", "a wait", "a Thumbnail"], "and nothing else begins before it"
    assert not bench.of(m.RewindDone)
    bench.before = lambda what: None
    going_on = bench.worker.work(0)
    assert going_on == (command is not None)
    assert bool(bench.of(m.RewindDone)) == isinstance(command, m.ToSession)
    assert "a begin" not in bench.log[3:]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("a wait", ["a begin", "b begin", "a Failed", "b wait", "b Thumbnail"]),
        ("b begin", ["a begin", "b Failed", "a wait", "a Thumbnail"]),
    ],
)
def test_a_session_that_fails_in_the_making_leaves_the_other_alone(where, expected):
    bench = two(pipelined=True)

    def fail(what):
        if what == where:
            raise RuntimeError("out of luck")

    bench.before = fail
    bench.worker.work(0)
    assert bench.steps() == expected
    survivor = "b" if where[0] == "a" else "a"
    bench.until(lambda: bench.log.count(f"{survivor} Thumbnail") == 2)


def test_a_block_costs_the_time_after_the_one_before_it(monkeypatch):
    bench, now = two(pipelined=True), time.monotonic()

    def wait(what):
        nonlocal now
        now += 0.1 if what.endswith("wait") else 0.0

    bench.before = wait
    monkeypatch.setattr(w.time, "monotonic", lambda: now)
    for _ in range(2):
        now += 10
        bench.worker.work(0)
    costs = [block.message.made_ms for block in bench.of(m.Block)]
    assert costs == [0, 0, 100, 100], "not 200 for the one that began with the other and came second"


def test_rewinding_reaches_the_same_picture_by_making_blocks_again():
    bench = Bench()
    bench.open("a")
    for number in range(4):
        bench.worker.hear(press("a", number))
        bench.until(lambda number=number: len(bench.of(m.Thumbnail)) == number + 1)
    bench.worker.hear(m.ToSession(session="a", message=m.Rewind(node=2)))
    bench.until(lambda: bench.of(m.RewindDone))
    (done,) = bench.of(m.RewindDone)
    rewound = done.message
    assert (rewound.node, rewound.block, rewound.frames) == (2, 1, 21)
    assert bench.worlds[0].block == 2
    bench.worker.work(0)
    assert bench.steps()[-1] == "a Thumbnail" and len(bench.of(m.Block)) == 4, "it is paused"
    bench.worker.hear(m.ToSession(session="a", message=m.Step()))
    bench.until(lambda: len(bench.of(m.Thumbnail)) == 5)
    last = bench.of(m.Block)[-1].message
    assert (last.node, last.parent, last.block, last.first_frame) == (5, 2, 2, 21)


def test_a_session_that_was_resumed_on_its_way_back_arrives_paused():
    bench = Bench(regenerate=False, rewind_megabytes=0)  # all blocks on the way are made again
    bench.open("a")
    for number in range(4):
        bench.worker.hear(press("a", number))
        bench.until(lambda number=number: len(bench.of(m.Thumbnail)) == number + 1)
    bench.worker.hear(m.ToSession(session="a", message=m.Rewind(node=2)))
    bench.worker.hear(m.ToSession(session="a", message=m.Pause(on=False)))
    bench.until(lambda: bench.of(m.RewindDone))
    bench.worker.hear(press("a", 5))
    for _ in range(3):
        bench.worker.work(0.1)
    assert len(bench.of(m.Block)) == 4, "the player is told that it is paused"


def test_a_picture_that_stands_costs_no_device_time_until_a_key_is_pressed_and_is_rewound():
    bench = Bench(regenerate=False)
    bench.open("a")
    bench.until(lambda: bench.of(m.Standing))
    assert [event.session for event in bench.of(m.Standing)] == ["a"]
    for _ in range(3):
        bench.worker.hear(press("a", 1, "F5"))
        bench.worker.work(0.1)
    assert bench.log.count("a begin") == bench.worlds[0].block == 2, "the world is asked for nothing"
    assert bench.worker.heartbeat().stuck_seconds == 0
    bench.worker.work(1)  # by now its player has nothing left to show
    bench.worker.hear(press("a", 2))
    bench.until(lambda: len(bench.of(m.Thumbnail)) == 3)
    assert bench.of(m.Block)[-1].message.held == ("forward",) and bench.of(m.Block)[-1].late_ms == 0
    bench.worker.hear(m.ToSession(session="a", message=m.Input(held=(), input_seq=3)))
    bench.until(lambda: len(bench.of(m.Standing)) == 2)
    bench.worker.hear(m.ToSession(session="a", message=m.Rewind(node=1)))
    bench.until(lambda: bench.of(m.RewindDone))
    bench.worker.hear(m.ToSession(session="a", message=m.Pause(on=False)))
    bench.until(lambda: len(bench.of(m.Standing)) == 3)
    assert [block.message.parent for block in bench.of(m.Block)] == [0, 1, 2, 3, 4, 1], (
        "one more, then it stands"
    )


def test_a_step_makes_one_block_of_a_picture_that_stands_and_tells_again():
    bench = Bench()
    bench.open("a")
    bench.until(lambda: bench.of(m.Standing))
    bench.worker.hear(m.ToSession(session="a", message=m.Step()))
    bench.until(lambda: len(bench.of(m.Standing)) == 2)
    assert bench.log.count("a begin") == 3


def test_a_player_that_comes_back_to_a_picture_that_stands_gets_it_paused():
    bench = Bench()
    bench.open("a")
    bench.until(lambda: bench.of(m.Standing))
    bench.worker.hear(m.Attach(session="a"))
    bench.worker.work(0)
    (done,) = bench.of(m.RewindDone)
    assert (done.message.node, done.message.block, done.message.frames) == (2, 1, 21)
    assert bench.log.count("a begin") == 2


def test_a_player_that_comes_back_and_plays_on_at_once_is_told_again_that_the_picture_stands():
    bench = Bench()
    bench.open("a")
    bench.until(lambda: bench.of(m.Standing))
    bench.worker.hear(m.Attach(session="a"))
    bench.worker.hear(m.ToSession(session="a", message=m.Pause(on=False)))
    bench.until(lambda: len(bench.of(m.Standing)) == 2)
    assert bench.log.count("a begin") == 2


PLACE = Image.open(ROOT / "worlds" / "universal" / "start" / "meadow-1.png").convert("RGB")


def test_a_picture_that_collapses_is_told_with_the_node_to_rewind_to():
    bench = Bench("universal-0-black", regenerate=False, stand_seconds=0)
    bench.open("a", image=PLACE)
    bench.until(lambda: len(bench.of(m.Block)) == 7)
    told = [(event.message.warning, event.message.rewind_to) for event in bench.of(m.Block)]
    assert told == [(None, None)] * 5 + [("collapsed", 3)] * 2, "blocks 3 and 4 are black; 5 and 6 say so"
    bench.worker.hear(m.ToSession(session="a", message=m.Rewind(node=3)))
    bench.until(lambda: bench.of(m.RewindDone))
    bench.worker.hear(m.ToSession(session="a", message=m.Step()))
    bench.until(lambda: len(bench.of(m.Block)) == 8)
    assert bench.of(m.Block)[-1].message.warning is None


@pytest.mark.parametrize("track", [None, TRACK])
def test_a_model_that_makes_no_picture_ends_its_session_at_once(track):
    bench = Bench("universal-0-blank")
    bench.open("a", image=PLACE, track=track)
    bench.until(lambda: bench.of(m.Failed))
    assert "`mgdemo check --deep`" in bench.of(m.Failed)[0].text
    assert len(bench.of(m.Block)) == 1


def test_a_scenario_of_another_mode_and_a_checkpoint_that_cannot_be_loaded_fail_with_a_sentence():
    bench = Bench()
    bench.open("a", track=ActionTrack.hold("templerun", [], None, 9))
    bench.open("b", checkpoint="nowhere")
    wrong, missing = (event.text for event in bench.of(m.Failed))
    assert wrong.startswith("This scenario is for Temple Run, but universal-0 plays Universal: choose a ")
    assert missing.startswith("The model failed (KeyError: 'nowhere').")


def test_errors_become_sentences():
    class OutOfMemoryError(RuntimeError):
        pass

    assert "low-vram" in sentence(OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert "memory" in sentence(MemoryError())
    assert sentence(UserError("Choose another.")) == "Choose another."
    assert "KeyError: 'x'" in sentence(KeyError("x"))
    assert "no reason given" in sentence(ValueError())
