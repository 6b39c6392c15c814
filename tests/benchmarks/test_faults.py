"""The benchmark of kills: it notices frames that are lost, repeated or different, and finds none."""

import asyncio
from types import SimpleNamespace

import pytest

from benchmarks import faults, remembering_world
from mgdemo.picture import prepare_image
from mgdemo.scenario import load_scenario
from mgdemo.video.encode import jpeg

SCENARIO = "title: A walk\nmode: universal\nactions:\n  - {hold: [W], for: 3 blocks}\n"


def judged(folder, change):
    """What is said of a visitor who saw the frames of a film, after a change of them."""
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO)
    model, track = remembering_world.load(faults.CHECKPOINT, device="cpu"), load_scenario(path).track
    world = model.start(prepare_image(faults.IMAGE, *model.size), 0)
    pictures = [jpeg(frame) for block in range(3) for frame in world.step(track.block(block))]
    frames = [(2, 1, index, 0, picture) for index, picture in enumerate(pictures)]
    recording = SimpleNamespace(scenario=path, frames=len(frames))
    service = SimpleNamespace(recording_of=lambda token: recording)
    outcome = faults.Outcome(sessions=1)
    faults.compare(outcome, SimpleNamespace(frames=change(frames), token="a"), service)
    return outcome.lost, outcome.repeated, outcome.different, outcome.film_lacks


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frames: frames, (0, 0, 0, 0)),
        (lambda frames: frames[:5] + frames[7:], (2, 0, 0, 0)),
        (lambda frames: [*frames, frames[3]], (0, 1, 0, 0)),
        (lambda frames: [*frames[:4], (*frames[4][:4], b"another"), *frames[5:]], (0, 0, 1, 0)),
        (lambda frames: [*frames, (2, 1, 33, 0, b"new")], (0, 0, 0, 1)),
    ],
)
def test_what_is_lost_repeated_or_different_is_noticed(tmp_path, change, found):
    assert judged(tmp_path, change) == found


def test_a_worker_and_the_server_are_killed_and_nothing_is_lost(tmp_path):
    found = asyncio.run(faults.run(worker_kills=1, server_kills=1, sessions=2, folder=tmp_path))
    assert (found.worker_kills, found.server_kills, found.trouble) == (1, 1, [])
    assert (found.lost, found.repeated, found.different) == (0, 0, 0)
    assert found.compared > 2 * 12 * faults.FRESH_BLOCKS
