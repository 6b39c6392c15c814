"""What operators see: alive, ready, and the metrics with their dashboard."""

import asyncio
import json
import re
import threading
from pathlib import Path

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from devtools.live_player import Player, until
from mgdemo.picture import StartImage
from mgdemo.serving import ServingError, SessionRequest, SessionService, Settings, disk
from mgdemo.serving.engines import EngineHealth
from mgdemo.serving.engines.fleets import Fixed
from mgdemo.serving.warming import LONGEST_PAUSE, PAUSE, Warming
from tests.serving.conftest import settled

pytestmark = pytest.mark.anyio

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana.json"


async def ask(server, path):
    return await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{server.port}{path}", timeout=30)


async def samples(server):
    """{(name, label values): value}"""
    families = text_string_to_metric_families((await ask(server, "/metrics")).text)
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


async def test_metrics_tell_of_sessions_blocks_and_inputs(serve, monkeypatch, tmp_path):
    monkeypatch.setattr(disk, "USAGE_SECONDS", 0)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "picture.png").write_bytes(bytes(1234))
    server = serve(visitor_sessions=1)
    session = server.open(account="somebody")
    with pytest.raises(ServingError):
        server.open(account="somebody")
    async with Player(server, session.token) as player:
        await player.block(1)
        await player.send(type="input", held=["W"], input_seq=1)
        await player.until(lambda: player.of("block")[-1]["input_seq"] == 1)
        await player.block(3)
        await until(lambda: server.service.health()["workers"][0]["memory_bytes"])
        await player.send(type="pause", on=True)  # or they would change while they are read
        await settled(player)
        now = await samples(server)
        assert (now["mgdemo_playing",], now["mgdemo_queued",], now["mgdemo_places",]) == (1, 0, 1)
        assert now["mgdemo_sessions_total",] == now["mgdemo_wait_seconds_count",] == 1
        blocks = now["mgdemo_blocks_total",]
        assert blocks >= 4 and now["mgdemo_block_lateness_seconds_count",] == blocks
        assert now["mgdemo_frames_total",] == 12 * blocks - 3
        assert now["mgdemo_input_latency_seconds_count",] == 1
        assert now["mgdemo_refusals_total", "sessions"] == 1
        assert now["mgdemo_engine_state", "auto", "0", "running"] == 1
        assert now["mgdemo_engine_state", "auto", "0", "idle"] == 0
        assert now["mgdemo_engine_memory_bytes", "auto", "0"] > 10**6
        assert now["mgdemo_disk_bytes", "uploads"] == 1234
    await session.stop()
    later = await samples(server)
    assert (
        later["mgdemo_ended_total",] == 1 and later["mgdemo_errors_total",] == later["mgdemo_playing",] == 0
    )
    assert later["mgdemo_disk_bytes", "recordings"] > 0


async def test_who_asks_for_metrics_over_and_over_does_not_keep_the_disk_busy(serve, monkeypatch):
    looks, look = [], disk.used
    monkeypatch.setattr(disk, "USAGE_SECONDS", 3600)
    monkeypatch.setattr(disk, "used", lambda *folders: looks.append(folders) or look(*folders))
    server = serve()
    answers = await asyncio.gather(*(samples(server) for _ in range(5)))
    assert all(("mgdemo_disk_bytes", "recordings") in each for each in answers)
    assert server.service.board.view()["disk"]["recordings"] == 0
    assert len(looks) == 1


