"""What the Compare tab asks the server for, and what nobody gets: through the app's own routes."""

import asyncio
import contextlib
import csv
import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mgdemo.compare.device import Device
from mgdemo.compare.exports import ExportError, ExportsBusy
from mgdemo.compare.grids import Grids
from mgdemo.compare.votes import as_csv
from mgdemo.serving import SessionService, Settings
from mgdemo.ui.api.comparing import compared
from mgdemo.ui.compare.bench import Bench
from mgdemo.ui.compare.choice import Choice
from mgdemo.ui.compare.live import BUSY, UNKNOWN
from mgdemo.ui.compare.routes import CROWDED, FOLLOWERS, ROOT, routes
from mgdemo.ui.compare.standing import standing_of
from mgdemo.video.mp4 import metadata, read_frames

CHOICE = Choice(("templerun/one",), checkpoints=("universal", "templerun"))
PATIENCE = 60
ANSWERS = {"obeys": "left", "looks": "both bad"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory, stub_library):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mgdemo.ui.compare.bench.device_of", lambda wanted: Device("cpu stub"))
        folder = tmp_path_factory.mktemp("sessions")
        loader = "benchmarks.stub_world:load_small"
        service = SessionService(Settings(loader=loader, threads=1, record_dir=folder))
        bench = Bench(service, stub_library)
        yield bench
        bench.close()
        service.close()


@pytest.fixture(scope="module")
def client(bench):
    with TestClient(Starlette(routes=routes(bench))) as client:
        yield client


@pytest.fixture(scope="module")
def job(bench):
    job, _ = bench.start(bench.plan(CHOICE))
    assert job.wait(PATIENCE)
    return job


def heard(socket, *kinds):
    """The next message of one of these types. Fails if it does not come."""

    def wait():
        while (message := socket.receive_json())["type"] not in kinds:
            pass
        return message

    apart = ThreadPoolExecutor(1)  # nothing else could end a wait for a message that never comes
    try:
        return apart.submit(wait).result(PATIENCE)
    finally:
        apart.shutdown(wait=False)


def films(client, job):
    return [f"/{ROOT}/{job.id}/films/{run.key}.mp4" for run in job.grid.all]


def test_films_are_served_in_parts_and_kept_by_the_browser(client, job, tmp_path):
    address = films(client, job)[0]
    whole = client.get(address)
    assert whole.status_code == 200 and whole.headers["content-type"] == "video/mp4"
    assert "immutable" in whole.headers["cache-control"] and "private" in whole.headers["cache-control"]
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    (tmp_path / "film.mp4").write_bytes(whole.content)
    assert sum(1 for _ in read_frames(tmp_path / "film.mp4")) == 21


def test_a_film_is_found_only_through_its_grid(client, job, bench):
    key, other = (run.key for run in job.grid.all)
    for address in (
        f"{'0' * 24}/films/{key}.mp4",
        f"{job.id}/films/{'0' * 24}.mp4",
        f"{job.id}/films/../{key}.mp4",
        f"{job.id}/films/..%2F..%2Fruns%2F{key}%2Fvideo.mp4",
        f"{job.id}/films/{key}.mp4%00.mp4",
        f"..%2F{job.id}/films/{key}.mp4",
        f"{key}/films/{key}.mp4",
        f"{job.id}/files/..%2F..%2Fvotes.sqlite3",
        f"{job.id}/files/run.json",
    ):
        assert client.get(f"/{ROOT}/{address}").status_code in (404, 409), address
    assert key != other and client.get(f"/{ROOT}/{'0' * 24}/ballot").status_code == 404


def test_what_a_visitor_has_made_is_his(client, bench):
    visitors = ("10.1.1.1", "10.2.2.2")
    for account in visitors:  # the second one's run is there already
        choice = Choice(("universal/one",), checkpoints=("universal",), seeds="77")
        job, _ = bench.start(bench.plan(choice), account=account)
        assert job.wait(PATIENCE)
    assert client.get(f"/{ROOT}/{job.id}/files/report.csv").status_code == 200
    names = {job.id, *(run.key for run in job.grid.all)}
    found = [item for item in bench.kept.items(()) if any(name in item.path.name for name in names)]
    assert len(found) == 3 and {item.owner for item in found} == {bench.service.owners.name(visitors[0])}


