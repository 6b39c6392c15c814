"""A session that was played on an embedded world is made again, frame by frame, from what it has recorded."""

import numpy as np
import pytest

from devtools.live_player import Player, Server
from mgdemo import cli
from mgdemo.actions import MODES
from mgdemo.checkpoints import start_images
from mgdemo.references import start_image
from mgdemo.replay import open_replay
from mgdemo.scenario import load_scenario
from mgdemo.serving import SessionRequest, Settings
from mgdemo.video.digest import frame_digest, frames_sha256


@pytest.mark.anyio
@pytest.mark.model
@pytest.mark.parametrize("mode", MODES)
async def test_a_recorded_session_is_replayed_to_the_same_frames(mode, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("devtools.live_player.PATIENCE", 200)  # seconds: a whole model is loaded first
    shipped = start_images(f"{mode}-tiny")
    start = start_image(shipped[1], shipped)
    server = Server(Settings(sessions=1, record_dir=tmp_path / "sessions"))
    try:
        session = server.service.open(SessionRequest(f"{mode}-tiny", start, seed=5))
        async with Player(server, session.token) as player:
            await player.until(lambda: player.of("welcome"))
            await player.press("KeyD")
            await player.block(1)
            await player.press("KeyW")
            pressed = MODES[mode].control("KeyW").name
            blocks = await player.until(lambda: [b for b in player.of("block") if pressed in b["held"]])
            await player.block(blocks[0]["block"])
            result = await session.stop()
    finally:
        server.close()
    recorded = open_replay(result.mp4)
    assert len(recorded.frames_sha256) == 64
    tidy = load_scenario(result.scenario)
    assert tidy.track == recorded.scenario.track and len(tidy.track.runs()) >= 2
    steps = [line for line in tidy.text.splitlines() if line.startswith("  - ")]
    assert len(steps) == len(tidy.track.runs()), "a step for each stretch of one action"

    replay = ["replay", str(result.mp4), "--checkpoint", "embedded", "--output-folder", str(tmp_path)]
    assert cli.main(replay) == 0
    assert open_replay(tmp_path / "demo.mp4").frames_sha256 == recorded.frames_sha256
    assert f"The frames are those of {result.mp4}." in capsys.readouterr().out


def test_the_name_of_frames_depends_on_each_and_on_their_order():
    frames = [np.full((4, 6, 3), level, np.uint8) for level in range(3)]
    digests = [frame_digest(frame) for frame in frames]
    names = {frames_sha256(d) for d in (digests, digests[::-1], digests[:2], digests[1:])}
    assert len(names) == 4 and all(len(name) == 64 for name in names)
    assert frame_digest(frames[1][:, ::-1]) == digests[1] != frame_digest(frames[1][:2])
    assert frames_sha256([]) == frames_sha256([*digests, b""]) == ""
