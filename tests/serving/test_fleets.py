"""Slots come and go while sessions run; see also tests/faults/test_failing_devices.py."""

import threading
import time

import pytest
from PIL import Image

from devtools.live_player import until
from mgdemo import messages as m
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest, SessionService, Settings, devices
from mgdemo.serving.engines import EngineHealth, Slot
from mgdemo.serving.engines.fleets import Fixed, fleet_of
from mgdemo.serving.engines.process import ProcessEngine


class Engine:
    """Keeps its commands; runs from its first session on."""

    def __init__(self, slot, on_event, on_lost):
        self.slot, self.event, self.lost, self.commands, self.closed = slot, on_event, on_lost, [], False
        self.heartbeat = m.Heartbeat()

    def send(self, command):
        self.commands.append(command)

    def opened(self):
        return [command.session for command in self.commands if isinstance(command, m.Open)]

    def health(self):
        return EngineHealth(self.slot.device, bool(self.commands), heartbeat=self.heartbeat)

    def kill(self, reason):
        self.lost(reason)

    def close(self):
        self.closed = True


class Changing:
    """A fleet whose slots a test changes."""

    def __init__(self, *names):
        self.now, self.engines, self.closed = [Slot(name) for name in names], {}, False

    def slots(self):
        return self.now

    def engine(self, slot, on_event, on_lost):
        self.engines[slot.device] = Engine(slot, on_event, on_lost)
        return self.engines[slot.device]

    def close(self):
        self.closed = True


@pytest.fixture
def start(tmp_path):
    """start(fleet, **settings) -> SessionService; all of them are closed in the end."""
    services = []

    def start(fleet, **settings):
        services.append(SessionService(Settings(record_dir=tmp_path, **settings), fleet))
        return services[-1]

    yield start
    for service in services:
        service.close()


def opened(service, checkpoint="universal"):
    start = StartImage(None, Image.new("RGB", (64, 48)))
    return service.open(SessionRequest(checkpoint, start))


def test_an_engine_for_each_device_of_the_settings():
    settings = Settings(device="cpu, cpu,cuda:1")
    fleet = fleet_of(settings)
    engines = [fleet.engine(slot, print, print) for slot in fleet.slots()]
    assert [engine.device for engine in engines] == ["cpu", "cpu", "cuda:1"]
    assert isinstance(fleet, Fixed) and all(isinstance(engine, ProcessEngine) for engine in engines)


def test_closing_waits_for_all_workers_together(start, monkeypatch):
    monkeypatch.setattr(devices, "CLOSE_SECONDS", 1.0)
    fleet, over = Changing(*map(str, range(60))), threading.Event()
    monkeypatch.setattr(Engine, "close", lambda _: over.wait(120))  # it hangs
    service = start(fleet)
    assert service.devices == 60
    began = time.monotonic()
    service.close()
    assert time.monotonic() - began < 30 and fleet.closed
    over.set()


def test_a_slot_that_comes_is_used_and_warmed(start):
    fleet = Changing("a")
    service = start(fleet, sessions=4)
    service.warm("universal")
    first = opened(service)
    assert fleet.engines["a"].opened() == [first.token]
    fleet.now = [*fleet.now, Slot("b")]
    second = opened(service)
    assert fleet.engines["b"].commands[0] == m.Warm(checkpoint="universal")
    assert fleet.engines["b"].opened() == [second.token]
    assert [worker["device"] for worker in service.health()["workers"]] == ["a", "b"]


@pytest.mark.anyio
async def test_sessions_of_a_slot_that_goes_move_to_another_one(start):
    fleet = Changing("a", "b")
    service = start(fleet, sessions=2)
    session, other = opened(service), opened(service)
    lost = fleet.engines["a"]
    fleet.now = [Slot("b")]
    await until(lambda: session.token in fleet.engines["b"].opened())
    assert fleet.engines["b"].opened() == [other.token, session.token] and lost.closed
    assert [worker["engine"] for worker in service.health()["workers"]] == [1]
    lost.event(m.Thumbnail(session=other.token, node=1, picture=b""))  # what was on its way
    lost.lost("It died, too.")
    assert fleet.engines["b"].opened() == [other.token, session.token]
    assert 'device="a",engine="0"' in service.counts.text().decode()


@pytest.mark.anyio
async def test_the_last_slot_goes_and_another_one_comes(start):
    fleet = Changing("a")
    service = start(fleet)
    session = opened(service)
    fleet.now = []
    await until(lambda: service.unready == "failing" and session.status().text.startswith("The device"))
    assert service.health()["workers"] == []
    fleet.now = [Slot("a")]
    await until(lambda: fleet.engines["a"].opened() == [session.token])
    assert service.health()["workers"][0]["engine"] == 1 and service.unready == ""
    service.close()
    assert fleet.closed and fleet.engines["a"].closed


def test_a_session_goes_where_its_checkpoint_is_loaded_if_nobody_is_there(start):
    fleet = Changing("a", "b", "c")
    service = start(fleet, sessions=9)
    service.warm("templerun")
    for name, checkpoints in {"a": ("templerun",), "b": (), "c": ("gta_drive",)}.items():
        fleet.engines[name].heartbeat = m.Heartbeat(checkpoints=checkpoints)
    first, second, third = opened(service, "gta_drive"), opened(service, "gta_drive"), opened(service)
    assert fleet.engines["c"].opened() == [first.token]
    assert fleet.engines["b"].opened() == [second.token], "it need not drop another checkpoint"
    assert fleet.engines["a"].opened() == [third.token]


def test_places_follow_the_engines_where_each_takes_so_many(start):
    fleet = Changing("a")
    service = start(fleet, sessions=9, engine_sessions=2)
    sessions = [opened(service) for _ in range(3)]
    assert fleet.engines["a"].opened() == [each.token for each in sessions[:2]]
    assert sessions[2].status().position == 1 and service.metrics()["places"] == 2
    fleet.now = [*fleet.now, Slot("b")]
    sessions.append(opened(service))
    assert fleet.engines["b"].opened() == [each.token for each in sessions[2:]]
    assert service.metrics()["places"] == 4
