import json
import random
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import start_images
from mgdemo.paths import SCENARIOS
from mgdemo.random_actions import random_actions
from mgdemo.scenario import (
    MAX_BYTES,
    OWN_PICTURE,
    Mark,
    ScenarioError,
    json_schema,
    library,
    load_scenario,
    parse_scenario,
    scenario_yaml,
)

EXAMPLE = """\
# A comment.
title: Left at the crossing
description: >
  Accelerate, brake into the bend,
  steer through it.
mode: gta_drive
image: crossing.png
seed: 7
actions:
  - hold: [W]
    for: 2s
  - hold: s
    for: 0.5s
  - hold: [accelerate]
    camera: {yaw: -0.05}
    for: 18 frames
  - repeat: 3
    actions:
      - {hold: [KeyW, ArrowRight], for: 0.5s}
      - {for: 0.5s}
  - random: {for: 4 blocks, seed: 42}
"""


def play(actions: str, mode: str = "universal") -> ActionTrack:
    return parse_scenario(f"title: T\nmode: {mode}\nactions:\n{actions}", "t.yaml").track


def test_a_scenario_compiles_to_its_words_and_its_track():
    scenario = parse_scenario(EXAMPLE)
    assert (scenario.title, scenario.mode, scenario.image, scenario.seed) == (
        "Left at the crossing",
        "gta_drive",
        "crossing.png",
        7,
    )
    assert scenario.description == "Accelerate, brake into the bend, steer through it."

    def hold(frames, held=(), yaw=0.0):
        return ActionTrack.hold("gta_drive", held, (0, yaw), frames)

    # 0.5 s are 12.5 frames: the halves alternate between 13 and 12, so that the sum stays right
    turns = [hold(12, "WD"), hold(13), hold(12, "WD"), hold(13), hold(12, "WD"), hold(13)]
    assert scenario.track == ActionTrack.concat(
        [hold(50, "W"), hold(13, "S"), hold(18, "W", -0.05), *turns, random_actions("gta_drive", 48, 42)]
    )


@pytest.mark.parametrize(
    ("actions", "frames"),
    [
        ("  - for: 1s", 25),
        ("  - for: 1.36 s", 34),
        ("  - for: 1 frame", 1),
        ("  - for: 1 block", 9),
        ("  - for: 4 blocks", 45),
        ("  - {random: {for: 2 blocks}}\n  - for: 2 blocks", 45),
        ("  - for: 3 frames\n  - for: 1block", 15),
        ("  - {repeat: 10, actions: [{for: 0.1s}]}", 25),
        ("  - {repeat: 2, actions: [{repeat: 3, actions: [for: 1 block]}]}", 69),
        ("  - for: 600s", 15000),
        ("  - for: 500ms\n  - for: .5s", 25),
        ("  - for: 1.5 seconds", 38),
        ("  - for: 2 sec", 50),
        ("  - for: 1 min", 1500),
        ("  - for: 0.1 Minutes", 150),
        ("  - for: 2 S", 50),
        ("  - for: 1250 blocks\n  - for: 3 frames", 15000),
        ("  - {repeat: 1250, actions: [for: 1 block]}\n  - for: 3 frames", 15000),
        ("  - {repeat: 15000, actions: [for: 1 frame]}", 15000),
        ("  - {repeat: 3, actions: [random: {for: 0.5s, seed: 3}]}", 38),
    ],
)
def test_times_add_up(actions, frames):
    assert len(play(actions)) == frames


def test_controls_go_by_label_name_or_code():
    tracks = [play(f"  - {{hold: [{key}], for: 1s}}") for key in ("I", "i", "look_up", "KeyI", "ArrowUp")]
    assert all(track == ActionTrack.hold("universal", ["look_up"], None, 25) for track in tracks)
    assert play("  - {hold: LOOK_UP, for: 1s}") == play("  - {hold: keyi, for: 1s}") == tracks[0]


