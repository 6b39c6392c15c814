"""The judges of worlds: they pass the truth, and nothing else."""

import pickle

import numpy as np
import pytest
import torch

from benchmarks import controllability, quality, runs
from benchmarks.controllability import EXPECTED, pairs_of, right_block
from devtools import tiny
from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import frames_in_blocks
from mgdemo.measure.camera import Geometry
from training.themes import THEMES

SOME = {
    "universal": [("forward",), ("left",), ("look_right",)],
    "gta_drive": [("accelerate",), ("brake", "steer_left"), ("steer_right",)],
    "templerun": [("jump",), ("left",), ("turn_right",)],
}


def judged(judge, starts, run, **options):
    found = [judge.look(starts, run, index, **options) for index in range(len(starts))]
    return judge.sum_up(starts, found, **options)


def readings(mode, starts, held, judged):
    """Of the third block of a run, in which `held` is, at the pairs that judge the actions `judged`."""
    pairs = sorted({pair for action in judged for pair in pairs_of(mode, action)})
    first = frames_in_blocks(2)
    frames = sorted({first + f for pair in pairs for f in pair})
    script = [(), held if mode == "gta_drive" else (), held]
    made = runs.true_run(starts)(0, controllability.track_of(mode, script), frames)
    drawn = dict(zip(frames, made, strict=True))
    geometry = Geometry(mode, runs.SIZE)
    return {(i, j): geometry.read(drawn[first + i], drawn[first + j], j - i) for i, j in pairs}


def a_free_start(mode, held):
    starts = runs.Starts.draw(mode, 8, seed=3)
    for index in range(len(starts)):
        if controllability.free(starts, index, [held] * 3):
            return runs.Starts(starts.world.take(slice(index, index + 1)), starts.poses[index : index + 1])
    raise AssertionError("no start is free")


@pytest.mark.parametrize("mode, held", [(mode, held) for mode in MODES for held in SOME[mode]])
def test_the_flow_judge_tells_the_true_motion_from_others(mode, held):
    others = [other for other in SOME[mode] if other != held]
    reading = readings(mode, a_free_start(mode, held), held, [held, *others])
    assert right_block(mode, held, reading), reading
    for other in others:
        assert not right_block(mode, other, reading), (other, reading)


@pytest.mark.parametrize("mode", MODES)
def test_the_flow_judge_does_not_pass_a_frozen_picture(mode):
    still = np.asarray(runs.Starts.draw(mode, 1).image(0))
    reading = Geometry(mode, runs.SIZE).read(still, still, 1)
    assert np.abs(reading).max() < 0.01
    for held in EXPECTED[mode]:
        assert not right_block(mode, held, dict.fromkeys(pairs_of(mode, held), reading))


def test_standing_still_is_what_nothing_held_expects():
    mode, moving = "gta_drive", ("accelerate",)
    starts = a_free_start(mode, ())
    assert right_block(mode, (), readings(mode, starts, (), [()]))
    assert not right_block(mode, (), readings(mode, starts, moving, [()]))


def test_a_city_at_night_is_read_as_well_as_a_suburb_by_day():
    """What the car itself lights moves with the camera, and would hide how fast the road does."""
    drawn, held = runs.Starts.draw("gta_drive", 24, seed=3), ("accelerate",)
    for theme in range(len(THEMES["gta_drive"])):
        of = [i for i in range(24) if drawn.world.theme[i] == theme][:3]
        for i in of:
            starts = runs.Starts(drawn.world.take(slice(i, i + 1)), drawn.poses[i : i + 1])
            reading = readings("gta_drive", starts, held, [held])
            ahead = np.median([values[0] for values in reading.values()])
            assert 0.7 < ahead < 1.3, (theme, i, ahead)


def test_a_car_that_turns_upon_a_crossing_is_read_by_its_bars():
    mode, held, block = "gta_drive", ("accelerate", "steer_left"), 3
    starts = runs.Starts.draw(mode, 48)
    script = next(s for s in controllability.SCRIPTS[mode] if s[block] == s[block - 1] == held)
    for index in (8, 18, 40):  # these turn in front of one
        first, pairs = frames_in_blocks(block), pairs_of(mode, held)
        frames = sorted({first + f for pair in pairs for f in pair})
        made = runs.true_run(starts)(index, controllability.track_of(mode, script), frames)
        drawn = dict(zip(frames, made, strict=True))
        reading = [
            Geometry(mode, runs.SIZE).read(drawn[first + i], drawn[first + j], j - i) for i, j in pairs
        ]
        assert np.median(reading, axis=0) == pytest.approx([1, -0.95], abs=0.25), index


def test_the_starts_of_wrong_plays_are_named():
    def found(*backed):
        runs = {(): [True], ("brake",): list(backed)}
        return controllability.Found(runs, runs, runs, [1.0])

    result = controllability.sum_up(
        runs.Starts.draw("gta_drive", 3), [found(True, True), found(True, False), found(False)]
    )
    assert result["wrong"] == {"idle": [], "brake": [1, 2]} and result["controls"] == {"brake": 0.6}


