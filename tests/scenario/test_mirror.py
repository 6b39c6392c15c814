"""There and back: mirrors of actions."""

import numpy as np
import pytest

from mgdemo.actions import MODES, ActionTrack
from mgdemo.measure.expected import poses
from mgdemo.scenario import Scenario, ScenarioError, parse_scenario, scenario_yaml


def read(actions: str, mode: str = "universal") -> Scenario:
    return parse_scenario(f"title: T\nmode: {mode}\nactions:\n{actions}", "walk.yaml")


def refusal(actions: str, mode: str = "universal") -> str:
    with pytest.raises(ScenarioError) as caught:
        read(actions, mode)
    return str(caught.value)


def hold(mode, *held, camera=None, frames):
    return ActionTrack.hold(mode, held, camera, frames)


def test_a_mirror_goes_there_and_back():
    made = read("  - mirror:\n    - {hold: [W, J], camera: {pitch: 0.25}, for: 2s}\n    - {hold: A, for: 1s}")
    assert made.track == ActionTrack.concat(
        [
            hold("universal", "W", "J", camera=(0.25, 0), frames=50),
            hold("universal", "A", frames=25),
            hold("universal", "D", frames=25),
            hold("universal", "S", "L", camera=(-0.25, 0), frames=50),
        ]
    )


@pytest.mark.parametrize(
    ("mode", "there", "back"),
    [
        ("universal", "WAIJ", "SDKL"),
        ("gta_drive", "WA", "SA"),  # the wheel stays where it was
        ("gta_drive", "SD", "WD"),
        ("templerun", "Z", "C"),
        ("templerun", "A", "D"),
    ],
)
def test_the_way_back_holds_the_opposite_of_each_control(mode, there, back):
    one, other = (hold(mode, *held, frames=25) for held in (there, back))
    both = [
        read(f"  - mirror: [{{hold: [{', '.join(held)}], for: 1s}}]", mode).track for held in (there, back)
    ]
    assert both == [ActionTrack.concat([one, other]), ActionTrack.concat([other, one])]


@pytest.mark.parametrize(
    "actions",
    [
        "{hold: [W], for: 0.3s}, {hold: [L], for: 0.5s}, {hold: [D, I], for: 0.3s}",
        "{hold: [W], for: 2 blocks}, {camera: {yaw: 0.031, pitch: 0.02}, for: 7 frames}",
        "{repeat: 3, actions: [{hold: W, for: 0.5s}, {hold: J, for: 0.06s}]}",
        "{hold: W, for: 0.5s}, {mirror: [{hold: L, for: 1.5s}, {hold: A, for: 0.5s}]}, {hold: A, for: 0.7s}",
    ],
)
@pytest.mark.parametrize("before", ["", "  - {hold: L, for: 0.5s}\n  - {for: 0.3s}\n"])
def test_a_mirror_leads_back_frame_by_frame(actions, before):
    actions = actions.replace("", "")
    made = read(f"{before}  - mirror: [{actions}]\n  - for: 1s")
    at = poses(made.track)
    assert at is not None and made.returns
    for start, back in made.returns:
        assert np.allclose(at[start], at[back], atol=1e-9)
        assert np.abs(at[start:back] - at[start]).max() > 0.1
    assert made.returns[0][0] == (20 if before else 0)


def test_where_it_is_back_is_known_to_the_measures():
    assert read("  - for: 1s\n  - mirror: [{hold: W, for: 2s}]\n  - for: 1s").returns == ((25, 125),)
    assert read("  - mirror: [{hold: W, for: 2s}]").returns == ((0, 99),), "no frame comes after the last"
    twice = read("  - {repeat: 2, actions: [{mirror: [{hold: W, for: 1s}]}]}\n  - for: 1s")
    assert twice.returns == ((0, 50), (50, 100))
    nested = read("  - mirror: [{mirror: [{hold: W, for: 1s}]}, {hold: J, for: 1s}]\n  - for: 1s")
    assert nested.returns == ((0, 50), (0, 150), (100, 150))
    for mode in ("gta_drive", "templerun"):
        assert not read("  - mirror: [{hold: A, for: 2s}]\n  - for: 1s", mode).returns