def test_a_page_hears_of_a_grid_to_its_end(client, bench):
    job, _ = bench.start(
        bench.plan(Choice(("universal/one",), checkpoints=("universal",), column_seeds="0..1"))
    )
    kinds, views = [], []
    with client.websocket_connect(f"/{ROOT}/{job.id}/live") as socket:
        while (message := socket.receive_json())["type"] != "done":
            kinds.append(message["type"])
            if message["type"] == "grid":
                views.append(message["view"])
    assert kinds[0] == "grid" and "progress" in kinds
    totals = message["totals"]
    assert (totals["runs"], totals["finished"], totals["share"], totals["seconds_left"]) == (2, 2, 1.0, None)
    done = [cell["video"] for cell in views[-1]["rows"][0]["cells"]]
    assert [client.get(f"/{address}").status_code for address in done] == [200, 200]
    assert (
        views[-1]["rows"][0]["cells"][0]["scores"] and views[0]["rows"][0]["cells"][0]["phase"] != "finished"
    )


def test_only_the_page_that_asked_may_cancel_and_only_when_no_other_wants_it(client, bench):
    choice = Choice(("universal/one",), checkpoints=("universal-slow",), seeds="0..3")
    job, mine = bench.start(bench.plan(choice))
    same, others = bench.start(bench.plan(choice))
    assert same is job and mine != others
    with client.websocket_connect(f"/{ROOT}/{job.id}/live?blind") as socket:

        def cancel(token):
            socket.send_json({"type": "cancel", "token": token})

        for wrong in ("", "guessed", None):
            cancel(wrong)
        socket.send_text("no JSON")
        cancel(mine)
        message = heard(socket, "note")
        assert "others" in message["text"].lower() and not job.done
        cancel(others)
        message = heard(socket, "done")
    assert job.wait(PATIENCE) and message["totals"]["cancelled"] >= 3


def test_a_page_that_has_left_keeps_nobody_from_canceling(client, bench):
    choice = Choice(("universal/one",), checkpoints=("universal-slow",), seeds="4..7")
    job, left = bench.start(bench.plan(choice))
    with client.websocket_connect(f"/{ROOT}/{job.id}/live?blind") as socket:
        socket.send_json({"type": "follow", "token": left})
        socket.send_json({"type": "cancel", "token": "guessed"})
        heard(socket, "note")  # so the other one is heard, too
    _, mine = bench.start(bench.plan(choice))
    with client.websocket_connect(f"/{ROOT}/{job.id}/live?blind") as socket:
        assert not job.done, "it goes on while nobody follows it"
        socket.send_json({"type": "cancel", "token": mine})
        assert heard(socket, "done", "note")["type"] == "done"
    assert job.wait(PATIENCE)


@pytest.fixture
def busy(bench, monkeypatch):
    """While this event is set, other files are being made."""
    table, busy = bench.exports.table, threading.Event()
    busy.set()

    def asked(*args):
        if busy.is_set():
            raise ExportsBusy("Too many files are being made here: try again in a minute.")
        return table(*args)

    monkeypatch.setattr(bench.exports, "table", asked)
    return busy


