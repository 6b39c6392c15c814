"""Scenarios that perform others."""

from pathlib import Path

import pytest

from mgdemo.actions import ActionTrack
from mgdemo.cli import main
from mgdemo.paths import SCENARIOS
from mgdemo.replay import open_replay
from mgdemo.scenario import MAX_BYTES, ScenarioError, load_scenario, parse_scenario, scenario_yaml

HEAD = "title: T\nmode: universal\nactions:\n"


@pytest.fixture
def write(tmp_path):
    def write(name: str, *steps: str, head: str = HEAD) -> Path:
        path = tmp_path / name
        path.write_text(head + "".join(f"  - {step}\n" for step in steps), encoding="utf-8")
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_include_is_what_writing_its_steps_would_be(write):
    steps = [
        "for: 1 block",
        "{hold: W, for: 0.3s}",
        "random: {for: 1s, seed: 4}",
        "mirror: [{hold: A, for: 1s}]",
    ]
    write("other.yaml", *steps, head="title: O\nmode: Universal\nimage: a.png\nseed: 3\nactions:\n")
    made = load_scenario(
        write("whole.yaml", "include: other.yaml", "{hold: J, for: 0.3s}", "include: other.yaml")
    )
    written = load_scenario(write("written.yaml", *steps, "{hold: J, for: 0.3s}", *steps))
    assert (made.track, made.returns) == (written.track, written.returns)
    assert (made.title, made.image, made.seed) == ("T", None, None)


def test_what_is_recorded_or_linked_needs_no_other_file(write):
    write("other.yaml", "mark: a", "{hold: W, for: 1s}")
    made = load_scenario(write("whole.yaml", "mirror: [include: other.yaml]"))
    alone = parse_scenario(scenario_yaml(made.track, title=made.title, marks=made.marks))
    assert (alone.track, alone.marks) == (made.track, made.marks)
    assert "include" not in alone.text


def test_however_small_a_camera_value_is_its_text_can_be_read(write):
    made = load_scenario(write("small.yaml", "{camera: {pitch: 1e-30, yaw: -1.2345678e-14}, for: 1s}"))
    assert made.track.mouse is not None and made.track.mouse.any()
    assert parse_scenario(scenario_yaml(made.track, title="Small")).track == made.track


def test_flatten_makes_one_file_of_several(write, tmp_path, capsys):
    write("other.yaml", "mark: a", "{hold: W, for: 1s}")
    path = write(
        "whole.yaml", "include: other.yaml", "include: other.yaml", head=f"description: D\nseed: 4\n{HEAD}"
    )
    assert main(["scenario", "flatten", str(path)]) == 0
    printed = parse_scenario(capsys.readouterr().out)
    assert printed.track == load_scenario(path).track
    assert (printed.title, printed.description, printed.seed) == ("T", "D", 4)
    assert [mark.name for mark in printed.marks] == ["a", "a 2"]
    assert main(["scenario", "flatten", str(path), "--out", str(tmp_path / "flat.yaml")]) == 0
    assert (tmp_path / "flat.yaml").read_text() == printed.text
    assert main(["scenario", "flatten", str(path), "--out", str(path)]) == 2
    assert "would lose its comments: choose another file" in capsys.readouterr().err
    assert "include" in path.read_text()


def test_marks_of_included_files_are_numbered(write):
    write("other.yaml", "mark: start", "for: 1s")
    path = write(
        "whole.yaml", "mark: Start", "include: other.yaml", "repeat: 2\n    actions: [include: other.yaml]"
    )
    found = [(mark.name, mark.frame) for mark in load_scenario(path).marks]
    assert found == [("Start", 0), ("start 2", 0), ("start 3", 25), ("start 4", 50)]


def test_text_finds_its_includes_in_the_folder_that_it_is_given(write, tmp_path):
    write("other.yml", "for: 1s")
    text = HEAD + "  - include: other.yml"
    assert len(parse_scenario(text, folder=tmp_path).track) == 25
    with pytest.raises(ScenarioError, match="would be a file beside this one, and here there is none"):
        parse_scenario(text)


def test_an_upload_includes_nothing_that_lies_beside_it(write):
    write("other.yaml", "for: 1s")
    path = write("whole.yaml", "include: other.yaml")
    assert len(open_replay(path).scenario.track) == 25
    with pytest.raises(ScenarioError, match=r'line 4, column 14: "other\.yaml" would be a file beside'):
        open_replay(path, alone=True)


