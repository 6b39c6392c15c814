"""What a visitor chooses to compare: grids of it, presets, links, and what is said before it runs."""

import dataclasses
import json

import pytest
from PIL import Image

from mgdemo.checkpoints import Entry
from mgdemo.compare.device import Device
from mgdemo.compare.jobs import CellState
from mgdemo.compare.plan import PlanError
from mgdemo.compare.translate import MEANINGS
from mgdemo.compare.votes import Side, Vote
from mgdemo.errors import UserError
from mgdemo.ui import share
from mgdemo.ui.compare import link
from mgdemo.ui.compare.choice import Choice
from mgdemo.ui.compare.planner import ChoiceError, Planner, image_choices, key_of, scenario_choices
from mgdemo.ui.compare.presets import PRESETS
from mgdemo.ui.compare.progress import totals
from mgdemo.ui.compare.standing import standing_of, titles_of
from mgdemo.ui.compare.words import counterparts, losses_of, size_of
from mgdemo.ui.files import KEPT
from mgdemo.ui.share import ShareError

CPU, H100 = Device("cpu stub"), Device("NVIDIA H100", fp8=True)
CHOICE = Choice(("universal/one",), checkpoints=("universal", "templerun"))


def plan(library, device=CPU, **changes):
    return Planner(library, device).plan(dataclasses.replace(CHOICE, **changes))


