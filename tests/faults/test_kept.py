"""What is left of sessions: in memory and on the disk."""

import asyncio
import gc
import os
import shutil
import time
import weakref
from pathlib import Path

import pytest

from devtools.live_player import Player, until
from devtools.web_process import Script, played, web_process
from mgdemo.compare.keep import Kept
from mgdemo.serving.disk import MOST_COMPARED, MOST_UPLOADS, Item, delete_copies, excess, sweep

pytestmark = pytest.mark.anyio


async def test_a_session_is_forgotten_after_its_end(serve_plain):
    server = serve_plain(sessions=4)
    left = []
    for _ in range(4):
        session = server.open()
        async with Player(server, session.token) as player:
            await player.block(1)
            await player.send(type="stop")
            await player.until(lambda player=player: player.closed)
        left += [weakref.ref(session), weakref.ref(session.request)]
        del session, player
    refused = server.open("missing")
    left.append(weakref.ref(refused))
    refused.end("ended", "Stopped.")
    del refused
    await asyncio.sleep(0.1)

    def forgotten():
        gc.collect()
        return not [each for each in left if each() is not None]

    await until(forgotten)


async def test_what_is_known_of_branches_goes_with_their_files(serve_plain):
    server = serve_plain()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        await player.send(type="rewind", node=1)
        await player.until(lambda: player.of("rewound"))
        await player.send(type="pause", on=False)
        await player.until(lambda: [block["parent"] for block in player.of("block")].count(1) == 2)
        recording = await asyncio.wait_for(session.stop(), 60)
    token, (branch,) = session.token, map(weakref.ref, recording.branches)
    assert server.service.recording_of(token) == recording
    shutil.rmtree(recording.mp4.parent)  # as another process does whose limits are lower
    del session, recording

    def forgotten():
        gc.collect()
        return branch() is None

    await until(forgotten)
    ended = server.service.ended(token)
    assert (ended.outcome, ended.recording) == ("ended", None) and ended.frames >= 9


