"""Whose a recording is, also after a restart, and without keeping who that is."""

import pytest

from devtools.live_player import Player
from mgdemo.serving.owners import KEY, Owners
from mgdemo.video.mp4 import read_frames

pytestmark = pytest.mark.anyio


def test_a_name_stays_the_same_over_restarts_and_differs_elsewhere(tmp_path):
    owners = Owners(tmp_path / "here")
    name = owners.name("10.1.2.3")
    assert Owners(tmp_path / "here").name("10.1.2.3") == name != owners.name("10.1.2.4")
    assert Owners(tmp_path / "there").name("10.1.2.3") != name
    assert owners.name("") == "" and "10.1" not in name
    assert (tmp_path / "here" / KEY).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_is_no_reason_to_refuse_anybody(tmp_path):
    (tmp_path / "file").write_text("")
    owners = Owners(tmp_path / "file")
    assert owners.name("10.1.2.3") == owners.name("10.1.2.3")


def test_a_key_that_was_cut_off_is_made_again(tmp_path):
    (tmp_path / KEY).write_bytes(b"half")
    assert Owners(tmp_path).name("a") == Owners(tmp_path).name("a")


async def recorded(server, account):
    session = server.open(account=account)
    async with Player(server, session.token) as player:
        await player.block(2)
        await player.send(type="stop")
        await player.until(lambda: player.of("end"))
    return session.token


async def test_after_a_restart_whoever_has_most_still_loses_the_oldest_first(serve):
    before = serve()
    mine = await recorded(before, "10.0.0.1")
    flood = [await recorded(before, "10.0.0.2") for _ in range(3)]
    folder = before.service.recording_of(mine).mp4.parent
    before.service.close()
    for file in folder.iterdir():
        assert file.suffix == ".mp4" or b"10.0.0.1" not in file.read_bytes()
    after = serve(keep_sessions=3)
    another = await recorded(after, "10.0.0.3")
    after.service.close()  # when the disk has been swept
    kept = [after.service.recording_of(token) is not None for token in (mine, *flood, another)]
    assert kept == [True, False, False, True, True]


async def test_a_recording_made_before_a_restart_can_be_deleted_by_its_page(serve):
    before = serve()
    token = await recorded(before, "10.0.0.1")
    before.service.close()
    after = serve()
    recording = after.service.recording_of(token)
    assert len(list(read_frames(recording.mp4))) == recording.frames
    after.service.delete(token)
    assert after.service.recording_of(token) is None and not recording.mp4.parent.exists()