@pytest.mark.parametrize("mode", ["GTA_Drive", "gta drive", "GTA drive"])
def test_modes_go_by_name_or_title_in_any_case(mode):
    assert parse_scenario(f"title: T\nmode: {mode}\nactions: [for: 1s]").mode == "gta_drive"


def test_null_is_nothing():
    text = EXAMPLE.replace("image: crossing.png", "image: ~").replace("seed: 7", "seed: null")
    scenario = parse_scenario(text)
    assert (scenario.image, scenario.seed) == (None, None)
    assert parse_scenario(EXAMPLE.replace("crossing.png", '"null"')).image == "null"


def test_a_repeat_is_what_writing_it_out_would_be():
    """Rounded times, the first block and a random walk included."""
    body = ["{for: 1 block}", "{hold: [W], for: 0.3s}", "{random: {for: 0.5s, seed: 4}}", "{for: 3 frames}"]
    inner = ", ".join(body)
    folded = play(f"  - {{repeat: 2, actions: [{{repeat: 3, actions: [{inner}]}}, {{for: 0.02min}}]}}")
    written = "\n".join(f"  - {step}" for step in (body * 3 + ["{for: 0.02min}"]) * 2)
    assert folded == play(written)


def marks(actions: str) -> list[tuple[str, int]]:
    found = parse_scenario(f"title: T\nmode: universal\nactions:\n{actions}", "t.yaml").marks
    return [(mark.name, mark.frame) for mark in found]


def test_marks_name_moments_and_take_no_time():
    assert marks(
        "  - mark: start\n  - for: 2 blocks\n  - mark: 'the  corner'\n  - {for: 0.3s}\n  - mark: 3\n"
        "  - {for: 0.3s}\n  - mark: end"
    ) == [("start", 0), ("the corner", 21), ("3", 29), ("end", 35)]
    assert len(play("  - for: 1 block\n  - mark: a\n  - for: 1 block")) == 21
    assert len(play("  - mark: a\n  - for: 1 block")) == 9, "the first step comes first, marks or not"


def test_a_mark_that_comes_again_has_a_number():
    inner = "{for: 0.5s}, {mark: corner}, {for: 1 frame}"
    assert marks(f"  - {{repeat: 3, actions: [{inner}]}}\n  - mark: Edge") == [
        ("corner", 13), ("corner 2", 26), ("corner 3", 40), ("Edge", 40),
    ]  # fmt: skip
    long = "x" * 60
    again = marks(f"  - {{repeat: 2, actions: [{{mark: {long}}}, {{for: 1s}}]}}")
    assert again == [(long, 0), ("x" * 58 + " 2", 25)]


