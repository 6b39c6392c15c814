"""Recording without a server."""

import pytest
import torch
from PIL import Image

from benchmarks import stub_world
from devtools.tiny import tiny_model
from mgdemo.actions import ActionTrack
from mgdemo.collapse import BrokenModel
from mgdemo.paths import ROOT
from mgdemo.picture import StartImage
from mgdemo.render import RenderJob, blocks, render
from mgdemo.replay import open_replay
from mgdemo.scenario import Mark, load_scenario
from mgdemo.video.mp4 import read_frames

PLACE = Image.open(ROOT / "worlds" / "universal" / "start" / "meadow-1.png").convert("RGB")
TRACK = ActionTrack.hold("universal", ["W"], None, 33)


MARKS = (Mark("corner", 12), Mark("end", 32))


def job(folder):
    return RenderJob(StartImage(None, PLACE), blocks(TRACK), 0, "A walk", folder, MARKS)


def test_films_and_scenario_are_written_and_nothing_else_stays(tmp_path):
    recording = render(stub_world.load_small("universal-0", device="cpu"), job(tmp_path))
    assert recording.frames == len(list(read_frames(recording.mp4))) == 33
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "demo.mp4",
        "demo.png",
        "demo.yaml",
        "demo_icon.mp4",
    ]
    assert open_replay(recording.mp4).scenario.marks == load_scenario(recording.scenario).marks == MARKS


def test_a_model_that_makes_no_picture_is_told_after_its_first_block(tmp_path):
    told = []
    with pytest.raises(BrokenModel, match="mgdemo check --deep"):
        render(
            stub_world.load_small("universal-0-blank", device="cpu"), job(tmp_path), lambda *x: told.append(x)
        )
    assert told == []
    assert len(list(read_frames(tmp_path / "demo.mp4"))) == 9, "what was made is kept"


def test_weights_that_are_no_numbers_are_noticed_in_the_first_block(tmp_path):
    model = tiny_model("universal", size=(144, 256))
    next(model.transformer.parameters()).data.fill_(torch.nan)  # such numbers become black
    with pytest.raises(BrokenModel, match="single color or no numbers"):
        render(model, job(tmp_path))


def test_what_was_made_before_a_failure_is_kept(tmp_path):
    with pytest.raises(RuntimeError, match="singular"):
        long = RenderJob(
            StartImage(None, PLACE), blocks(ActionTrack.hold("universal", [], None, 57)), 0, "A", tmp_path
        )
        render(stub_world.load_small("universal-0-broken", device="cpu"), long)
    assert len(list(read_frames(tmp_path / "demo.mp4"))) == 33