def test_shipped_scenarios_are_included_from_anywhere():
    name = next((SCENARIOS / "universal").glob("*.yaml")).stem
    made = parse_scenario(HEAD + f"  - include: embedded:{name}\n  - for: 1 frame")
    shipped = load_scenario(SCENARIOS / "universal" / f"{name}.yaml").track
    assert made.track == ActionTrack.concat([shipped, ActionTrack.hold("universal", ())])
    with pytest.raises(ScenarioError, match="ships for mode universal \\(did you mean zigzag"):
        parse_scenario(HEAD + "  - include: embedded:zig-zag")
    with pytest.raises(ScenarioError, match="ships for mode universal; choose one"):
        parse_scenario(HEAD + "  - include: embedded:slalom")


def test_files_that_cannot_be_included(write, tmp_path):
    write("other.yaml", "for: 1s")
    write("drive.yaml", "for: 1s", head="title: T\nmode: gta_drive\nactions:\n")
    write("broken.yaml", "hold: W")
    write("jump.yaml", "hold: W, for: 1s", head="title: T\nmode: templerun\nactions:\n")
    (tmp_path / "folder.yaml").mkdir()
    secret = tmp_path.parent / "secret.yaml"
    secret.write_text("password")
    (tmp_path / "link.yaml").symlink_to(secret)
    for name, message in {
        "othr.yaml": 'there is no "othr.yaml" in this folder (did you mean other.yaml?); check the name.',
        "folder.yaml": 'there is no "folder.yaml" in this folder',
        "x" * 115 + ".yaml": "in this folder",
        "drive.yaml": '"drive.yaml" is for mode gta_drive, not universal; choose another file.',
        "link.yaml": '"link.yaml" leads to another folder; copy the file into this one.',
        **dict.fromkeys(
            ("../secret.yaml", "other.txt", "/etc/passwd", "a/b.yaml", "..", "C:x.yaml", "~", "[other.yaml]"),
            "include must be",
        ),
    }.items():
        told = refusal(write("whole.yaml", "for: 1s", f"include: {name}"))
        assert told.startswith("whole.yaml, line 5, column 14: ") and message in told, told
    assert refusal(write("whole.yaml", "include: broken.yaml")) == (
        'broken.yaml, line 4, column 5: a step needs "for"; add it.'
    )
    assert 'unknown field "for"' in refusal(write("whole.yaml", "{include: other.yaml, for: 1s}"))


def test_what_cannot_be_mirrored_is_found_in_included_files_too(write):
    write("walk.yaml", "random: {for: 1s}")
    told = refusal(write("whole.yaml", "mirror: [include: walk.yaml]"))
    assert "line 4, column 13: what is included here has random actions, which cannot be mirrored" in told
    runner = "title: T\nmode: templerun\nactions:\n"
    write("jump.yaml", "{hold: W, for: 1s}", head=runner)
    told = refusal(write("whole.yaml", "mirror: [include: jump.yaml]", head=runner))
    assert "what is included here holds jump, which has no opposite" in told


def test_no_file_includes_itself(write):
    assert "(a.yaml > a.yaml)" in refusal(write("a.yaml", "include: a.yaml"))
    write("a.yaml", "for: 1s", "include: b.yaml")
    write("b.yaml", "repeat: 2\n    actions: [include: c.yaml]")
    write("c.yaml", "mirror: [include: a.yaml]")
    assert refusal(write("d.yaml", "include: a.yaml")) == (
        "c.yaml, line 4, column 23: a scenario cannot include itself (a.yaml > b.yaml > c.yaml > a.yaml); "
        "leave one of these out."
    )


def test_includes_count_in_time_size_depth_and_number(write):
    write("minute.yaml", "for: 1 min")
    assert "longer than 10 minutes" in refusal(write("a.yaml", *["include: minute.yaml"] * 11))
    assert "longer than 10 minutes" in refusal(
        write("a.yaml", "repeat: 11\n    actions: [include: minute.yaml]")
    )
    assert len(load_scenario(write("a.yaml", *["include: minute.yaml"] * 10)).track) == 15_000

    for i in range(25):
        write(f"{i}.yaml", f"include: {i + 1}.yaml" if i < 24 else "for: 1s")
        write(f"s{i}.yaml", "for: 1s")
    assert "files include one another 5 deep at most" in refusal(write("a.yaml", "include: 15.yaml"))
    assert len(load_scenario(write("a.yaml", "include: 20.yaml")).track) == 25
    many = [f"include: s{i}.yaml" for i in range(21)]
    assert "line 24, column 14: a scenario includes 20 files at most" in refusal(write("a.yaml", *many))
    assert len(load_scenario(write("a.yaml", *many[:20], many[3])).track) == 525

    for name in ("big", "bigger"):
        write(f"{name}.yaml", "for: 1s #" + "x" * (MAX_BYTES // 2))
    assert len(load_scenario(write("a.yaml", "include: big.yaml", "include: big.yaml")).track) == 50
    told = refusal(write("a.yaml", "include: big.yaml", "include: bigger.yaml"))
    assert told.endswith("with what it includes, this is larger than 256 KB; shorten it.")
