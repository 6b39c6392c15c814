"""The bars of worlds: the truth holds, and what is spoiled fails where it should be noticed."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import controllability, quality, runs
from benchmarks.worlds import bars, reader, speed, still, teach, walk
from benchmarks.worlds.__main__ import said
from mgdemo.actions import MODES
from mgdemo.measure.camera import AXES
from mgdemo.measure.pixels import detail, psnr
from mgdemo.paths import ROOT

SECONDS = 60
STARTS = 4


@pytest.fixture(scope="module")
def true():
    """Of each mode, frames of some places, uint8 [STARTS, 3, 72, 128, 3]: walks are made of them in turn. The
    reader learns from these few frames alone, in seconds."""
    known = {mode: teach.samples(mode, 3 * STARTS, 13) for mode in MODES}
    learned = teach.teach(teach.join([*known.values()]), 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_reader", lambda: learned)
        yield {
            mode: of.frames.movedim(1, -1).numpy().reshape(STARTS, 3, *reader.SIZE, 3)
            for mode, of in known.items()
        }


class Fake(runs.Starts):
    """Starts whose pictures are not drawn again."""

    def image(self, index):
        return self.pictures[index]


def starts_of(mode, pictures):
    starts = Fake.draw(mode, STARTS)
    starts.pictures = pictures
    return starts


def walked(true, mode, spoil=lambda frames, index: frames, keep=np.asarray):
    """The rows of a walk's bars, of the frames that `spoil` makes of the true ones."""
    frames = true[mode]
    starts = starts_of(mode, frames[:, 0])
    wanted = sorted({f for at in walk.moments(SECONDS).values() for f in at})
    found = []
    for index in range(STARTS):
        truth = {f: frames[index, i % frames.shape[1]] for i, f in enumerate(wanted)}
        made = dict(zip(wanted, spoil(np.stack([*truth.values()]), index), strict=True))
        found.append(bars.Found(walk=walk.judge(starts, index, keep, made, truth, SECONDS)))
    base = {f"frechet at {s} s": 3.0 for s in walk.PLACES}  # so that 1 is asked for
    return {
        bar.name: row
        for bar in bars.table(starts, ["walk"], SECONDS, base)
        if (row := bar.judge(found, 20)) is not None
    }


def blurred(frames, _index=0):
    import cv2

    return np.stack([cv2.GaussianBlur(frame, (0, 0), 2.5) for frame in frames])


