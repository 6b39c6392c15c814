"""A session between its player and its engine, whose events are given by hand."""

import json
import time

import numpy as np
import pytest
from PIL import Image

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.serving.engines import EngineHealth
from mgdemo.serving.engines.fleets import Fixed
from mgdemo.serving.outbox import Outbox
from mgdemo.settings import Settings
from mgdemo.video.encode import H264Encoder

IDLE = ActionTrack.hold("universal", (), None, 12)

START_IMAGE = StartImage(None, Image.new("RGB", (64, 48)))


class Engine:
    """Keeps what it is told."""

    def __init__(self, settings, device, on_event, on_lost):
        self.device, self.event, self.lost, self.commands = device, on_event, on_lost, []

    def send(self, command):
        self.commands.append(command)

    def told(self, session):
        return [c.message for c in self.commands if isinstance(c, m.ToSession) and c.session == session.token]

    def health(self):
        return EngineHealth(self.device, True)

    def kill(self, reason):
        self.lost(reason)

    def close(self):
        pass


class Stage:
    """A service over such an engine, with one session and its player."""

    def __init__(self, folder, attach=True, **settings):
        self.engines = []
        settings = {"record_dir": folder, "idle_seconds": 60} | settings
        given = Settings(**settings)
        self.service = SessionService(given, Fixed(given, self.engine))
        self.session = self.open()
        self.outbox = Outbox()
        if attach:
            self.session.attach(self.outbox, "h264")

    def engine(self, *args):
        self.engines.append(Engine(*args))
        return self.engines[-1]

    def open(self, **request):
        return self.service.open(SessionRequest("universal", START_IMAGE, **request))

    def event(self, kind, **fields):
        self.engines[0].event(kind(session=self.session.token, **fields))

    def ready(self):
        self.event(m.Ready, mode="universal", width=64, height=48, fps=25)

    def block(self, node, **fields):
        message = m.BlockMessage(
            node=node, parent=node - 1, block=node - 1, first_frame=12 * node, frames=12, **fields
        )
        self.event(m.Block, message=message, actions=IDLE)

    def say(self, message):
        self.session.receive(self.outbox, message)

    @property
    def shown(self):
        """The messages that the player was sent."""
        return [json.loads(item) for item in self.outbox._items if isinstance(item, str)]

    def phase(self):
        return self.session.status().phase


def until_ended(it):
    deadline = time.monotonic() + 20
    while it.phase() not in ("ended", "error"):
        assert time.monotonic() < deadline, it.session.status()
        time.sleep(0.01)


@pytest.fixture
def stage(tmp_path):
    stages = []

    def build(**settings):
        stages.append(Stage(tmp_path, **settings))
        return stages[-1]

    yield build
    for each in stages:
        each.service.close()


def test_loading_is_told_until_the_world_is_ready(stage):
    it = stage()
    assert it.phase() == "loading"
    it.engines[0].event(m.Loading(checkpoint="universal", progress=0.25, text="Reading"))
    assert (it.session.status().text, it.session.status().progress) == ("Reading", 0.25)
    it.engines[0].event(m.Loading(checkpoint="another", progress=0.75, text="Writing"))
    assert it.session.status().text == "Reading"
    it.ready()
    assert it.phase() == "playing"
    assert [message["type"] for message in it.shown] == ["welcome"]
    assert it.shown[0]["reconnect_seconds"] == 30


def test_a_world_that_loads_makes_room_for_others_after_a_warning(stage):
    it = stage(session_seconds=20)
    it.engines[0].event(m.Loading(checkpoint="universal", progress=0.25, text="Reading"))
    it.session.tick(time.monotonic() + 3600)
    assert it.session.status().text == "Reading"
    it.open(watched=True)
    assert it.session.status().text.startswith("Reading. Others are waiting: this session ends in ")
    it.session.tick(time.monotonic() + 20)
    assert it.phase() == "loading", "half a minute is left to everybody"
    it.session.tick(time.monotonic() + 31)
    assert it.phase() == "ended" and "your world has not loaded yet" in it.session.status().text


def test_a_world_that_never_comes_is_given_up(stage):
    it = stage()
    it.session.tick(time.monotonic() + 4000)
    assert (it.phase(), it.session.status().text) == (
        "error",
        "Your world did not load in time. Press Start to try again; the server's log may say why.",
    )


def test_what_was_held_before_the_world_was_ready_is_told_then(stage):
    it = stage()
    it.say(m.Input(held=("KeyW",), input_seq=1))
    it.say(m.Input(held=("KeyS",), input_seq=2))
    assert it.engines[0].told(it.session) == []
    it.ready()
    (attach,) = (each for each in it.engines[0].commands if isinstance(each, m.Attach))
    assert attach.input == m.Input(held=("KeyS",), input_seq=2)