@pytest.fixture
def uploads(tmp_path, monkeypatch):
    """Puts a file where Gradio keeps uploads; its path."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def put(name, data):
        path = tmp_path / (KEPT if name.endswith(".png") else "abc") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)

    return put


def png(tmp_path, color):
    path = tmp_path / "picture.png"
    Image.new("RGB", (64, 48), color).save(path)
    return path.read_bytes()


def test_rows_and_columns_are_products(stub_library):
    grid = plan(
        stub_library,
        scenarios=("universal/one", "templerun/one"),
        seeds="1, 5..6",
        images=("universal:red", "universal:blue"),
    )
    assert len(grid.rows) == 2 * 3 * 2 and len(grid.columns) == 2
    assert {case.seed for case in grid.rows} == {1, 5, 6}
    assert {case.start.reference for case in grid.rows} == {"embedded:red", "embedded:blue"}
    grid = plan(
        stub_library, H100, column_seeds="0..2", optimizations=("none", "fp8"), checkpoints=("universal",)
    )
    assert [(c.seed, c.optimization) for c in grid.columns] == [
        (seed, words) for words in ("", "fp8") for seed in range(3)
    ]
    assert len({c.title for c in grid.columns[:3]}) == 3


def test_the_same_column_twice_is_one(stub_library):
    assert len(plan(stub_library, checkpoints=("universal", "universal"), column_seeds="1 1..2").columns) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenarios": ()}, "Choose a scenario"),
        ({"checkpoints": ()}, "Choose a checkpoint"),
        ({"scenarios": ("universal/other",)}, "no scenario called universal/other"),
        ({"scenarios": ("/etc/passwd",)}, "no scenario called"),
        ({"checkpoints": ("other",)}, "no checkpoint called other"),
        ({"checkpoints": ("universal-big",)}, "not on this machine"),
        ({"images": ("universal:other",)}, "no start image called"),
        ({"seeds": "one"}, "one is not a seed"),
        ({"seeds": "99999999999"}, "cannot be a seed"),
        ({"column_seeds": "0..6"}, "14 columns do not fit"),
        ({"optimizations": ("fp8",)}, "FP8 needs an NVIDIA GPU.*cpu stub"),
        ({"optimizations": ("low-vram",)}, "for NVIDIA GPUs"),
        ({"optimizations": ("faster",)}, '"faster" is not an optimization'),
    ],
)
def test_what_cannot_be_compared_is_told(stub_library, changes, words):
    with pytest.raises(UserError, match=words):
        plan(stub_library, **changes)


def test_own_files_are_rows_and_a_missing_one_is_asked_for_again(stub_library, uploads, tmp_path):
    scenario = uploads("mine.yaml", b"title: Mine\nmode: universal\nactions:\n  - {hold: [W], for: 2s}\n")
    picture = uploads("mine.png", png(tmp_path, (1, 2, 3)))
    names = {scenario: "mine.yaml", picture: "mine.png"}
    (case,) = plan(stub_library, scenarios=(scenario,), images=(picture,), names=names).rows
    assert (case.title, case.start.reference) == ("Mine", None)
    assert case.start.picture.getpixel((0, 0)) == (1, 2, 3)
    for path in (scenario, picture):
        gone = {**names, f"{path}.gone": "gone.png"}
        with pytest.raises(ChoiceError, match=r"gone.png isn't on the server any more"):
            plan(stub_library, scenarios=(scenario,), images=(f"{path}.gone",), names=gone)
    outside = tmp_path.parent / "outside.yaml"
    outside.write_text("title: Outside\nmode: universal\nactions: [{for: 1s}]\n")
    with pytest.raises(ChoiceError, match="any more"):
        plan(stub_library, scenarios=(str(outside),), names={str(outside): "outside.yaml"})


def test_a_scenario_asks_for_its_own_picture(stub_library, uploads):
    path = uploads("mine.yaml", b"title: Mine\nmode: universal\nimage: beach.jpg\nactions: [{for: 2s}]\n")
    with pytest.raises(ChoiceError, match=r"Mine: This scenario starts from .*: choose it"):
        plan(stub_library, scenarios=(path,), names={path: "mine.yaml"})
    grid = plan(stub_library, scenarios=(path,), names={path: "mine.yaml"}, images=("universal:red",))
    assert grid.rows[0].start.reference == "embedded:red"


def test_lists_offer_what_is_here_and_what_the_visitor_brought(stub_library):
    scenarios = scenario_choices(stub_library, {"/x/mine.yaml": "mine.yaml"})
    assert ("There and round (Universal)", "universal/one") in scenarios
    assert scenarios[-1] == ("mine.yaml (yours)", "/x/mine.yaml")
    assert ("Red (Temple Run)", "templerun:red") in image_choices(stub_library, {})
    assert [key_of(each) for each in stub_library.scenarios()["templerun"]] == ["templerun/one"]


def test_a_choice_comes_back_from_its_text_and_nonsense_does_not():
    choice = dataclasses.replace(CHOICE, seeds="3", by="key", names={"/x": "mine.yaml"})
    assert Choice.read(choice.text()) == choice
    for text in ("", "[]", "null", '{"scenarios": "x"}', '{"scenarios": [1]}', '{"other": 1}', '{"by": "x"}'):
        with pytest.raises(ValueError):
            Choice.read(text)
    assert len(Choice.read(json.dumps({"scenarios": ["x"] * 10_000})).scenarios) <= 100


def test_a_link_holds_grid_choice_and_moment():
    fragment = link.fragment("0" * 24, CHOICE)
    assert link.parse(fragment) == link.ComparisonLink("0" * 24, CHOICE)
    assert link.parse(f"{fragment}{link.AT}row%3D2%26frame%3D7").at == "row=2&frame=7"
    own = dataclasses.replace(CHOICE, scenarios=("/x",), names={"/x": "mine.yaml"})
    assert own.private and link.parse(link.fragment("0" * 24, own)).choice is None
    assert "mine" not in str(share.unpacked(link.fragment("0" * 24, own).partition("=")[2]))


@pytest.mark.parametrize(
    "fragment",
    [
        "compare=",
        "compare=abc",
        "play=abc",
        share.COMPARE + share.packed([]),
        share.COMPARE + share.packed({"grid": "../x", "choice": None}),
        share.COMPARE + share.packed({"grid": "", "choice": "{}x"}),
        share.COMPARE + share.packed({"grid": "", "choice": 7}),
        share.COMPARE + share.packed({"grid": "", "choice": None}) + link.AT + "x" * 1000,
        share.COMPARE + "A" * 20_000,
    ],
)
def test_a_damaged_link_is_refused(fragment):
    with pytest.raises(ShareError, match="incomplete"):
        link.parse(fragment)


def test_presets_are_choices_that_can_be_planned_or_say_why_not(stub_library):
    found = {preset.name: preset.choice(stub_library, lambda: CPU) for preset in PRESETS}
    for name in ("three worlds", "four seeds"):
        assert Planner(stub_library, CPU).plan(found[name]).all
    assert [c.mode for c in Planner(stub_library, CPU).plan(found["three worlds"]).columns] == [
        "universal",
        "templerun",
    ]
    assert [c.seed for c in Planner(stub_library, CPU).plan(found["four seeds"]).columns] == [0, 1, 2, 3]
    assert "mgdemo download" in found["embedded against published"]
    assert "FP8 needs" in found["fp8 against bf16"] and "cpu stub" in found["fp8 against bf16"]
    fp8 = PRESETS[-1].choice(stub_library, lambda: H100)
    assert [c.optimization for c in Planner(stub_library, H100).plan(fp8).columns] == ["", "fp8"]


def test_embedded_against_published_where_both_are_here(stub_library):
    big = next(entry for entry in stub_library.catalog() if entry.name == "universal-big")
    there = [*(e for e in stub_library.catalog() if e is not big), Entry(big.config, True)]
    library = dataclasses.replace(stub_library, catalog=lambda: there)
    preset = next(each for each in PRESETS if each.name.startswith("embedded"))
    assert preset.choice(library, lambda: H100).checkpoints == ("universal", "universal-big")
    assert "needs an NVIDIA GPU" in preset.choice(library, lambda: CPU)


def test_what_is_said_before_it_runs(stub_library):
    grid = plan(stub_library)
    assert size_of(grid, {}) == "2 runs, 210 frames, 8 s of video."
    speeds = {("universal", ""): 10.5, ("templerun", ""): 21}
    assert size_of(grid, speeds).endswith("about 15 s to make.")
    assert size_of(grid, speeds, devices=4).endswith("about 8 s to make."), "two runs, on two devices"
    kept = [grid.all[0].key]
    assert size_of(grid, speeds, kept).endswith("about 5 s to make. 1 of them is there already.")
    assert size_of(grid, {}, [run.key for run in grid.all]).endswith("All are there already.")
    (line,) = losses_of(grid)
    assert line.startswith("There and round in Grey run: nothing corresponds to") and "frames" in line
    assert losses_of(plan(stub_library, checkpoints=("universal",))) == []
    many = plan(stub_library, seeds="0..40", checkpoints=("templerun",))
    assert len(losses_of(many)) == 13 and losses_of(many)[-1].startswith("And ")


def test_the_tables_of_counterparts_are_those_of_the_translation():
    html = counterparts()
    for what, names in MEANINGS.items():
        row = html.partition(f">{what.capitalize()}<")[2].partition("</tr>")[0]
        assert row.count("–") == 3 - len(names), what


def test_how_a_grid_stands_as_a_whole(stub_library):
    grid = plan(stub_library, column_seeds="0..1")
    a, b, c, d = (run.key for run in grid.all)
    states = [
        CellState(a, "finished", 1.0),
        CellState(b, "running", 0.5, fps=10.0),
        CellState(c, "failed", 0.2),
        CellState(d),
    ]
    found = totals(grid, states)
    assert (found["runs"], found["finished"], found["failed"], found["cancelled"]) == (4, 1, 1, 0)
    assert found["fps"] == 10 and found["seconds_left"] == round((0.5 * 105 + 105) / 10)
    assert 0.5 <= found["share"] < 0.7
    over = totals(grid, [CellState(key, "cancelled") for key in (a, b, c, d)])
    assert (over["cancelled"], over["share"], over["seconds_left"]) == (4, 1.0, None)


def test_the_result_of_votes_is_sorted_and_empty_without_votes(stub_library):
    columns = plan(stub_library).columns
    titles = titles_of(columns)
    empty = standing_of([], "obeys", titles)
    assert empty["votes"] == 0 and all(column["chance"] is None for column in empty["columns"])
    names = [f"{c.checkpoint}@{c.weights[:8]}" for c in columns]
    votes = [Vote(str(i), "obeys", "right", Side("a", names[0]), Side("b", names[1])) for i in range(9)]
    found = standing_of(votes, "obeys", titles)
    first, second = found["columns"]
    assert (first["title"], second["title"]) == ("Grey run", "Grey world")
    assert first["chance"] > 0.8 and second["low"] < second["chance"] < second["high"] < 0.6


def test_too_many_frames_are_refused_before_it_runs(stub_library):
    from mgdemo.compare.plan import check_size

    grid = plan(stub_library)
    assert grid.frames == 210
    check_size(grid.rows, grid.columns, 210)
    check_size(grid.rows, grid.columns, None)
    with pytest.raises(PlanError, match=r"210 frames are too many.*up to 209 frames"):
        check_size(grid.rows, grid.columns, 209)


def test_far_too_much_is_refused_before_it_is_planned(stub_library, monkeypatch):
    """Each run costs some milliseconds to plan, and the page asks at each key press."""
    monkeypatch.setattr("mgdemo.ui.compare.planner.grid", lambda *_, **__: pytest.fail("it was planned"))
    many = dataclasses.replace(CHOICE, seeds="0..99", scenarios=("universal/one", "templerun/one"))
    with pytest.raises(PlanError, match="21000 frames are too many"):
        Planner(stub_library, CPU, 15_000).plan(many)
    many = dataclasses.replace(CHOICE, seeds="0..75", scenarios=("universal/one",))
    assert len(many.checkpoints) == 2
    with pytest.raises(PlanError, match=r"152 runs are too many.*up to 150 runs together"):
        Planner(stub_library, CPU, 16_000).plan(many)


def test_what_is_named_twice_is_compared_once(stub_library):
    found = plan(
        stub_library,
        scenarios=("universal/one",) * 3,
        images=("universal:red",) * 3,
        checkpoints=("universal",) * 9,
        optimizations=("none",) * 9,
    )
    assert (len(found.rows), len(found.columns)) == (1, 1)