def test_marks_are_passed_again_on_the_way_back():
    made = read("  - mirror: [{mark: a}, {hold: W, for: 1s}, {mark: b}, {hold: J, for: 1s}, {mark: end}]")
    assert [(mark.name, mark.frame) for mark in made.marks] == [
        ("a", 0), ("b", 25), ("end", 50), ("b 2", 75), ("a 2", 99),
    ]  # fmt: skip
    again = parse_scenario(scenario_yaml(made.track, title="T", marks=made.marks))
    assert (again.track, again.marks) == (made.track, made.marks)


def test_a_mark_may_say_where_the_view_is_back():
    made = read(
        "  - mark: start\n  - {hold: W, for: 1s}\n  - {hold: S, for: 1s}\n"
        "  - {mark: home, returns_to: Start}\n"
        "  - repeat: 2\n    actions: [{mark: 'a: b'}, {hold: W, for: 1s}, {mark: c, returns_to: 'a: b'}]\n"
        "  - {mirror: [{mark: m, returns_to: start}, {for: 1s}]}"
    )
    assert [(mark.name, mark.frame, mark.returns_to) for mark in made.marks] == [
        ("start", 0, None),
        ("home", 50, "start"),
        ("a: b", 50, None),
        ("c", 75, "a: b"),
        ("a: b 2", 75, None),
        ("c 2", 100, "a: b 2"),
        ("m", 100, "start"),
        ("m 2", 149, None),
    ]
    said = {(0, 50), (50, 75), (75, 100), (0, 100)}
    assert set(made.returns) == said | {(100, 149)}, "and the mirror's"
    again = parse_scenario(scenario_yaml(made.track, title="T", marks=made.marks))
    assert (again.marks, set(again.returns)) == (made.marks, said)
    assert read("  - mark: a\n  - for: 1s\n  - {mark: b, returns_to: a}\n  - for: 1s", "gta_drive").returns


def test_a_mirror_of_nothing_held_is_twice_as_long():
    assert read("  - mirror: [{for: 1 block}]").track == hold("universal", frames=24)


@pytest.mark.parametrize(
    ("mode", "actions", "message"),
    [
        (
            "templerun",
            "  - mirror: [{hold: W, for: 1s}]",
            'line 4, column 21: "W" has no opposite, so it cannot be mirrored; move it out of the mirror.',
        ),
        (
            "templerun",
            "  - mirror: [{repeat: 2, actions: [{mirror: [{hold: [slide], for: 1s}]}]}]",
            '"slide" has no opposite',
        ),
        (
            "universal",
            "  - mirror: [{random: {for: 1s}}]",
            "line 4, column 14: random actions cannot be mirrored; move them out of the mirror.",
        ),
        (
            "universal",
            "  - {mark: a, returns_to: b}\n  - for: 1s\n  - mark: b",
            'line 4, column 27: there is no mark "b" before this one; check the name.',
        ),
        ("universal", "  - {mark: a, returns_to: a}\n  - for: 1s", 'there is no mark "a" before this one'),
        ("universal", "  - {mark: a, returns_to: []}", "returns_to must be a single value."),
        ("universal", "  - {mark: a, returns_to: ''}", "returns_to must be the name of an earlier mark."),
        ("universal", "  - mirror: []", 'mirror must be a list of steps, such as "- {hold: [W], for: 2s}".'),
        ("universal", "  - mirror: W", "mirror must be a list of steps"),
        ("universal", "  - mirror: [{mark: a}]", "a mark takes no time"),
        ("universal", "  - {mirror: [{for: 1s}], for: 1s}", 'unknown field "for" for a mirror; use mirror.'),
        ("universal", "  - {mirror: [{for: 301s}]}", "longer than 10 minutes"),
        (
            "universal",
            "  - {repeat: 101, actions: [{mirror: [{hold: W, for: 1s}]}]}",
            "here the scenario gets more than 100 mirrors; leave some out.",
        ),
        ("universal", "  - " + "mirror: [{" * 19 + "for: 1s" + "}]" * 19, "nested too deeply"),
        ("universal", "  - mirror: [{" + "mirror: [{" * 7 + "for: 1m" + "}]" * 8, "longer than 10 minutes"),
    ],
)
def test_what_has_no_mirror_is_refused(mode, actions, message):
    assert message in refusal(actions, mode)


@pytest.mark.parametrize("mode", MODES)
def test_every_control_is_mirrored_to_its_opposite_or_refused(mode):
    for control in MODES[mode].controls:
        actions = f"  - mirror: [{{hold: {control.name}, for: 1s}}]"
        if control.name in ("jump", "slide"):
            assert "no opposite" in refusal(actions, mode)
        else:
            assert len(read(actions, mode).track) == 50