def test_the_idle_clock_starts_with_the_world(stage):
    it = stage()
    it.session.tick(time.monotonic() + 3600)
    assert it.phase() == "loading"
    it.ready()
    it.session.tick(time.monotonic() + 59)
    assert it.phase() == "playing"
    it.session.tick(time.monotonic() + 61)
    until_ended(it)
    assert "Nothing was pressed for 60 seconds" in it.session.status().text


def test_a_held_key_keeps_a_session_alive_and_a_lost_one_does_not(stage):
    it = stage()
    it.ready()
    it.say(m.Input(held=("KeyW",)))
    it.session.tick(time.monotonic() + 3600)
    assert it.phase() == "playing"
    it.session.detach(it.outbox)
    it.session.tick(time.monotonic() + 29)
    assert it.phase() == "buffering"
    it.session.tick(time.monotonic() + 31)
    assert it.phase() in ("saving", "ended")


def test_a_session_that_stands_says_so_until_its_next_block(stage):
    it = stage()
    it.ready()
    it.block(1)
    it.say(m.Step())
    assert it.engines[0].told(it.session) == [], "it plays: there is nothing to step"
    it.event(m.Standing)
    assert it.phase() == "standing"
    it.say(m.Step())
    assert it.engines[0].told(it.session) == [m.Step()]
    it.block(2)
    assert it.phase() == "playing"
    it.event(m.Standing)
    it.say(m.Pause(on=True))
    assert it.phase() == "paused"


def test_a_collapsed_picture_is_told_with_the_node_to_rewind_to(stage):
    it = stage()
    it.ready()
    it.block(1)
    assert it.session.status().warning is None
    it.block(2, warning="collapsed", rewind_to=1)
    assert (it.session.status().warning, it.session.status().rewind_to) == ("collapsed", 1)
    assert it.shown[-1]["warning"] == "collapsed"
    it.say(m.Rewind(node=1))
    assert it.phase() == "rewinding"
    it.event(m.Rewinding, progress=0.5)
    assert it.session.status().progress == 0.5
    it.event(m.RewindDone, message=m.Rewound(node=1, block=0, frames=12), picture=b"jpeg")
    assert (it.phase(), it.session.status().warning) == ("paused", None)


def test_a_rewind_that_takes_long_is_no_lost_connection_and_is_done_once(stage):
    it = stage()
    it.ready()
    it.block(1)
    it.block(2)
    it.say(m.Rewind(node=1))
    it.block(3)  # it was in the making; the player drops it
    it.session.tick(time.monotonic() + 30)
    assert it.outbox.closed is None
    it.say(m.Rewind(node=1))  # from a page that has connected again, say
    done = {"message": m.Rewound(node=1, block=0, frames=12), "picture": b"jpeg"}
    it.event(m.RewindDone, **done)
    assert it.phase() == "paused" and it.engines[0].told(it.session) == [m.Rewind(node=1)]
    for node in (2, 1):
        it.say(m.Rewind(node=node))
    it.event(m.RewindDone, **done | {"message": m.Rewound(node=2, block=1, frames=24)})
    assert it.engines[0].told(it.session)[1:] == [m.Rewind(node=2), m.Rewind(node=1)]


def test_nodes_that_do_not_exist_are_not_rewound_to(stage):
    it = stage()
    it.ready()
    it.block(1)
    it.say(m.Rewind(node=2))
    assert it.phase() == "playing" and it.engines[0].told(it.session) == []


def test_a_player_that_is_behind_is_waited_for(stage):
    it = stage()
    it.ready()
    for node in range(1, 5):
        it.block(node)
    assert it.phase() == "buffering" and "slow" in it.session.status().text
    it.say(m.Ack(block=0, buffer_ms=100))
    assert it.phase() == "playing"
    assert it.engines[0].told(it.session) == [m.Ack(block=0, buffer_ms=100)]
    it.session.tick(time.monotonic() + 9)
    assert it.outbox.closed is None
    it.session.tick(time.monotonic() + 11)
    assert it.outbox.closed[0] == m.CONNECTION_LOST and it.phase() == "buffering"


def test_who_stops_in_the_middle_of_a_block_is_not_asked_for_the_rest_of_it(stage):
    it = stage()
    it.ready()
    it.block(1)
    it.say(m.Stop())
    it.session.tick(time.monotonic() + 3600)  # so long do its films take
    assert it.outbox.closed is None


def test_a_track_is_not_steered_and_needs_no_player(stage):
    it = stage(sessions=2, attach=False)
    session = it.open(track=ActionTrack.hold("universal", ["forward"], None, 9))
    it.engines[0].event(m.Ready(session=session.token, mode="universal", width=64, height=48, fps=25))
    outbox = Outbox()
    session.tick(time.monotonic() + 3600)
    session.attach(outbox, "h264")
    for message in (m.Input(held=("KeyW",)), m.Pause(on=True), m.Step(), m.Rewind(node=0)):
        session.receive(outbox, message)
    session.receive(outbox, m.KeyFrame())
    assert it.engines[0].told(session) == [m.KeyFrame()]
    assert session.status().phase == "playing"