def error(text: str | bytes, name: str = "walk.yaml") -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (
            "  - {hold: [Q], for: 1s}",
            'line 4, column 13: unknown control "Q" for mode universal; use one of W, S, A, D, I, K, J, L.',
        ),
        ("  - {hold: {W: 1}, for: 1s}", "line 4, column 12: a held control must be a single value."),
        ("  - {hold: [W]}", 'line 4, column 5: a step needs "for"; add it.'),
        ("  - {for: 2}", '"2" is not a time; write it like 2s, 18 frames or 4 blocks.'),
        ("  - {for: 1.5 frames}", "is not a time"),
        ("  - {for: -1s}", "is not a time"),
        ("  - {for: ٣s}", "is not a time"),
        ("  - {for: 0.03s}", "shorter than one video frame; write at least 0.04s."),
        ("  - {for: 0 blocks}", '"0 blocks" is not a time'),
        ("  - {for: 39ms}", "shorter than one video frame"),
        ("  - {for: }", '"" is not a time'),
        (
            "  - {hold: [lok_left], for: 1s}",
            'unknown control "lok_left" for mode universal (did you mean look_left?); use one of W, S, A,',
        ),
        (
            "  - {hold: [W, S, w], for: 1s}",
            'line 4, column 19: "w" is held already; keep one of the two.',
        ),
        ("  - {hold: [W, forward], for: 1s}", '"forward" is held already; keep one of the two.'),
        (
            f"  - {{hold: [{'W, ' * 8}W], for: 1s}}",
            "line 4, column 12: mode universal has 8 controls; hold each only once.",
        ),
        (f"  - {{hold: [{'W,' * 120_000}], for: 1s}}", "this list is too long"),
        (f"  - [{'1,' * 100_000}]", "this list is too long"),
        ("  - {holds: W, for: 1s}", 'unknown field "holds" for a step (did you mean hold?); use for,'),
        (
            "  - {for: 2s}\n  - {for: 600s}",
            "line 5, column 11: here the scenario gets longer than 10 minutes;",
        ),
        ("  - {repeat: 15000, actions: [{for: 1s}]}", "longer than 10 minutes"),
        ("  - {repeat: 0, actions: [{for: 1s}]}", "repeat must be a whole number from 1 to 15000."),
        ("  - {repeat: 2, actions: []}", "actions must be a list of steps"),
        ("  - {repeat: 2, for: 1s, actions: []}", 'unknown field "for" for a repeat; use repeat or actions.'),
        ("  - {random: {for: 1s, seed: x}}", "seed must be a whole number from 0 to 4294967295."),
        ("  - {random: {for: 1s}, for: 1s}", 'unknown field "for" for a random step; use random.'),
        (
            "  - {camera: {}, hold: [W], hold: [S], for: 1s}",
            'line 4, column 29: "hold" is given twice; keep one.',
        ),
        (
            "  - {camera: {roll: 1}, for: 1s}",
            'unknown field "roll" for the camera of mode universal; use pitch or yaw.',
        ),
        (
            "  - {camera: {yaw: 1.01}, for: 1s}",
            '"1.01" is not a number from -1 to 1; a held key is worth 0.1.',
        ),
        ("  - {camera: {yaw: .nan}, for: 1s}", '".nan" is not a number'),
        ("  - {camera: {yaw: nan}, for: 1s}", '"nan" is not a number'),
        (
            "  - &a {for: 1s}\n  - *a",
            "line 5, column 5: aliases are not supported; write the step again, or use repeat.",
        ),
        ("  - {<<: {for: 1s}}", 'unknown field "<<"'),
        ("  - {[a]: 1}", "line 4, column 6: the name of a field must be a single word."),
        ("  - W", "a step is written with fields: for, hold, camera."),
        ("  - mark: a", 'a mark takes no time; add a step, such as "- {hold: [W], for: 2s}".'),
        ("  - {for: 1s}\n  - {repeat: 2, actions: [{mark: a}]}", "line 5, column 26: a mark takes no time"),
        ("  - {mark: a, for: 1s}", 'a mark stands by itself; write "for" in a step after it.'),
        ("  - {mark: [a]}\n  - {for: 1s}", "mark must be a single value."),
        ("  - {mark: ~}\n  - {for: 1s}", "mark must be a name of 1 to 60 characters."),
        (f"  - {{mark: {'a' * 61}}}\n  - {{for: 1s}}", "mark must be a name of 1 to 60 characters."),
        (
            "  - {for: 1s}\n  - mark: b\n  - {mark: B}",
            'line 6, column 12: there is a mark "B" already; choose another name.',
        ),
        (
            "  - {repeat: 2, actions: [{mark: b}, {for: 1s}]}\n  - {mark: b 2}",
            'line 5, column 12: there is a mark "b 2" already; choose another name.',
        ),
        (
            "  - {repeat: 101, actions: [{mark: b}, {for: 1s}]}",
            "here the scenario gets more than 100 marks; leave some out.",
        ),
        ("  - {for: 1s", "this is not YAML (while parsing a flow mapping, "),
        ("  - {for: 1s}\n---\na: b", "line 5, column 1: a second document begins; keep one in a file."),
        ("  []", "actions must be a list of steps"),
        ("  " + "[" * 5000, "this is nested too deeply; use fewer repeats inside each other."),
    ],
)
def test_every_mistake_is_told_with_its_place_and_cure(actions, message):
    told = error(f"title: T\nmode: universal\nactions:\n{actions}\n")
    assert told.startswith("walk.yaml, line ") and message in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "walk.yaml is empty; write title, mode and actions."),
        ("# only a comment", "is empty"),
        (b"\xff\xfe\x00", "walk.yaml is not UTF-8 text; save it as UTF-8."),
        ("title: \ud800", "is not UTF-8 text"),
        ("title: \x00", "contains a character that YAML does not allow"),
        (r'title: "\UFFFFFFFF"', "invalid Unicode character escape code"),
        ("%TAG !a! b\n" * 11 + "--- a", "too many lines that begin with %"),
        ("a" * (MAX_BYTES + 1), "walk.yaml is larger than 256 KB; cut it into several scenarios."),
        ("- a", "line 1, column 1: a scenario is written with fields: title, mode, actions, description"),
        ("title: T\nmode: universal", 'line 1, column 1: a scenario needs "actions"; add it.'),
        (
            "title: T\nmode: golf\nactions: []",
            'line 2, column 7: unknown mode "golf"; use universal, gta_drive or',
        ),
        (
            "title: T\nmode: gta-drve\nactions: []",
            'unknown mode "gta-drve" (did you mean gta_drive?); use universal, gta_drive or templerun.',
        ),
        ("title: ~\nmode: universal\nactions: [{for: 1s}]", "title must have 1 to 120 characters"),
        (
            EXAMPLE.replace("Left at the crossing", '""'),
            "line 2, column 8: title must have 1 to 120 characters.",
        ),
        (EXAMPLE.replace("seed: 7", "seed: -7"), "seed must be a whole number from 0 to 4294967295."),
        (
            EXAMPLE.replace("crossing.png", "../crossing.png"),
            "image must be the name of a file beside the scenario",
        ),
        (EXAMPLE.replace("crossing.png", "C:\\boot.ini"), "image must be"),
        (EXAMPLE.replace("crossing.png", '"a\\0b"'), "image must be"),
        (
            EXAMPLE.replace("{yaw: -0.05}", "{pitch: 0.1}"),
            'unknown field "pitch" for the camera of mode gta_drive; use yaw',
        ),
        (
            "title: T\nmode: templerun\nactions: [{hold: [W, S], for: 1s}]",
            "mode templerun does one thing at a time;",
        ),
        (
            "title: T\nmode: templerun\nactions: [{camera: {yaw: 0}, for: 1s}]",
            "mode templerun has no camera; leave it out",
        ),
    ],
)
def test_mistakes_in_the_head_and_in_the_file_itself(text, message):
    assert message in error(text)