@pytest.mark.parametrize("held", [("left",), ("right",)])
def test_a_runner_who_bobs_aside_is_read_as_running(held):
    drawn = runs.Starts.draw("templerun", 25)
    for i in (0, 14, 24):  # a place of each theme, where the sea has more to see than the causeway
        starts = runs.Starts(drawn.world.take(slice(i, i + 1)), drawn.poses[i : i + 1])
        reading = readings("templerun", starts, held, [held])
        ahead = np.median([reading[pair][1] for pair in EXPECTED["templerun"][held][0].pairs])
        assert 0.5 < ahead < 1.3, (i, ahead)


@pytest.mark.parametrize("mode", MODES)
def test_the_strict_judge_finds_the_action_that_was_held(mode):
    starts = runs.Starts.draw(mode, 1, seed=5)
    held = list(EXPECTED[mode])[3]
    script = [(), held, held]
    wanted = [frames_in_blocks(1) + m for m in controllability.moments(1)]
    true, still = (
        runs.true_run(starts)(0, controllability.track_of(mode, s), wanted) for s in (script, [(), ()])
    )
    assert controllability.strict_block(starts, 0, script, 1, true)
    assert not controllability.strict_block(starts, 0, script, 1, still)


@pytest.mark.parametrize("mode", MODES)
def test_every_script_asks_for_what_can_be_judged(mode):
    judged = set()
    for script in controllability.SCRIPTS[mode]:
        assert len(script) == controllability.BLOCKS
        judged |= {script[block] for block in controllability.judged_blocks(mode, script)}
    assert judged == {(), *EXPECTED[mode]}
    names = {control.name for control in MODES[mode].controls}
    assert {name for held in judged for name in held} == names, "every control of the mode"


def test_a_turn_is_read_off_the_picture():
    starts = runs.Starts.draw("templerun", 1)
    ratio = controllability.turned(Geometry("templerun", runs.SIZE), starts, runs.true_run(starts), 0, 1)
    assert ratio == pytest.approx(1, abs=0.1)


def test_quality_finds_nothing_wrong_with_the_truth_and_much_with_fog(monkeypatch):
    monkeypatch.setattr(runs, "SIZE", (36, 64))
    starts = runs.Starts.draw("gta_drive", 2, seed=2)
    run = runs.true_run(starts)

    def fog(index, track, wanted):
        return (run(index, track, wanted) // 8 + 190).astype(np.uint8)

    true, foggy = (judged(quality, starts, each, seconds=11) for each in (run, fog))
    assert true["psnr"] > 60 and true["better"] == 1 and true["collapsed"] == 0
    assert true["sharpness"] == pytest.approx(1) and true["color"][1] == 0
    assert foggy["psnr"] < 20 and foggy["sharpness"] < 0.3
    assert true["collapsed_starts"] == [] and foggy["collapsed_starts"] == [0, 1] and foggy["collapsed"] == 2


def test_a_frozen_picture_is_no_better_than_itself(monkeypatch):
    monkeypatch.setattr(runs, "SIZE", (36, 64))
    starts = runs.Starts.draw("templerun", 1)
    still = np.asarray(starts.image(0))

    def frozen(_index, _track, wanted):
        return np.repeat(still[None], len(wanted), 0)

    result = judged(quality, starts, frozen, seconds=11)
    assert result["psnr"] == result["frozen"] and result["better"] == 0


def test_modes_without_a_world_are_left_out_with_a_word(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "embedded", lambda mode: None)
    args = runs.command("quality", "").parse_args(["--json", str(tmp_path / "a.json")])
    runs.judge_modes(args, quality.look, quality.sum_up, quality.table)
    said = capsys.readouterr().out
    assert all(f"{mode}: no embedded world" in said for mode in MODES)
    assert not (tmp_path / "a.json").exists()


def test_a_model_s_play_gives_the_frames_that_are_wanted(monkeypatch):
    monkeypatch.setattr("mgdemo.loading.load_world_model", tiny.load)
    image = tiny.tiny_image()
    run = runs.model_run("universal-tiny", "cpu", [image].__getitem__)
    track = ActionTrack.hold("universal", ["forward"], frames=30)
    some, more = run(0, track, [0, 8, 22]), run(0, track, list(range(25)))
    assert np.array_equal(some, more[[0, 8, 22]])


def sum_of_pixels(starts, run, index):
    frames = run(index, ActionTrack.hold(starts.mode, ["forward"], frames=9), [0, 8])
    return int(frames.astype(int).sum()), torch.get_num_threads()


def test_what_is_found_does_not_depend_on_the_workers():
    checkpoint = runs.embedded("universal")
    few, many = (list(runs.looks(sum_of_pixels, "universal", 2, checkpoint, workers=n)) for n in (1, 2))
    assert few == many and len(set(few)) == 2, "every start once, in order, and by itself"
    assert {threads for _, threads in many} == {1}


@pytest.mark.parametrize("judge", (quality, controllability))
def test_a_judge_can_be_asked_elsewhere(judge):
    assert pickle.loads(pickle.dumps(judge.look)) is judge.look
    some = judge.Found._make([1.5] * len(judge.Found._fields))
    assert pickle.loads(pickle.dumps(some)) == some