def shuffled(frames, _index):
    """Patches of the pictures in another order."""
    n, height, width, _ = frames.shape
    patches = frames.reshape(n, height // 12, 12, width // 16, 16, 3).swapaxes(2, 3)
    patches = patches.reshape(n, -1, 12, 16, 3)[:, np.random.default_rng(0).permutation(48)]
    return patches.reshape(n, height // 12, width // 16, 12, 16, 3).swapaxes(2, 3).reshape(frames.shape)


def failed(rows):
    return {name for name, row in rows.items() if row["holds"] is False}


@pytest.mark.parametrize("mode", MODES)
def test_true_walks_hold(true, mode):
    rows = walked(true, mode)
    assert failed(rows) == set()
    assert sum(row["holds"] is True for row in rows.values()) >= 9
    assert rows["detail at 10 s"]["value"] == pytest.approx(1) and rows["frechet at 20 s"]["value"] < 1e-6


def test_a_blurred_walk_is_not_sharp_but_still_a_place(true):
    rows = walked(true, "gta_drive", blurred, keep=lambda picture: blurred(picture[None])[0])
    assert {"detail at 0 s, VAE alone", "detail at 10 s", "gradient energy, least"} <= failed(rows)
    assert rows["road and horizon from 20 s on"]["holds"]


def test_shuffled_pictures_are_no_place(true):
    rows = walked(true, "gta_drive", shuffled)
    noticed = {f"frechet at {s} s" for s in walk.PLACES} | {"road and horizon from 20 s on", "PSNR after 1 s"}
    assert noticed <= failed(rows)
    assert rows["detail at 10 s"]["holds"], "patches are as sharp as the whole"


def test_another_world_is_noticed_by_its_distance(true):
    rows = walked(true, "universal", lambda frames, index: np.resize(true["templerun"][index], frames.shape))
    noticed = {f"frechet at {s} s" for s in walk.PLACES} | {"PSNR after 1 s"}
    assert noticed <= failed(rows)


def test_houses_that_are_gone_are_missed(true):
    def bare(frames, _index):
        """The sky above the ground, and nothing on it."""
        half = frames.shape[1] // 2
        sky, ground = (frames[:, row, None].mean(2, keepdims=True) for row in (0, -1))
        rows = [np.broadcast_to(color, (len(frames), half, *frames.shape[2:])) for color in (sky, ground)]
        return np.concatenate(rows, 1).astype(np.uint8)

    found = walked(true, "universal")["houses at 20 s, over truth"]
    assert found["holds"] and found["value"] == 1
    assert not walked(true, "universal", bare)["houses at 20 s, over truth"]["holds"]


def test_a_black_night_has_collapsed(true):
    rows = walked(
        true, "gta_drive", lambda frames, _index: (frames // 16 + (frames > 200) * 60).astype(np.uint8)
    )
    assert {"collapsed", "road and horizon from 20 s on"} <= failed(rows)


def test_a_still_picture_stands_and_one_that_changes_does_not(true):
    picture = true["universal"][0, :1]
    still_frames = np.repeat(picture, 5, 0)
    assert still.judge(still_frames, moves=False).holds
    other = np.concatenate([still_frames[:4], true["universal"][1, :1]])
    assert not still.judge(other, moves=False).holds
    soft = np.concatenate([still_frames[:4], blurred(picture)])
    assert not still.judge(soft, moves=True).holds
    # A picture that has gone soft in its first second is not saved by staying so, unless the view moved.
    early = np.concatenate([picture, np.repeat(blurred(picture), 4, 0)])
    assert not still.judge(early, moves=False).holds and still.judge(early, moves=True).holds


def test_one_who_stands_is_drawn_once_and_stands(monkeypatch):
    monkeypatch.setattr(runs, "SIZE", (36, 64))
    starts, drawn = runs.Starts.draw("universal", 1), []
    draw = runs.draw

    def counted(world, poses, size):
        drawn.append(poses.shape[1])
        return draw(world, poses, size)

    monkeypatch.setattr(runs, "draw", counted)
    found = still.look(starts, runs.true_run(starts), 0)
    assert {name: stood.holds for name, stood in found.items()} == dict.fromkeys(found, True)
    assert list(found) == ["nothing", "look_up", "look_down"] and sum(drawn) <= 5


def reading(mode, held, share):
    """What a picture reads that moves at a share of what it should."""
    signs = controllability.EXPECTED[mode][held]
    found = {pair: np.zeros(len(AXES[mode])) for pair in controllability.pairs_of(mode, held)}
    for sign in signs:
        for pair in sign.pairs:
            found[pair][list(AXES[mode]).index(sign.axis)] = sign.size * share
    return found


@pytest.mark.parametrize(
    "mode, held, share, holds",
    [
        ("universal", ("forward",), 0.9, True),
        ("universal", ("forward",), 0.72, False),
        ("gta_drive", ("accelerate",), 0.58, False),
        ("gta_drive", ("steer_left",), 1.3, False),
        ("templerun", ("jump",), 0.6, False),
        ("templerun", ("turn_left",), 1.0, True),
        ("templerun", (), 0.0, False),
    ],
)
def test_a_control_that_is_slow_or_hasty_fails(mode, held, share, holds):
    made, true = (controllability.speed_of(mode, held, reading(mode, held, s)) for s in (share, 1.0))
    assert made == pytest.approx(share) and true == pytest.approx(1)
    starts, found = runs.Starts.draw(mode, 3), []
    for factor in (0.97, 1.0, 1.03):
        keys = controllability.Found(
            {held: [True]}, {held: [True]}, {held: [True]}, [1.0], {held: [made * factor]}
        )
        found.append(bars.Found(keys=keys, true_speeds={held: [true * factor]}))
    name = f"speed, {'+'.join(held) or 'run'}"
    row = next(bar for bar in bars.table(starts, ["keys"], SECONDS, {}) if bar.name == name).judge(found, 20)
    assert row["holds"] is holds and row["low"] <= row["value"] <= row["high"]


def test_speeds_of_truth_are_read_as_one(monkeypatch):
    monkeypatch.setattr(speed, "BLOCKS", 1)
    monkeypatch.setitem(speed.SCRIPTS, "universal", [[("look_right",)] * controllability.BLOCKS])
    found = speed.true_speeds(runs.Starts.draw("universal", 1), 0)
    assert found[("look_right",)] == [pytest.approx(1, abs=0.15)]


def test_an_interval_is_wider_the_more_starts_differ():
    def bar_of(values):
        found = [bars.Found(true_speeds=value) for value in values]
        return bars.Bar("x", "x", lambda f: float(np.mean([e.true_speeds for e in f])), 0.9).judge(found)

    alike, apart = bar_of([1.0] * 8), bar_of([0.5, 1.5] * 4)
    assert alike["low"] == alike["high"] == alike["value"] == apart["value"] == 1
    assert apart["low"] < 0.9 < 1.1 < apart["high"] and apart["holds"]
    assert "holds" in said(alike) and ">= 0.9" in said(alike)


def test_the_lower_end_can_be_asked_for():
    found = [bars.Found(true_speeds=value) for value in (20.0, 23.0)]
    mean = lambda f: float(np.mean([e.true_speeds for e in f]))  # noqa: E731
    assert bars.Bar("x", "x", mean, 21.0).judge(found)["holds"]
    assert not bars.Bar("x", "x", mean, 21.0, None, 20.5).judge(found)["holds"]


def test_distances_are_of_gaussians():
    generator = np.random.default_rng(0)
    a = generator.normal(size=(20_000, 3))
    assert walk.frechet(a, a) < 1e-9
    assert walk.frechet(a, a + 2) == pytest.approx(12, rel=0.02)
    assert walk.frechet(a, 3 * a) == pytest.approx(12, rel=0.05)  # (3 - 1)^2 in each direction
    assert quality.FIRST in walk.moments(60)["quality"]


def test_a_vae_keeps_the_picture_and_not_all_of_its_detail():
    starts = runs.Starts.draw("universal", 1)
    kept = runs.model_keep(runs.embedded("universal"), "cpu")(starts.image(0))
    own = np.asarray(starts.image(0))
    assert kept.shape == own.shape and psnr(kept, own) > 25 and detail(kept) < 0.9 * detail(own)


def test_the_starts_can_be_shared_among_processes(tmp_path):
    """Where nobody stands nothing is played, so that only the processes are tried."""
    asked = ("--truth", "--modes", "templerun", "--only", "still", "--starts", "2", "--workers", "1")
    out = tmp_path / "worlds.json"
    command = [sys.executable, "-m", "benchmarks.worlds", *asked, "--json", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240)
    assert json.loads(out.read_text())["templerun"]["starts"] == 2


def test_a_batch_may_have_no_spoiled_picture():
    none = torch.zeros(0, 3, *teach.SIZE)
    assert teach.spoil(none, torch.Generator()).shape == none.shape
