"""From WBench's cases to the folder that its evaluation reads. The cases are hand-made, in its form."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from mgdemo.cli import main
from mgdemo.scenario import load_scenario
from mgdemo.video.mp4 import read_frames
from mgdemo.wbench.cases import CaseError, read_case
from mgdemo.wbench.scenarios import write_scenario


@pytest.fixture
def data(tmp_path) -> Path:
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "cases").mkdir()
    Image.new("RGB", (96, 64), (90, 120, 60)).save(tmp_path / "data" / "images" / "valley.jpg")
    return tmp_path / "data"


def write(data: Path, *actions, name="case", key="action", **fields) -> Path:
    case = {
        "id": "e_5",
        "description": "Walk into the valley",
        "environment_prompt": "a valley",
        "character_prompt": "",
        "perspective_prompt": "first person",
        "settings": {
            "scene": "nature",
            "style": "photo",
            "perspective": "first_person",
            "subject": None,
            "rule": "",
            "initial_image": "images/valley.jpg",
        },
        "interactions": [
            {"turn": i, "type": "navigation", key: action, "prompt": "go on"}
            for i, action in enumerate(actions)
        ],
        "eval_dimensions": ["navigation"],
        "eval_questions": [],
    } | fields
    path = data / "cases" / f"{name}.json"
    path.write_text(json.dumps({k: v for k, v in case.items() if v is not ...}), encoding="utf-8")
    return path


def hold(*held, seconds=4):
    return ActionTrack.hold("universal", held, frames=25 * seconds)


def test_a_case_becomes_a_scenario_with_its_image(data, tmp_path):
    case = read_case(write(data, "W+→", "stop", "The dragon wakes", "S + up", key="action_key"))
    path = write_scenario(case, tmp_path / "wbench")
    made = load_scenario(path)
    assert (made.title, made.description, made.mode) == ("WBench e_5", "Walk into the valley", "universal")
    assert made.path.with_name(made.image).read_bytes() == (data / "images" / "valley.jpg").read_bytes()
    turns = [hold("W", "L"), hold(), hold(), hold("S", "I")]
    assert made.track == ActionTrack.concat([*turns, hold().frames(0, 1)])
    assert [(mark.name, mark.frame) for mark in made.marks] == [
        ("turn 1", 0), ("turn 2", 100), ("turn 3", 200), ("turn 4", 300), ("end", 400),
    ]  # fmt: skip
    assert not made.returns
    assert "{for: 4s}  # no navigation, so nothing is held: The dragon wakes" in path.read_text()
    assert "{for: 4s}\n" in path.read_text(), "to stop is navigation"


@pytest.mark.parametrize(
    ("action", "held"),
    [
        ("w", "W"),
        ("W+A", "WA"),
        ("left+RIGHT+Up+down", "JLIK"),
        ("←+→+↑+↓", "JLIK"),
        ("S+\u2190\ufe0f", "SJ"),
        ("D+left", "DJ"),
        ("W+W+w", "W"),
        ("stop+W", "W"),
        (" W  +  up ", "WI"),
    ],
)
def test_keys_arrows_and_words_are_understood(data, action, held):
    turn = read_case(write(data, action)).turns[0]
    assert turn.action is None
    assert {MODES["universal"].control(name).label for name in turn.held} == set(held)


@pytest.mark.parametrize(
    "action", ["", None, "W+", "+", "jump", "W+jump", "Q", "stops", "WA", "W,A", "⬅", "x" * 5000]
)
def test_what_is_no_navigation_holds_nothing_and_is_said(data, tmp_path, action, capsys):
    path = write(data, "W", action)
    turn = read_case(path).turns[1]
    assert turn.held == () and turn.action
    assert main(["scenario", "import", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "e_5.yaml: 2 turns; 1 no navigation, so nothing is held" in capsys.readouterr().out
    assert load_scenario(tmp_path / "out" / "e_5.yaml").track.frames(100, 200) == hold()


@pytest.mark.parametrize(
    ("actions", "loops"),
    [
        (["W", "S"], True),
        (["W+→", "←+S"], True),
        (["W", "right", "left", "S"], True),
        (["W", "stop", "S"], True),
        (["W", "A", "S"], False),
        (["W", "W"], False),
        (["stop", "stop"], False),
        (["W"], False),
    ],
)
def test_a_case_that_undoes_itself_says_where_it_is_back(data, tmp_path, actions, loops):
    case = read_case(write(data, *actions))
    made = load_scenario(write_scenario(case, tmp_path))
    assert case.loops == loops
    assert made.returns == (((0, 100 * len(actions)),) if loops else ())


def test_turns_stand_in_the_order_of_their_numbers(data):
    turns = [{"turn": 2, "action": "S"}, {"turn": 0, "action": "W"}, {"turn": 1, "action": "A"}]
    held = [turn.held for turn in read_case(write(data, interactions=turns)).turns]
    assert held == [("forward",), ("left",), ("back",)]
    unnumbered = read_case(write(data, interactions=[{"action": "S"}, {"action": "W"}])).turns
    assert [turn.held for turn in unnumbered] == [("back",), ("forward",)]


def image(name):
    return {"settings": {"initial_image": name}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": ...}, "case.json is not a WBench case: id: Field required"),
        ({"id": "../../x"}, 'has the id "../../x", which cannot be the name of a file'),
        ({"id": "a" * 41}, "40 at most"),
        ({"id": ""}, "cannot be the name of a file"),
        ({"id": "a\n"}, "cannot be the name of a file"),
        ({"id": True}, "not a WBench case"),
        ({"id": ["e"]}, "not a WBench case"),
        ({"settings": ...}, "settings: Field required."),
        ({"settings": []}, "settings: "),
        ({"settings": {}}, "settings.initial_image: Field required."),
        (image(7), "settings.initial_image: "),
        (image(""), "settings.initial_image: "),
        (
            image("/etc/passwd"),
            'starts from "/etc/passwd", which is not beside the case or one folder above it',
        ),
        (image("../../secret.jpg"), 'starts from "../../secret.jpg"'),
        (image("images/../../secret.jpg"), "which is not beside"),
        (image("images/link.jpg"), "which is not beside"),
        (image("images"), "which is not beside"),
        (image("images/none.jpg"), "which is not beside"),
        (image("images/\0.jpg"), "which is not beside"),
        (image("x" * 900), "which is not beside"),
        ({"interactions": ...}, "interactions: Field required."),
        ({"interactions": []}, "interactions: "),
        ({"interactions": {"turn": 0}}, "interactions: "),
        ({"interactions": [{"turn": 0, "action": "W"}] * 2}, "does not number each turn differently"),
        ({"interactions": [{"turn": 0, "action": "W"}, {"action": "W"}]}, "does not number each turn"),
        ({"interactions": [{"turn": "0", "action": "W"}]}, "interactions.0.turn: "),
        ({"interactions": [{"turn": 0, "action": ["W"]}]}, "interactions.0.action: "),
        ({"interactions": ["W"]}, "interactions.0: "),
        ({"interactions": [{"action": "W"}] * 100}, "interactions: List should have at most 99 items"),
        ({"description": {"a": 1}}, "description: "),
        ({"eval_questions": "x" * 2**20}, "is larger than 1 MB"),
    ],
)
def test_files_that_are_no_cases_are_refused(data, fields, message):
    secret = data.parent / "secret.jpg"
    Image.new("RGB", (64, 64)).save(secret)
    (data / "images" / "link.jpg").symlink_to(secret)
    path = write(data, "W", **fields)
    with pytest.raises(CaseError) as caught:
        read_case(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "{", "[]", "null", "7", '"x"', "\x00", b"\xff\xfe", '{"id": NaN}']
)
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "case.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CaseError, match=r"case\.json is (not JSON|not a WBench case)"):
        read_case(path)


def test_a_folder_is_imported_and_what_cannot_be_is_said(data, tmp_path, capsys):
    write(data, "W", name="1", id=1)
    write(data, "W", name="2", id="ps_3")
    write(data, "W", name="3", **image("none.jpg"))
    (data / "images" / "text.jpg").write_text("no picture")
    write(data, "W", name="4", id="4", **image("images/text.jpg"))
    arguments = [
        "scenario",
        "import",
        str(data / "cases"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "2 of 4 cases are scenarios now." in told.out
    assert "3.json starts from" in told.err and "text.jpg" in told.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "1.jpg",
        "1.yaml",
        "ps_3.jpg",
        "ps_3.yaml",
    ]

    assert main([*arguments[:2], str(data / "cases" / "1.json"), *arguments[3:]]) == 0, "the same again"
    mine = (tmp_path / "out" / "1.yaml").read_text() + "# mine\n"
    (tmp_path / "out" / "1.yaml").write_text(mine)
    assert main(arguments) == 1
    assert (
        "1.yaml exists and differs: delete it, or choose another folder with --out."
        in capsys.readouterr().err
    )
    assert (tmp_path / "out" / "1.yaml").read_text() == mine
    assert main(["scenario", "import", str(tmp_path), "--out", str(tmp_path / "out")]) == 2


@pytest.mark.model
def test_cases_are_run_and_exported_by_three_commands(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MGDEMO_LOADER", "benchmarks.stub_world:load_small")
    write(data, "W", "S", name="a")
    write(data, "D", name="b", id="2")
    write(data, "D+up", name="c", id="10")
    cases, runs, results = (str(tmp_path / name) for name in ("wbench", "runs", "results"))
    assert main(["scenario", "import", str(data / "cases"), "--data", str(data), "--out", cases]) == 0
    assert main(["compare", f"{cases}/*.yaml", "--checkpoints", "universal-tiny", "--out", runs]) == 0
    (Path(runs) / "runs" / ".unfinished-x").mkdir()
    (Path(runs) / "runs" / ".unfinished-x" / "video.mp4").write_text("half a film")
    told = ["--name", "matrix-game-2", "--org", "The authors", "--contact", "a@b.c", "--out", results]
    assert main(["scenario", "export", runs, *told]) == 0
    assert "3 cases in" in capsys.readouterr().out

    folder = Path(results)
    assert json.loads((folder / "meta.json").read_text()) == {
        "model_name": "matrix-game-2",
        "type": "action",
        "display_name": "matrix-game-2",
        "org": "The authors",
        "contact": "a@b.c",
    }
    turns = json.loads((folder / "turns.json").read_text())
    assert turns == {
        "fps": 25,
        "cases": {
            "2": {"turn_frames": [0, 100]},
            "10": {"turn_frames": [0, 100]},
            "e_5": {"turn_frames": [0, 100, 200]},
        },
    }
    assert list(turns["cases"]) == ["2", "10", "e_5"]
    videos = {path.name: path for path in (folder / "videos").iterdir()}
    assert sorted(videos) == ["case_10_combined.mp4", "case_2_combined.mp4", "case_e_5_combined.mp4"]
    frames = list(read_frames(videos["case_e_5_combined.mp4"]))
    assert 200 < len(frames) <= 200 + 12

    assert main(["scenario", "export", runs, *told]) == 2
    assert "is not empty: choose another folder with --out." in capsys.readouterr().err
    assert main(["scenario", "export", runs, *told[:-1], f"{results}2", "--checkpoint", "gta"]) == 2
    assert "There are no films of gta of imported WBench cases there." in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "results", "runs", "wbench"]