async def test_inputs_in_a_pause_say_nothing_about_the_server(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        await player.send(type="pause", on=True)
        await player.send(type="input", held=["W"], input_seq=1)
        await player.send(type="pause", on=False)
        await player.until(lambda: player.of("block")[-1]["input_seq"] == 1)
        assert (await samples(server))["mgdemo_input_latency_seconds_count",] == 0
    await session.stop()


async def test_a_server_is_ready_until_it_closes(serve):
    server = serve()
    assert (await ask(server, "/healthz")).status_code == (await ask(server, "/readyz")).status_code == 200
    server.service.close()
    answer = await ask(server, "/readyz")
    assert (answer.status_code, answer.text) == (503, "closing")
    assert (await ask(server, "/healthz")).status_code == 200, "it still writes recordings"


async def test_a_server_that_warms_up_is_ready_once_the_checkpoint_is_there(serve):
    server = serve(warm="universal")
    answer = await ask(server, "/readyz")
    assert (answer.status_code, answer.text) == (503, "loading")
    server.service.warm("universal")
    await until(lambda: not server.service.unready)
    assert (await ask(server, "/readyz")).text == "ok"


DYING = "benchmarks.remembering_world:load_on_dying_devices"


async def test_a_checkpoint_that_could_not_be_loaded_is_tried_again(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("mgdemo.serving.warming.PAUSE", 6.0)  # in which this test looks
    server = serve(loader=DYING, device="cuda:5", warm="universal")
    server.service.warm("universal")
    await until(lambda: server.service.unready == "loading failed")
    answer, health = await ask(server, "/readyz"), server.service.health()
    assert (answer.status_code, answer.text) == (503, "loading failed")
    assert health["status"] == "degraded" and "no such file: weights" in health["workers"][0]["reason"]
    await until(lambda: not server.service.unready)
    await until(lambda: server.service.health()["status"] == "ok")


async def test_a_worker_that_died_of_its_first_checkpoint_is_started_again(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = serve(loader=DYING, device="cuda:3", warm="universal")
    server.service.warm("universal")
    await until(lambda: not server.service.unready)
    assert server.service.metrics()["crashes_total"] == 1


def test_the_pauses_between_tries_grow_and_one_try_fails_once():
    warming, pauses = Warming(), []
    warming.failed("It was lost.", 0.0)
    assert not warming.again(9.0, loaded=False), "nothing was asked for"
    for _ in range(12):
        warming.began()
        assert not warming.again(99.0, loaded=False), "it is on its way"
        warming.failed("It failed.", 100.0)
        warming.failed("And so its worker was lost.", 100.0)
        pauses.append(warming.due - 100.0)
        assert not warming.again(warming.due - 1, loaded=False) and warming.again(warming.due, loaded=False)
    assert pauses[:3] == [PAUSE, 2 * PAUSE, 4 * PAUSE] and pauses[-1] == LONGEST_PAUSE
    assert not warming.again(10_000.0, loaded=True) and not warming.failures


class Dying:
    """An engine whose worker dies of everything that it is sent."""

    def __init__(self, settings, device, on_event, on_lost):
        self.device, self._on_lost = device, on_lost

    def send(self, command):
        threading.Thread(target=self._on_lost, args=("It died.",)).start()

    def health(self):
        return EngineHealth(self.device, False)

    def close(self):
        pass


async def test_without_a_working_engine_no_visitor_should_come(tmp_path):
    settings = Settings(record_dir=tmp_path)
    service = SessionService(settings, Fixed(settings, Dying))
    service.open(SessionRequest("universal", StartImage(None, Image.new("RGB", (90, 60)))))
    await until(lambda: service.unready == "failing")
    assert service.metrics()["crashes_total"] >= 1
    service.close()


async def test_a_page_whose_clock_stands_still_is_not_alive(serve, monkeypatch):
    server = serve()
    monkeypatch.setattr("mgdemo.serving.clock.LATE", -1.0)
    server.service._clock.start()
    answer = await ask(server, "/healthz")
    assert (answer.status_code, answer.text) == (503, "stuck")


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path):
    service = SessionService(Settings(record_dir=tmp_path))
    there = {family.name for family in text_string_to_metric_families(service.counts.text().decode())}
    names = {name + suffix for name in there for suffix in ("", "_total", "_bucket", "_count", "_sum")}
    service.close()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    used = {name for expr in asked for name in re.findall(r"\bmgdemo_\w+", expr)}
    assert used <= names, used - names
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in used} == there, "each is shown"
