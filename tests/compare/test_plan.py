"""Plans: what a grid holds, and what the key of a run depends on."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.compare.catalog import cases, seeds_of, variant
from mgdemo.compare.plan import Case, PlanError, Variant, grid, summary
from mgdemo.errors import UserError
from mgdemo.paths import SCENARIOS
from mgdemo.picture import StartImage

FACTS = {"version": "1.0", "device": "cpu"}


def a_case(**changes):
    picture = Image.fromarray(np.full((9, 16, 3), 90, np.uint8))
    track = ActionTrack.hold("universal", ["forward"], frames=30)
    return replace(Case("Ahead", track, StartImage("embedded:gray", picture)), **changes)


def a_variant(name="universal-tiny", mode="universal", **changes):
    return replace(Variant(name, mode, (144, 256), f"weights of {name}", True), **changes)


def key(case=None, variant=None, **facts):
    return grid([case or a_case()], [variant or a_variant()], **(FACTS | facts)).all[0].key


def test_a_grid_has_every_row_in_every_column():
    columns = [a_variant(), a_variant("gta-tiny", "gta_drive"), a_variant("run-tiny", "templerun")]
    rows = [a_case(), a_case(seed=1)]
    made = grid(rows, columns, **FACTS)
    assert [[(r.case, r.variant) for r in row] for row in made.runs] == [
        [(c, v) for v in columns] for c in rows
    ]
    assert [run.track.mode for run in made.all] == ["universal", "gta_drive", "templerun"] * 2
    assert made.frames == 6 * 33, "whole blocks"
    assert len({run.key for run in made.all}) == 6


def test_a_column_with_a_seed_of_its_own_has_it_in_every_row():
    columns = [a_variant(), a_variant(seed=3), a_variant(seed=0)]
    made = grid([a_case(), a_case(seed=7)], columns, **FACTS)
    assert [[run.seed for run in row] for row in made.runs] == [[0, 3, 0], [7, 3, 0]]
    assert made.runs[0][1].key == made.runs[1][1].key == key(a_case(seed=3))


@pytest.mark.parametrize(
    "change",
    [
        {"case": a_case(seed=1)},
        {"case": a_case(start=StartImage(None, Image.fromarray(np.full((9, 16, 3), 91, np.uint8))))},
        {"case": a_case(track=ActionTrack.hold("universal", ["forward"], frames=31))},
        {"case": a_case(track=ActionTrack.hold("universal", ["forward"], (0.1, 0), frames=30))},
        {"variant": a_variant(weights="others")},
        {"variant": a_variant(optimization="fp8")},
        {"variant": a_variant(seed=1)},
        {"version": "1.1"},
        {"device": "cuda"},
    ],
)
def test_what_changes_frames_changes_the_key(change):
    assert key(**change) != key()


@pytest.mark.parametrize(
    "change", [{"case": a_case(title="Other words")}, {"variant": a_variant(title="Other words")}, {}]
)
def test_what_changes_no_frame_does_not(change):
    assert key(**change) == key()


def test_each_mode_starts_from_a_place_of_its_own_and_from_a_picture_of_yours():
    street = StartImage("embedded:street", Image.new("RGB", (16, 9)))
    columns = [a_variant(), a_variant("gta-tiny", "gta_drive", start=street)]
    own = StartImage(None, Image.new("RGB", (16, 9), (9, 9, 9)))
    rows = [a_case(), a_case(start=own)]
    (shipped, foreign), (mine, too) = grid(rows, columns, **FACTS).runs
    assert shipped.start is rows[0].start and foreign.start is street
    assert mine.start is too.start is own


def test_a_summary_says_size_time_and_what_is_lost():
    rows = [a_case(track=ActionTrack.hold("universal", ["look_up"], frames=21))]
    columns = [a_variant(), a_variant("gta-tiny", "gta_drive")]
    text = summary(grid(rows, columns, **FACTS), {("universal-tiny", ""): 21.0, ("gta-tiny", ""): 10.5})
    assert text == ("2 runs, 42 frames (2 s of video), about 3 s; in 21 frames a control has no counterpart.")
    assert "not known" in summary(grid(rows, columns, **FACTS), {"universal-tiny": 21.0})
    assert "time" not in summary(grid(rows, columns, **FACTS)) and "about" not in summary(
        grid(rows, columns, **FACTS)
    )


def test_a_large_start_image_is_hashed_once_for_all_runs(monkeypatch):
    start, converted = StartImage(None, Image.new("RGB", (16, 9))), []
    convert = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda *a, **k: converted.append(a) or convert(*a, **k))
    made = grid([a_case(start=start, seed=seed) for seed in range(20)], [a_variant()], **FACTS)
    assert len({run.key for run in made.all}) == 20 and len({run.image for run in made.all}) == 1
    assert len(converted) <= 1


def test_too_much_and_nothing_are_refused_with_a_cure():
    with pytest.raises(PlanError, match="choose 6 at most"):
        grid([a_case()], [a_variant(str(i)) for i in range(7)], **FACTS)
    with pytest.raises(PlanError, match="choose a scenario and a checkpoint"):
        grid([], [a_variant()], **FACTS)


def test_rows_come_from_files_patterns_seeds_and_images(tmp_path):
    pattern = str(SCENARIOS / "gta_drive" / "*.yaml")
    rows = cases([pattern])
    assert len(rows) == len(list((SCENARIOS / "gta_drive").glob("*.yaml")))
    assert all((row.start.reference or "").startswith("embedded:") for row in rows)
    one = str(SCENARIOS / "gta_drive" / "slalom.yaml")
    assert [row.seed for row in cases([one, one], seeds=[3, 4])] == [3, 4]
    Image.new("RGB", (32, 18), (9, 99, 9)).save(tmp_path / "green.png")
    (own,) = cases([one], images=[tmp_path / "green.png"])
    assert own.start.reference is None and own.start.picture.getpixel((5, 5)) == (9, 99, 9)


def test_a_scenario_whose_picture_is_missing_asks_for_it(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("title: T\nmode: universal\nimage: lost.png\nactions: [{hold: W, for: 1s}]\n")
    with pytest.raises(PlanError, match=r"lost\.png: choose it with --images"):
        cases([str(path)])
    for nothing in (tmp_path / "*.yml", tmp_path, f"{tmp_path}*"):
        with pytest.raises(PlanError, match="is not a scenario"):
            cases([str(nothing)])


def test_seeds_as_people_write_them():
    assert seeds_of(["7", "0..2", "7"]) == [7, 0, 1, 2]
    for wrong in ("x", "-1", "3..", "0..1000000", "3..0", str(2**32)):
        with pytest.raises(UserError):
            seeds_of([wrong])


def test_a_column_knows_its_checkpoint():
    column = variant("templerun-tiny")
    assert (column.mode, column.size, column.known) == ("templerun", (144, 256), True)
    assert variant("templerun-tiny").weights == column.weights != variant("gta_drive-tiny").weights
