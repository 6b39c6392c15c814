"""Workers on the nodes of a Ray cluster on this machine: nodes die and come while sessions run."""

import subprocess
import sys

import pytest

from devtools.live_player import Player, end_of, until
from devtools.ray_nodes import processes, ray_nodes
from mgdemo.compare.device import device_of
from mgdemo.errors import UserError
from mgdemo.serving.engines.fleets import fleet_of
from mgdemo.serving.engines.ray_shares import shares
from mgdemo.settings import Settings
from mgdemo.video.mp4 import read_frames
from tests.faults.conftest import seen, servers
from tests.faults.test_lost_workers import truth
from tests.support.asked import caller, troubled


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes() as nodes:
        yield nodes


@pytest.fixture
def serve(tmp_path, nodes):
    """serve(**settings) -> Server over the cluster, which has two nodes at least."""
    nodes.have(2)
    with servers(tmp_path, "benchmarks.remembering_world:load", engine="ray", sessions=4) as start:
        yield start


def node_of(server, session):
    """The id of the node on which a session is played."""
    devices = server.service._devices
    number = next(n for n, member in devices._members.items() if member.engine is session.course.engine)
    return devices._members[number].slot.key


@pytest.mark.anyio
async def test_the_sessions_of_a_node_that_dies_go_on_and_a_node_that_comes_is_used(serve, nodes):
    server = serve()
    one, two = server.open(), server.open()
    async with Player(server, one.token, ("jpeg",)) as player, Player(server, two.token, ("jpeg",)) as other:
        await player.press("KeyW")
        await player.block(3)
        await other.block(3)
        lost, left = node_of(server, one), node_of(server, two)
        assert {lost, left} == nodes.ids
        workers = server.service.health()["workers"]
        assert [worker["device"] for worker in workers] == ["127.0.0.1 CPU 0"] * 2
        await until(lambda: all(w["memory_bytes"] for w in server.service.health()["workers"]))
        nodes.kill(lost)
        await until(lambda: server.service.metrics()["moves_total"] == 1)
        assert node_of(server, one) == left and len(server.service.health()["workers"]) == 1
        await player.press("KeyA")
        for each in (player, other):
            await each.block(each.of("block")[-1]["block"] + 3)

        come = nodes.add()
        await until(lambda: len(server.service.health()["workers"]) == 2)
        three = server.open()
        async with Player(server, three.token, ("jpeg",)) as third:
            await third.block(3)
            assert node_of(server, three) == come

        tree, start = one.phase.tree, one.request.start.picture
        await one.stop()
    pictures, wanted = seen(player), truth(tree, start)
    assert all(len(hashes) == 1 for hashes in pictures.values()), "nothing is shown twice"
    assert {frame for _, frame in pictures} == set(range(max(frame for _, frame in pictures) + 1))
    assert {key: hashes[0] for key, hashes in pictures.items()} == {key: wanted[key] for key in pictures}
    recording = (await end_of(one)).recording
    assert len(list(read_frames(recording.mp4))) == recording.frames


def test_what_is_asked_of_a_device_is_asked_on_its_host(serve):
    service = serve(device="cpu").service
    device, command = service.ask(caller, 60)
    assert device == "cpu" and command.startswith("ray::")
    assert device_of(service.ask).kind.startswith("cpu ")
    with pytest.raises(UserError, match=r"^cpu is no good: use another\.$"):
        service.ask(troubled, 60)


@pytest.mark.anyio
async def test_a_worker_that_dies_is_renewed_and_none_is_left_in_the_end(serve):
    before = set(processes("ray::WorkerActor"))
    server = serve(loader="benchmarks.stub_world:load_small")
    doomed = server.open("universal-crash")
    async with Player(server, doomed.token):
        ended = await end_of(doomed)
    assert (ended.outcome, ended.recording.frames) == ("error", 33)
    assert ended.text.startswith("The engine stopped unexpectedly (its process ended).")
    assert server.service.metrics()["crashes_total"] == 2, "it was tried once more"
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(3)
        assert set(processes("ray::WorkerActor")) - before
    server.close()
    await until(lambda: not set(processes("ray::WorkerActor")) - before)


def node(alive=True, **resources):
    place = {"NodeID": "n", "NodeManagerAddress": "10.0.0.7", "NodeManagerPort": 1}
    return {"Alive": alive, "Resources": resources} | place


@pytest.mark.parametrize(
    ("settings", "resources", "expected"),
    [
        ({}, {"CPU": 8.0}, [("CPU 0", 0, 8, "auto")]),
        ({"threads": 3}, {"CPU": 8.0}, [("CPU 0", 0, 3, "auto"), ("CPU 1", 0, 3, "auto")]),
        ({}, {"CPU": 9.0, "GPU": 2.0}, [("GPU 0", 1, 4, "cuda"), ("GPU 1", 1, 4, "cuda")]),
        ({"device": "cpu"}, {"CPU": 8.0, "GPU": 2.0}, [("CPU 0", 0, 8, "cpu")]),
        ({"device": "cuda"}, {"CPU": 8.0}, []),
        ({}, {"memory": 10.0**9}, []),
        ({"threads": 16}, {"CPU": 8.0}, []),
    ],
)
def test_what_an_engine_gets_of_a_node(settings, resources, expected):
    found = shares([node(**resources), node(alive=False, **resources)], Settings(**settings))
    assert [(s.device, s.gpus, s.cpus, s.wanted) for s in found] == [
        (f"10.0.0.7 {name}", *rest) for name, *rest in expected
    ]


def test_a_list_of_devices_is_for_another_engine():
    with pytest.raises(UserError, match=r"MGDEMO_DEVICE is 'cuda:0,cuda:1', but .* give auto, cpu or cuda"):
        fleet_of(Settings(engine="ray", device="cuda:0,cuda:1"))


def test_without_the_package_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="needs the package ray: pip install"):
        fleet_of(Settings(engine="ray"))


def test_a_port_for_clients_is_none_for_nodes(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.7:10001")
    with pytest.raises(UserError, match="make this host a node of the cluster"):
        fleet_of(Settings(engine="ray"))


def test_without_a_cluster_a_sentence_says_how_to_start_one(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=r"There is no Ray cluster at 127.0.0.1:1 .*`ray start --head`"):
        fleet_of(Settings(engine="ray"))


def test_ray_is_imported_only_where_it_is_wanted():
    code = (
        "import sys, mgdemo.serving; from mgdemo.serving.engines.fleets import fleet_of\n"
        "fleet_of(mgdemo.serving.Settings()); sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