def test_load_scenario_reads_a_file_and_says_which_one_is_wrong(tmp_path):
    path = tmp_path / "bend.yaml"
    path.write_text(EXAMPLE, encoding="utf-8-sig")
    assert load_scenario(path).path == path
    assert load_scenario(path).track == parse_scenario(EXAMPLE).track
    with pytest.raises(ScenarioError, match=r"^gone.yaml cannot be read \(No such file or directory\)"):
        load_scenario(tmp_path / "gone.yaml")


def random_track(mode: str, generator: random.Random) -> ActionTrack:
    """Runs of every length, of held controls and of cameras from whole keys to the last float32 bit."""
    parts = []
    for _ in range(generator.randint(1, 12)):
        names = [control.name for control in MODES[mode].controls]
        held = generator.sample(names, generator.randint(0, len(names)))
        axes = [
            generator.choice([0, 0, 0.1, -0.1, 0.05, 1, generator.uniform(-1, 1), generator.gauss(0, 1e-6)])
            for _ in range(2)
        ]
        frames = generator.choice([1, 9, 12, 21, 25, 50, generator.randint(1, 100)])
        parts.append(ActionTrack.hold(mode, held, generator.choice([None, axes]), frames))
    return ActionTrack.concat(parts)


@pytest.mark.parametrize("mode", MODES)
def test_a_track_survives_being_written_and_compiled(mode):
    generator = random.Random(5)
    for _ in range(150):
        track = random_track(mode, generator)
        assert parse_scenario(scenario_yaml(track, title="T")).track == track