@pytest.mark.parametrize("broken", ["sweep", "Registry.write"])
async def test_the_archive_goes_on_whatever_fails_in_it(serve_plain, monkeypatch, broken):
    def fail(*_args, **_kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(f"mgdemo.serving.archive.{broken}", fail)
    server = serve_plain()
    for _ in range(2):
        session = server.open()
        async with Player(server, session.token) as player:
            await player.block(0)
            recording = await asyncio.wait_for(session.stop(), 60)
        assert recording.frames >= 9 and server.service.recording_of(session.token) == recording


def item(name, at, size, owner, **more):
    return Item(Path(name), size, at, owner, **more)


def test_whoever_has_most_loses_the_oldest_first():
    own = [item("mine", 1, 10, "me")]
    flood = [item(f"flood{i}", 10 + i, 30, "script") for i in range(4)]
    gone = excess([*own, *flood], now=20, size=80, most=99)
    assert [each.path.name for each in gone] == ["flood0", "flood1"]
    many = [item(f"many{i}", 10 + i, 1, "script", recording=True) for i in range(9)]
    gone = excess([*own, *many], now=20, size=10**9, most=3)
    assert [each.path.name for each in gone] == [f"many{i}" for i in range(6)], "others do not count"
    short = [item("short", 1, 10, "me", hours=1)]
    assert excess([*own, *short], now=3602, size=10**9, most=9) == short
    assert excess([*own, *short], now=3600, size=10**9, most=9) == []
    plans = [item(f"plan{i}", 10 + i, 1, "script") for i in range(MOST_COMPARED + 1)]
    assert excess([*own, *plans], now=20, size=10**9, most=9) == plans[:2], "however small they are"
    used = [item(f"used{i}", 1, 90, "me", hours=1, in_use=True) for i in range(2)]
    gone = excess([*flood, *used], now=9999, size=200, most=0)
    assert gone == flood, "what is in use stays, and takes room"


def test_uploads_and_recordings_share_a_budget_and_nothing_else_is_deleted(tmp_path):
    names = [f"20260101-00000{i}-0123456789abcdef" for i in range(4)]
    sessions, sent = tmp_path / "sessions", tmp_path / "uploads"
    for at, name in enumerate([*names, "my holiday pictures"]):
        (sessions / name).mkdir(parents=True)
        (sessions / name / "play.mp4").write_bytes(bytes(400_000))
        for path in (sessions / name / "play.mp4", sessions / name):
            os.utime(path, (1000 + at, 1000 + at))
    (sessions / "20260101-000009-0123456789abcdef").write_text("a file of that name")
    for at in range(3):
        (sent / f"{at}").mkdir(parents=True)
        (sent / f"{at}" / "broken off").write_bytes(bytes(700_000))
        os.utime(sent / f"{at}" / "broken off", (2000 + at, 2000 + at))
    (sent / "new").write_bytes(bytes(5_000_000))

    def swept(**limits):
        limits = {"hours": 0, "megabytes": 100, "sessions": 9} | limits
        sweep(sessions, sent, {}, [sessions / names[0]], **limits)
        return [n for n in names if (sessions / n).exists()], sorted(p.name for p in sent.iterdir())

    assert swept() == (names, ["0", "1", "2", "new"])
    assert swept(megabytes=3) == (names, ["1", "2", "new"]), "the oldest of the uploads"
    assert swept(megabytes=2)[1] == ["new"]
    assert swept(megabytes=2, sessions=2) == ([names[0], *names[2:]], ["new"])
    assert swept(hours=1) == ([names[0]], ["new"]), "what is being recorded stays"
    assert len(list(sessions.iterdir())) == 3


def test_of_very_many_small_uploads_the_newest_stay(tmp_path):
    made = MOST_UPLOADS + 30
    for at in range(made):
        (tmp_path / f"{at}").mkdir()
        (tmp_path / f"{at}" / "a.png").write_bytes(b"x")
        os.utime(tmp_path / f"{at}" / "a.png", (1000 + at,) * 2)
    sweep(tmp_path / "sessions", tmp_path, {}, [], hours=0, megabytes=100, sessions=9)
    assert {int(path.name) for path in tmp_path.iterdir()} == set(range(30, made))


def test_copies_of_a_recording_go_with_it_and_others_of_the_same_name_stay(tmp_path):
    for place, content in (("session", b"mine"), ("cache/a", b"mine"), ("cache/b", b"yours")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "film [1].mp4").write_bytes(content)
    delete_copies(tmp_path / "session", tmp_path / "cache")
    assert [path.parent.name for path in (tmp_path / "cache").rglob("*.mp4")] == ["b"]


async def test_what_earlier_processes_left_counts_from_the_start(tmp_path):
    uploads = tmp_path / f"mgdemo-uploads-{os.getuid()}"
    session = tmp_path / f"mgdemo-sessions-{os.getuid()}" / "20260101-000001-0123456789abcdef"
    left = [uploads / "broken off", uploads / "hash" / "copy.mp4", session / "half.h264"]
    for at, path in enumerate(left):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(bytes(900_000))
        os.utime(path, (time.time() - 1000 + at,) * 2)
    with web_process(tmp_path, MGDEMO_KEEP_MEGABYTES="1"):  # nobody comes
        async with asyncio.timeout(60):
            while sum(path.exists() for path in left) > 1:
                await asyncio.sleep(0.2)


async def test_comparisons_share_the_room_which_is_looked_after_though_none_begins(tmp_path):
    kept = Kept(tmp_path / f"mgdemo-sessions-{os.getuid()}" / "compare", days=0)
    for name, at, owner in [("mine", 0, "me"), *((f"flood{i}", 10 + i, "script") for i in range(4))]:
        (kept.runs / name).mkdir(parents=True)
        (kept.runs / name / "video.mp4").write_bytes(bytes(400_000))
        for path in (kept.runs / name / "video.mp4", kept.runs / name):
            os.utime(path, (time.time() - 1000 + at,) * 2)
        kept.own([name], owner)
    with web_process(tmp_path, MGDEMO_KEEP_MEGABYTES="1"):
        async with asyncio.timeout(60):
            while len(list(kept.runs.iterdir())) > 2:
                await asyncio.sleep(0.2)
    assert sorted(path.name for path in kept.runs.iterdir()) == ["flood3", "mine"]


async def test_uploads_that_break_off_or_pile_up_are_cleaned_while_it_runs(start):
    web = start(keep_megabytes=1)
    (folder,) = web.folder.glob("mgdemo-uploads-*")
    for number in range(5):
        (folder / f"old{number}").write_bytes(bytes(900_000))
        at = time.time() - 1000 + number
        os.utime(folder / f"old{number}", (at, at))
    async with Script(web) as script:
        await script.start()
        async with asyncio.timeout(60):
            while len(list(folder.glob("old*"))) > 1:
                await asyncio.sleep(0.2)
    assert (folder / "old4").exists()


async def test_a_page_that_was_forgotten_still_deletes_its_recording(start, tmp_path):
    web = start(record_dir=tmp_path / "sessions")
    async with Script(web) as script:
        labels = {c["id"]: c["props"].get("value") for c in script.config["components"]}
        clicks = [e for e in script.events("click") if labels[e["targets"][0][0]] == "Delete my recording"]
        token = (await script.start())["token"]
        async with script.player(token) as socket:
            await played(socket, 2)
        await script.answer(script.order(script.events("stop")[0], {"token": token}))
        (folder,) = Path(tmp_path / "sessions").glob("*-*-*")
        script.page = "another"  # of whose films the server knows nothing, as of one of very many pages
        await script.answer(script.order(clicks[0], values={1: f"{token} "}))
        assert not folder.exists()