def test_scores_come_once_other_files_are_made_and_meanwhile_a_sign_of_life(client, busy, job, monkeypatch):
    monkeypatch.setattr("mgdemo.ui.compare.live.AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("mgdemo.ui.compare.live.ALIVE_SECONDS", 0.01)
    with client.websocket_connect(f"/{ROOT}/{job.id}/live") as socket:
        assert heard(socket, "note", "done")["text"] == BUSY
        heard(socket, "alive")
        busy.clear()
        assert heard(socket, "grid", "done")["view"]["rows"][0]["cells"][0]["scores"]
        assert heard(socket, "done")["text"] == ""


def test_a_program_waits_for_its_scores_while_other_files_are_made(bench, busy, job, monkeypatch):
    monkeypatch.setattr("mgdemo.ui.api.comparing.SECOND", 0.01)

    async def states():
        async for state in compared(bench, job.grid, "page"):
            whole = [run["phase"] for run in state["runs"]] == ["finished"] * 2
            if whole and "files" not in state:  # it waits
                assert not state["done"]
                busy.clear()
        return state

    last = asyncio.run(states())
    assert not busy.is_set() and last["done"] and last["files"]
    assert all("follows" in run["scores"] for run in last["runs"])


def test_scores_that_cannot_be_made_are_told_at_the_end(client, bench, job, monkeypatch):
    def asked(*args):
        raise ExportError("See the log.")

    monkeypatch.setattr(bench.exports, "table", asked)
    with client.websocket_connect(f"/{ROOT}/{job.id}/live") as socket:
        assert heard(socket, "note", "done")["text"] == "See the log."


def test_an_unknown_grid_closes_the_socket(client):
    # It opens: of a socket that was not accepted, a browser hears no code.
    with (
        client.websocket_connect(f"/{ROOT}/{'0' * 24}/live") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_json()
    assert closed.value.code == UNKNOWN


def test_files_are_made_when_asked_for(client, job):
    address = f"/{ROOT}/{job.id}/files/report.csv"
    made = client.get(f"{address}?make").json()
    assert made == {"name": "Grey-world-against-Grey-run-report.csv"}
    file = client.get(address)
    assert made["name"] in file.headers["content-disposition"]
    assert len(list(csv.reader(io.StringIO(file.text)))) == 3
    assert "there are report" in client.get(f"/{ROOT}/{job.id}/files/other.txt").json()["error"]


def secrets_of(job):
    """All that would tell whose a film is. (The stub's checkpoints are called like their modes.)"""
    for run in job.grid.all:
        yield from (run.key, run.variant.title, run.variant.weights)


def test_nothing_tells_whose_the_films_of_a_ballot_are(client, job, tmp_path):
    ballot = client.post(f"/{ROOT}/{job.id}/ballot").json()
    said = json.dumps(ballot)
    assert not any(secret in said for secret in secrets_of(job)) and job.id not in said
    sizes = set()
    for cell in ballot["view"]["rows"][0]["cells"]:
        film = client.get(f"/{cell['video']}")
        assert film.status_code == 200 and film.headers["cache-control"] == "no-store"
        assert {"etag", "last-modified", "content-disposition"}.isdisjoint(film.headers)
        (tmp_path / "film.mp4").write_bytes(film.content)
        assert metadata(tmp_path / "film.mp4") == {}
        assert not any(secret.encode() in film.content for secret in secrets_of(job))
        sizes.add((cell["frames"], json.dumps(cell["lanes"]), json.dumps(cell["scores"])))
    assert len(sizes) == 1, "beside their pictures both are the same"


def test_from_the_ballot_to_the_result(client, job):
    before = client.get(f"/{ROOT}/{job.id}/standing").json()["questions"][0]["votes"]
    ballot = client.post(f"/{ROOT}/{job.id}/ballot").json()
    assert (ballot["voted"], ballot["pairs"]) == (0, 1)
    counted = client.get(f"/{ROOT}/{job.id}/ballot").json()
    assert counted == ballot | {"ballot": None, "view": None}, "looking draws none"
    address = f"/{ROOT}/ballots/{ballot['ballot']}"
    for wrong in ("no JSON", "[]", '{"obeys": "left"}', '{"obeys": "left", "looks": ["x"]}', "x" * 20_000):
        assert client.post(address, content=wrong).status_code == 409
    cast = client.post(address, json=ANSWERS)
    assert sorted(cast.json()["names"]) == ["Grey run", "Grey world"]
    assert client.post(address, json=ANSWERS).status_code == 409, "once"
    assert client.get(f"{address}/left.mp4").status_code == 404
    assert client.post(f"/{ROOT}/{job.id}/ballot").json() == {
        "ballot": None, "view": None, "voted": 1, "pairs": 1,
    }  # fmt: skip
    obeys, looks = client.get(f"/{ROOT}/{job.id}/standing").json()["questions"]
    assert obeys["votes"] == before + 1 and looks["both_bad"] == obeys["votes"]
    assert looks["columns"][0]["chance"] is None, "nothing was preferred yet"
    text = client.get(f"/{ROOT}/votes.csv").text
    assert not any(run.key in text for run in job.grid.all), "the id of a grid is made of its keys"
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 1 + 2 * obeys["votes"]
    assert "testclient" not in text, "where a vote came from is not told"


def test_results_are_worked_out_once_beside_the_loop_until_somebody_votes(bench, job, monkeypatch):
    worked = []

    def spied(work):
        return lambda *args: worked.append(threading.current_thread().name) or work(*args)

    for name, work in {"as_csv": as_csv, "standing_of": standing_of}.items():
        monkeypatch.setattr(f"mgdemo.ui.compare.results.{name}", spied(work))
    addresses = [f"/{ROOT}/votes.csv", f"/{ROOT}/{job.id}/standing"]
    app = Starlette(routes=routes(bench))

    async def loop(_request):
        return PlainTextResponse(threading.current_thread().name)

    app.add_route("/loop", loop)
    with TestClient(app, client=("10.9.8.5", 1)) as client:
        before = [client.get(address).text for address in addresses * 2]
        assert before[:2] == before[2:] and len(worked) == 3, "the CSV, and two questions"
        ballot = client.post(f"/{ROOT}/{job.id}/ballot").json()
        assert client.post(f"/{ROOT}/ballots/{ballot['ballot']}", json=ANSWERS).status_code == 200
        after = [client.get(address).text for address in addresses]
        assert not set(before) & set(after) and len(worked) == 6
        assert client.get("/loop").text not in worked


def test_a_visitor_votes_once_whatever_names_he_gives_himself_and_another_one_votes_too(bench, job):
    app = Starlette(routes=routes(bench))

    def left(client, name):
        return client.post(
            f"/{ROOT}/{job.id}/ballot?voter={name}", headers={"Cookie": f"voter={name}"}
        ).json()

    with TestClient(app, client=("10.9.8.7", 1)) as one, TestClient(app, client=("10.9.8.6", 1)) as other:
        first, second = left(one, "a"), left(one, "b")
        before = one.get(f"/{ROOT}/{job.id}/standing").json()["questions"][0]["votes"]
        for ballot in (first, second):  # drawn before either was voted on
            assert one.post(f"/{ROOT}/ballots/{ballot['ballot']}", json=ANSWERS).status_code == 200
        assert left(one, "c")["ballot"] is None and left(other, "a")["ballot"]
        standing = one.get(f"/{ROOT}/{job.id}/standing").json()["questions"][0]
        assert standing["votes"] == before + 1


def test_one_visitor_follows_with_so_many_pages_and_says_little(client, job, bench):
    with contextlib.ExitStack() as stack:
        for _ in range(FOLLOWERS):
            socket = stack.enter_context(client.websocket_connect(f"/{ROOT}/{job.id}/live?blind"))
            socket.receive_json()
        # Accepted first: of a socket that was not, a browser hears neither code nor reason.
        one_more = stack.enter_context(client.websocket_connect(f"/{ROOT}/{job.id}/live?blind"))
        with pytest.raises(WebSocketDisconnect) as refused:
            one_more.receive_json()
        assert (refused.value.code, refused.value.reason) == (4429, CROWDED)
        assert len(CROWDED.encode()) <= 123, "as much as a close may say"
        with pytest.raises(WebSocketDisconnect) as closed:
            for _ in range(30):
                socket.send_text("[" * 3000)
            while True:
                socket.receive_json()
        assert closed.value.code == 4429
    with client.websocket_connect(f"/{ROOT}/{job.id}/live?blind") as socket:
        assert socket.receive_json()["type"] == "progress"


def test_a_grid_is_found_again_after_a_restart(bench, job, stub_library):
    again = Bench(bench.service, stub_library)
    try:
        found = again.find(job.id)
        assert found.done and [state.phase for state in found.states()] == ["finished", "finished"]
        with TestClient(Starlette(routes=routes(again))) as client:
            assert client.get(films(client, job)[0]).status_code == 200
            with client.websocket_connect(f"/{ROOT}/{job.id}/live") as socket:
                assert socket.receive_json()["view"]["id"] == job.id
    finally:
        again.close()


def test_films_of_many_grids_are_found_without_reading_each_again(bench, stub_library, monkeypatch):
    jobs = []
    for seed in range(3):
        plan = bench.plan(Choice(("universal/one",), checkpoints=("universal",), seeds=str(100 + seed)))
        jobs.append(bench.start(plan)[0])
    assert all(job.wait(PATIENCE) for job in jobs)
    monkeypatch.setattr("mgdemo.ui.compare.found.WHOLE", 2)
    read, get = [], Grids.get
    monkeypatch.setattr(Grids, "get", lambda self, id: read.append(id) or get(self, id))
    again = Bench(bench.service, stub_library)
    try:
        with TestClient(Starlette(routes=routes(again))) as client:
            for _ in range(3):
                assert [client.get(films(client, job)[0]).status_code for job in jobs] == [200] * 3
            assert read == [job.id for job in jobs]
            next(again.grids.folder.glob(f"{jobs[0].id}*")).unlink()
            assert client.get(films(client, jobs[0])[0]).status_code == 404, "it is deleted"
    finally:
        again.close()


def test_what_is_old_is_deleted_when_the_page_starts(tmp_path, stub_library):
    old = tmp_path / "compare" / "runs" / "abc" / "video.mp4"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"film")
    for path in (old, old.parent):
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    service = SessionService(Settings(record_dir=tmp_path))
    try:
        Bench(service, stub_library).close()
        service.watch()  # as the page does when it is served
        until = time.monotonic() + PATIENCE
        while old.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        service.close()