def test_only_hello_begins_a_connection(stage):
    it = stage()
    with pytest.raises(m.BadMessage, match="hello comes first"):
        it.say(m.Hello(version=m.VERSION, codecs=("h264",)))


def test_a_session_whose_engine_fails_before_anything_is_shown_begins_on_others(stage):
    it = stage(sessions=2, device="cpu,cpu")
    other = it.open()

    def opened():
        return [[c.session for c in e.commands if isinstance(c, m.Open)] for e in it.engines]

    first, second = it.session.token, other.token
    assert opened() == [[first], [second]]
    it.engines[1].lost("The engine stopped unexpectedly (fire).")
    assert opened() == [[first, second], [second]]
    it.engines[0].lost("The engine stopped unexpectedly (water).")
    assert opened() == [[first, second], [second, first, second]], "all of them move"
    it.engines[1].lost("The engine stopped unexpectedly (fire).")
    assert it.service.ended(second).text == "The engine stopped unexpectedly (fire)."
    assert it.phase() == "loading"


def test_a_session_that_moves_waits_for_a_slow_load_and_not_for_one_that_fails_again(stage, monkeypatch):
    it, clock = stage(), time.monotonic

    def pass_seconds(seconds):
        ahead = time.monotonic() + seconds - clock()
        monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead)
        it.session.tick(time.monotonic())

    def loads(progress, checkpoint="universal"):
        it.engines[0].event(m.Loading(checkpoint=checkpoint, progress=progress, text="Reading"))

    it.ready()
    it.block(1)
    it.engines[0].lost("The engine stopped unexpectedly (fire).")
    for progress in (0.0, 0.25, 0.5):
        pass_seconds(100)
        loads(progress)
    pass_seconds(100)
    assert it.phase() == "buffering"
    it.engines[0].lost("The engine stopped unexpectedly (fire).")
    loads(0.25)
    loads(0.75, "another")
    pass_seconds(100)
    until_ended(it)
    assert it.session.status().text.startswith("The device could not be restarted in time.")


def test_events_that_crossed_the_end_change_nothing(stage):
    it = stage()
    it.ready()
    it.session.end("ended", "Stopped.")
    it.session.end("error", "Too late.")
    it.block(1)
    it.event(m.Failed, text="Too late.")
    until_ended(it)
    assert it.session.status().text == "Stopped."
    assert m.Close(session=it.session.token) in it.engines[0].commands


def test_what_goes_wrong_in_a_session_ends_it_and_no_other(stage, monkeypatch):
    it = stage(sessions=2)
    other = it.open()
    it.ready()

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(it.session.phase, "handle", fail)
    it.block(1)
    assert it.phase() in ("saving", "error")
    assert other.status().phase == "loading"


def test_the_limit_counts_what_was_played_not_what_was_regenerated(stage):
    it = stage(record_seconds=1)
    it.ready()
    for splice in (None, *[16] * 9):
        it.block(1, splice=splice)
    it.block(2)
    it.session.tick(time.monotonic())
    assert it.phase() == "playing", "24 frames of 25"
    assert it.service.metrics()["regenerated_blocks_total"] == 9
    it.block(3)
    it.session.tick(time.monotonic())
    assert it.phase() == "playing", "its frames are still on their way"
    it.event(m.Thumbnail, node=3, picture=b"")
    it.session.tick(time.monotonic())
    until_ended(it)
    assert "has reached its limit of 1 second" in it.session.status().text


def test_trouble_with_the_recording_is_said_while_it_plays(stage, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    it = stage(record_dir=tmp_path / "file" / "sessions")
    it.ready()
    it.block(1)
    it.event(m.Frames, node=1, block=0, first=0, h264=(b"\0\0\0\1\x65",))
    deadline = time.monotonic() + 20
    while not it.session.status().text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert it.session.status().text.startswith("The recording stops at frame 0: the server's disk is full")


def test_frames_are_packets_with_their_numbers(stage):
    it = stage()
    it.ready()
    it.block(1)
    frame = np.zeros((48, 64, 3), np.uint8)
    h264 = H264Encoder(64, 48, 25).encode(frame, key=True)
    it.event(m.Frames, node=1, block=0, first=0, h264=(h264,))
    packet = it.outbox._items[-1]
    assert m.PACKET_HEADER.unpack(packet[:16]) == (1, 1, 0, 0, 0, 1) and packet[16:] == h264
    assert it.session.status().frames == 1