def test_the_words_survive_too_whatever_they_are():
    generator = random.Random(6)
    track = ActionTrack.hold("universal", [], None, 9)
    titles = ['a: "b" # c', "- x", "~", "2024", "ein Tal — 谷 🏔️", "a\nb\x00\u2028c\ud800", "", "x" * 500]
    titles += ["".join(map(chr, generator.choices(range(0x3000), k=30))) for _ in range(100)]
    for title in titles:
        text = scenario_yaml(track, title=title, description=title, image="embedded:hill", seed=3)
        scenario = parse_scenario(text)
        assert (scenario.image, scenario.seed, scenario.track) == ("embedded:hill", 3, track)
        if title and title.isprintable() and len(title) <= 120 and title == " ".join(title.split()):
            assert scenario.title == scenario.description == title
    assert parse_scenario(text).title


@pytest.mark.parametrize("mode", MODES)
def test_marks_survive_being_written_too(mode):
    generator = random.Random(8)
    for _ in range(50):
        track = random_track(mode, generator)
        frames = sorted(generator.choices(range(len(track)), k=generator.randint(0, 9)))
        names = [
            f"{generator.choice(['~', 'a: b', '2024', 'Tal 谷', '- x'])} {i}" for i in range(len(frames))
        ]
        marked = tuple(map(Mark, names, frames))
        scenario = parse_scenario(scenario_yaml(track, title="T", marks=marked))
        assert (scenario.track, scenario.marks) == (track, marked)
    assert not parse_scenario(scenario_yaml(track, title="T", marks=[Mark("late", len(track))])).marks


def test_recordings_read_well():
    held = [(["W"], None, 21), ([], None, 12), (["W", "D"], (0.25, 0), 5), (["W", "J"], None, 50)]
    track = ActionTrack.concat([ActionTrack.hold("universal", *step) for step in held])
    assert scenario_yaml(track, title="A walk", seed=1).splitlines() == [
        "title: A walk",
        "mode: universal",
        "seed: 1",
        "actions:",
        "  - {hold: [W], for: 2 blocks}",
        "  - {for: 1 block}",
        "  - {hold: [W, D], camera: {pitch: 0.25}, for: 5 frames}",
        "  - {hold: [W, J], for: 2s}",
    ]


def test_a_recording_from_an_own_picture_says_that_it_is_missing():
    text = scenario_yaml(ActionTrack.hold("universal", [], None, 9), title="T", image=OWN_PICTURE)
    assert text.startswith("# This began with a picture that is not in this file")
    assert parse_scenario(text).image == OWN_PICTURE


def test_what_no_control_can_make_is_refused():
    with pytest.raises(ValueError, match="No controls of mode templerun"):
        scenario_yaml(ActionTrack("templerun", np.zeros((9, 7))), title="T")
    with pytest.raises(ValueError, match="No controls of mode gta_drive"):
        scenario_yaml(ActionTrack("gta_drive", np.zeros((9, 2)), np.full((9, 2), 0.1)), title="T")
    with pytest.raises(ValueError, match="without frames"):
        scenario_yaml(ActionTrack("templerun", np.zeros((0, 7))), title="T")


def test_the_published_schema_is_fresh():
    published = SCENARIOS / "schema.json"
    assert json.loads(published.read_text()) == json_schema(), (
        "Write it again: python -m mgdemo.scenario > scenarios/schema.json"
    )


def accepted(text: str) -> bool:
    try:
        return bool(parse_scenario(text))
    except ScenarioError:
        return False


