"""Measures pass the truth, and each known-bad clip fails the one that should notice it."""

import json

import cv2
import numpy as np
import pytest

from mgdemo.actions import MODES
from mgdemo.measure.run import THRESHOLDS, RunMeasures
from mgdemo.measure.splits import Splits


def measured(clips, frames, **options):
    measures, splits = RunMeasures(clips.track, clips.start, **options), Splits()
    measures.add(frames)
    for frame, true in zip(frames, clips.true, strict=True):
        splits.add(frame, true)
    return measures.result() | {"splits": splits.result()}


def scores(result):
    return {name: found["score"] for name, found in result.items()}


@pytest.mark.parametrize("mode", MODES)
def test_true_frames_score_nearly_one(clips, mode):
    result = measured(clips(mode), clips(mode).true)
    for name, score in scores(result).items():
        assert score is None or score >= 0.95, (name, score)
    assert (
        result["mirrors"]["pairs"]
        and result["follows"]["score"] is not None
        and result["holds"]["collapsed"] is None
    )
    assert (result["returns"]["score"] is None) == (mode != "universal")
    json.dumps(result)


@pytest.mark.parametrize("mode", MODES)
def test_a_still_picture_earns_nothing(clips, mode):
    of = clips(mode)
    result = measured(of, np.repeat(of.true[:1], len(of.true), 0))
    assert result["follows"]["score"] < THRESHOLDS["follows"]
    moving = [v["score"] for name, v in result["follows"]["controls"].items() if name != "nothing"]
    assert max(moving) == 0
    assert not result["mirrors"]["score"] and not result["returns"]["score"]
    assert result["splits"]["score"] < THRESHOLDS["splits"]


@pytest.mark.parametrize("mode", MODES)
def test_shuffled_frames_are_noticed(clips, mode):
    of = clips(mode)
    result = measured(of, of.true[np.random.default_rng(0).permutation(len(of.true))])
    for name in ("follows", "holds", "splits"):
        assert result[name]["score"] < THRESHOLDS[name], name


@pytest.mark.parametrize("mode", MODES)
def test_a_blurred_picture_does_not_hold(clips, mode):
    of = clips(mode)
    half = len(of.true) // 2
    blurred = of.true.copy()
    blurred[half:] = [cv2.GaussianBlur(frame, (0, 0), 4) for frame in of.true[half:]]
    result = measured(of, blurred)
    assert result["holds"]["score"] < THRESHOLDS["holds"]
    assert result["splits"]["first"] == half, "and where it begins is told"


@pytest.mark.parametrize("mode", MODES)
def test_mirrored_controls_do_not_follow(clips, mode):
    result = measured(clips(mode), clips(mode).mirrored())
    assert result["follows"]["score"] < THRESHOLDS["follows"]
    turning = [v["score"] for name, v in result["follows"]["controls"].items() if "left" in name]
    assert max(turning) < 0.5, "and each control says so for itself"


@pytest.mark.parametrize("mode", MODES)
def test_another_run_is_noticed(clips, mode):
    result = measured(clips(mode), clips(mode).another())
    assert result["follows"]["score"] < THRESHOLDS["follows"]
    assert result["mirrors"]["score"] < THRESHOLDS["mirrors"]
    assert result["splits"]["score"] == 0 and result["splits"]["first"] == 0


def test_a_collapse_is_dated(clips):
    of = clips("universal")
    gone = of.true.copy()
    gone[40:] = 90
    result = measured(of, gone)
    assert result["holds"]["collapsed"] == 40
    assert result["follows"]["segments"][-1]["score"] < 0.5 <= result["follows"]["segments"][0]["score"]


def test_a_segment_that_fails_is_not_hidden_by_the_mean(clips):
    """A run that stops moving in the middle has whole and empty segments, and names the worst control."""
    of = clips("universal")
    stopped = of.true.copy()
    stopped[36:] = of.true[36]
    follows = measured(of, stopped)["follows"]
    assert follows["controls"]["forward"]["score"] == 1 and follows["controls"]["look_left"]["score"] == 0
    assert follows["worst"] in ("look_left", "look_right")


def test_where_speeds_are_not_known_the_direction_counts(clips):
    """A world twice as slow does what it is told, too, if nobody has said how fast it should be."""
    of = clips("universal")
    slow = of.true[np.arange(len(of.true)) // 2]
    part = of.track.frames(0, 36)
    sure, unsure = (RunMeasures(part, of.start, known=known) for known in (True, False))
    for measures in (sure, unsure):
        measures.add(slow[:36])
    forward = unsure.result()["follows"]["controls"]["forward"]
    assert forward["score"] == 1 and forward["size"] is None
    assert sure.result()["follows"]["controls"]["forward"]["size"] == pytest.approx(0.5, abs=0.15)


def test_frames_in_pieces_or_at_once_are_the_same(clips):
    of = clips("gta_drive")
    pieces = RunMeasures(of.track, of.start)
    for start in range(0, len(of.true), 12):
        pieces.add(of.true[start : start + 12])
    whole = RunMeasures(of.track, of.start)
    whole.add(of.true)
    assert pieces.result() == whole.result()


def test_nothing_to_judge_is_none_and_not_zero(clips):
    of = clips("templerun")
    short = RunMeasures(of.track.frames(0, 2), of.start)
    short.add(of.true[:2])
    assert {k: v for k, v in scores(short.result()).items() if k != "holds"} == {
        "follows": None, "mirrors": None, "returns": None, "splits": None,
    }  # fmt: skip