HEADS = """title: T | 2024 | true | ~ | "" | "  " | [T] | ein Tal | '{long}'
description: D | 1.5 | ~ | null | '' | {{a: b}}
mode: universal | Universal | GTA drive | gta_drive | gta drive | Temple Run | temple_run | golf | 3 | ~
image: a.png | ~ | null | embedded:hill | a/b | .a | C:x | 7 | embedded:.x | "a\\tb" | '{long}'
seed: 7 | 7.0 | 7.5 | "7" | -1 | 4294967295 | 4294967296 | 0x1F | ~ | true | x | .inf
actions: [] | [{{for: 1s}}] | {{}} | ~ | [1]""".format(long="x" * 121)

STEPS = """{for: T} : 2s | 500ms | 1.5 seconds | 2 sec | .1 min | .5s | 2. S | 2 | 2.5 | 0 blocks | 1 block | 007 frames | 1.5 frames | ~ | [2s] | 1e1 | -1s | 2 fortnights | 1234567s | 1m | 2 Blocks
{hold: T, for: 1s} : W | w | [W] | [W, W] | [W, w] | [W, forward] | [W, KeyS] | Forward | [] | ~ | 7 | [7] | {a: b} | Q | "W" | [[W]] | [W, S, A, D, Z] | ArrowUp | [jump, slide] | jump
{camera: T, for: 1s} : ~ | {} | {yaw: 1} | {yaw: 1.01} | {yaw: "1"} | {pitch: -0.5} | {roll: 1} | {yaw: ~} | 3 | {yaw: true}
T : {repeat: 2, actions: [{for: 1s}]} | {repeat: 2} | {repeat: 0, actions: [{for: 1s}]} | {repeat: 2.0, actions: [{repeat: 2, actions: [{hold: W, for: 1s}]}]} | {repeat: 2, actions: []}
T : {repeat: 2, actions: [{hold: Q, for: 1s}]} | {repeat: 2, for: 1s, actions: [{for: 1s}]} | {repeat: ~, actions: [{for: 1s}]} | {repeat: 2, actions: {}}
T : {mark: a} | {repeat: 2, actions: [{mark: a}]} | {repeat: 2, actions: [{mark: a}, {for: 1s}]} | {repeat: 2, actions: [{mark: 7}, {for: 1s}]} | {repeat: 2, actions: [{mark: ~}, {for: 1s}]} | {repeat: 2, actions: [{mark: ' '}, {for: 1s}]} | {mark: a, for: 1s}
T : {random: {for: 1s}} | {random: {for: 1s, seed: 3}} | {random: {for: 1s, seed: ~}} | {random: {for: 1s, seed: x}} | {random: 1s} | {random: {for: 1s}, for: 1s} | {random: {}} | 1 | [] | ~ | {}"""  # noqa: E501


def test_the_schema_accepts_exactly_what_the_parser_accepts():
    """But for what it cannot count: times in sum, and those shorter than a video frame."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    verdicts = {True: 0, False: 0}

    def compare(text: str) -> None:
        verdict = accepted(text)
        assert validator.is_valid(yaml.safe_load(text)) == verdict, text
        verdicts[verdict] += 1

    lines = [line.partition(": ")[::2] for line in HEADS.splitlines()]
    whole = {name: values.split(" | ")[0] for name, values in lines} | {"actions": "[{for: 1s}]"}
    for name, values in lines:
        for value in values.split(" | "):
            compare("\n".join(f"{key}: {text}" for key, text in (whole | {name: value}).items()))
        compare("\n".join(f"{key}: {text}" for key, text in whole.items() if key != name))
    compare("\n".join(f"{key}: {text}" for key, text in (whole | {"more": 1}).items()))
    for mode in MODES:
        for line in STEPS.splitlines():
            step, _, values = line.partition(" : ")
            for value in values.split(" | "):
                compare(f"title: T\nmode: {mode}\nactions: [{step.replace('T', value, 1)}]")
    assert verdicts[True] > 90 < verdicts[False]


@pytest.mark.parametrize("mode", MODES)
def test_the_schema_offers_every_control_and_only_the_axes_that_there_are(mode):
    definitions = json_schema()["$defs"]
    step = definitions[f"{mode}_Step"]["properties"]
    one = step["hold"]["anyOf"][0]["oneOf"][0]
    assert {MODES[mode].control(key) for key in one["anyOf"][0]["enum"]} == {*MODES[mode].controls}
    assert {*definitions.get(f"{mode}_Camera", {}).get("properties", {})} == {*MODES[mode].axes}


@pytest.mark.parametrize(
    "path", sorted(SCENARIOS.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_the_library_is_sound(path: Path):
    scenario = load_scenario(path)
    assert scenario.mode == path.parent.name
    assert scenario.description
    assert 5 * 25 <= len(scenario.track) <= 25 * 25
    assert path.read_text().startswith("# yaml-language-server: $schema=../schema.json\n")
    assert parse_scenario(scenario_yaml(scenario.track, title=scenario.title)).track == scenario.track
    shipped = [f"embedded:{image.stem}" for image in start_images(scenario.mode)]
    walk = scenario.seed is not None and random_actions(scenario.mode, len(scenario.track), scenario.seed)
    assert scenario.image in shipped or scenario.track == walk, "only a walk of the reference starts anywhere"


def test_the_library_has_at_least_ten_scenarios_a_mode_and_leaves_broken_ones_out(tmp_path, caplog):
    titles = {mode: [scenario.title for scenario in found] for mode, found in library().items()}
    assert list(titles) == list(MODES)
    assert all(len({*found}) == len(found) >= 10 for found in titles.values())

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "good.yaml").write_text(EXAMPLE)
    (tmp_path / "mine" / "bad.yaml").write_text("title: T")
    assert [s.title for s in library(tmp_path)["gta_drive"]] == ["Left at the crossing"]
    assert 'bad.yaml, line 1, column 1: a scenario needs "mode"' in caplog.text


def test_no_input_raises_anything_but_a_scenario_error():
    generator = random.Random(7)
    scraps = [
        *"{}[]:|>'\\#\t\x00\x85\ufeff\ud800~=@`",
        "- ",
        "\n",
        "  ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "!<",
        "!%FF ",
    ]
    scraps += [
        "!!python/object:os.system ",
        "%YAML 9.9\n",
        "---\n",
        "...\n",
        "null",
        ".inf",
        "1e999",
        "9" * 50,
    ]
    scraps += [
        "0x1F",
        "0.5s",
        "4 blocks",
        "hold",
        "for",
        "repeat",
        "random",
        "actions",
        "2001-01-01",
        "٣",
        "²s",
    ]
    scraps += ['"', '"\\UFFFFFFFF"', '"\\x', "embedded:"]
    told = 0
    for _ in range(2500):
        text = EXAMPLE
        for _ in range(generator.randint(1, 4)):
            start = generator.randrange(len(text) + 1)
            stop = start + generator.choice([0, 0, 1, 3, 10, 40])
            other = generator.randrange(len(text) + 1)
            middle = generator.choice(
                [generator.choice(scraps), text[other : other + 30], chr(generator.randrange(0x11000))]
            )
            text = text[:start] + middle + text[stop:]
        for form in (text, text.encode(errors="surrogatepass")):
            try:
                assert len(parse_scenario(form).track)
            except ScenarioError as caught:
                assert "\n" not in str(caught)
                told += 1
    assert 1000 < told < 5000


def test_yaml_objects_are_never_made():
    told = error(EXAMPLE.replace("seed: 7", "seed: !!python/object/apply:os.getpid []"))
    assert "seed must be a single value" in told


def test_a_scenario_keeps_the_text_that_it_was_read_from(tmp_path):
    text = "# Mine\r\n" + EXAMPLE
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert parse_scenario(text).text == load_scenario(path).text == text


def test_a_film_of_ten_minutes_ends_with_its_last_block_and_is_still_a_scenario():
    scenario = parse_scenario("title: Long\nmode: universal\nactions: [{hold: W, for: 10 min}]\n")
    track = scenario.track.padded()
    for many in (track, random_actions("universal", len(track) + 12, 0)):
        assert parse_scenario(scenario_yaml(many, title="Long")).track == many
