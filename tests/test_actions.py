import json
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import block_frames, block_of_frame, frames_in_blocks
from mgdemo.console import ConsoleError, typed_action
from mgdemo.pads import mode_json
from mgdemo.random_actions import random_actions

GOLDENS = Path(__file__).parent / "goldens"
SPEC = json.loads((GOLDENS / "actions.json").read_text())
GOLDEN = load_file(GOLDENS / "actions.safetensors")


def test_modes_are_in_order_and_have_the_published_sizes():
    assert [(m.name, m.keyboard_dim, m.has_mouse) for m in MODES.values()] == [
        ("universal", 4, True),
        ("gta_drive", 2, True),
        ("templerun", 7, False),
    ]


@pytest.mark.parametrize(
    ("mode", "word"), [(mode, word) for mode in MODES for word in SPEC["modes"][mode]["interactive"]]
)
def test_console_words_give_the_reference_values(mode, word):
    golden = SPEC["modes"][mode]["interactive"][word]
    for typed in (word, word.upper(), f" {word} "):
        keyboard, mouse = typed_action(MODES[mode], typed)
        assert keyboard.dtype == np.float32
        assert keyboard.tolist() == golden["keyboard"]
        assert (mouse is None and "mouse" not in golden) or mouse.tolist() == golden["mouse"]


@pytest.mark.parametrize("word", ["", "x", "w+", "w+x", "forward", "KeyW"])
def test_a_wrong_console_word_names_the_legal_ones(word):
    with pytest.raises(
        ConsoleError, match=r"w \(forward\).*j \(look left\).*q \(nothing\).*u \(camera still\)"
    ):
        typed_action(MODES["universal"], word)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 1, 42])
def test_random_actions_equal_the_reference_bitwise(mode, seed):
    state = random.getstate()
    track = random_actions(mode, 57, seed)
    assert random.getstate() == state
    assert track.keyboard.tobytes() == GOLDEN[f"{mode}.seed{seed}.keyboard"].tobytes()
    if MODES[mode].has_mouse:
        assert track.mouse.tobytes() == GOLDEN[f"{mode}.seed{seed}.mouse"].tobytes()
    for frames in (0, 1, 2, 13, 14, 50):
        assert random_actions(mode, frames, seed) == track.frames(0, frames)


@pytest.mark.parametrize("mode", MODES)
def test_blocks_cover_the_frames_of_the_reference(mode):
    blocks = GOLDEN[f"{mode}.block_of_pixel_frame"] - 1
    assert [block_of_frame(f) for f in range(len(blocks))] == blocks.tolist()
    ends = GOLDEN[f"{mode}.frames_given_per_block"].tolist()
    assert [frames_in_blocks(b + 1) for b in range(len(ends))] == ends
    assert [block_frames(b) for b in range(len(ends))] == np.diff([0, *ends]).tolist()


def test_held_controls_combine():
    mode = MODES["universal"]
    keyboard, mouse = mode.frame(["KeyW", "KeyD", "ArrowUp", "KeyI", "KeyJ", "Escape"])
    assert keyboard.tolist() == [1, 0, 0, 1]
    assert mouse.tolist() == pytest.approx([0.1, -0.1])
    assert mode.frame(["look_left", "ArrowRight"])[1].tolist() == [0, 0]


def test_an_analogue_camera_adds_to_the_keys_within_the_axes_and_range():
    assert MODES["universal"].frame(["look_up"], (0.25, -0.05))[1].tolist() == pytest.approx([0.35, -0.05])
    assert MODES["universal"].frame([], (3, -3))[1].tolist() == [1, -1]
    assert MODES["gta_drive"].frame([], (0.5, 0.5))[1].tolist() == [0, 0.5]
    assert MODES["templerun"].frame([], (0.5, 0.5))[1] is None


def test_in_a_one_hot_mode_the_latest_control_counts_and_idle_is_running():
    mode = MODES["templerun"]
    assert mode.frame([])[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert mode.frame(["jump", "turn_left", "Escape"])[0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert mode.frame(["turn_left", "jump"])[0].tolist() == [0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_held_inverts_frame(mode):
    most = 1 if mode.one_hot else len(mode.controls)
    seen = 0
    for count in range(most + 1):
        for held in combinations([c.name for c in mode.controls], count):
            values = mode.frame(held)
            lit = mode.held(*values)
            if not {"look_up", "look_down"} <= {*held} and not any(
                {f"{turn}_left", f"{turn}_right"} <= {*held} for turn in ("look", "steer")
            ):
                assert lit == held
                seen += 1
            again = mode.frame(lit)
            assert all(np.array_equal(a, b) for a, b in zip(values, again, strict=True))
    assert seen == {"universal": 16 * 9, "gta_drive": 4 * 3, "templerun": 7}[mode.name]


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_no_two_controls_share_a_key_or_a_place(mode):
    keys = [k.casefold() for c in mode.controls for k in (c.name, c.label, c.code, *c.aliases)]
    assert len({*keys}) == len(keys)
    assert len({(c.group, c.row, c.column) for c in mode.controls}) == len(mode.controls)
    shown = json.loads(json.dumps(mode_json(mode)))
    assert [c["code"] for c in shown["controls"]] == [c.code for c in mode.controls]


@pytest.mark.parametrize("mode", MODES)
def test_a_track_is_cut_into_blocks_and_put_together_again(mode):
    track = random_actions(mode, 57, 3)
    assert len(track) == 57 and track.blocks == 5
    assert [len(track.block(i)) for i in range(5)] == [9, 12, 12, 12, 12]
    assert ActionTrack.concat([track.block(i) for i in range(5)]) == track == track.padded()

    short = track.frames(0, 23)
    assert short != track and short.blocks == 3
    padded = short.padded()
    assert len(padded) == 33 and padded.frames(0, 23) == short
    assert padded.frames(23, 33) == ActionTrack.hold(mode, [], None, 10)
    assert track.frames(0, 0).blocks == 0 and len(track.frames(0, 0).padded()) == 0


def test_tracks_keep_their_values_safe_and_refuse_what_does_not_fit():
    track = ActionTrack.hold("universal", ["W"], (0, 0.5), 4)
    with pytest.raises(ValueError, match="read-only"):
        track.keyboard[0] = 0
    with pytest.raises(ValueError, match=r"shape \[4, 4\], not \[4, 2\]"):
        ActionTrack("universal", np.zeros((4, 2)), track.mouse)
    with pytest.raises(ValueError, match="finite"):
        ActionTrack("universal", track.keyboard, np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="needs mouse"):
        ActionTrack("universal", track.keyboard)
    with pytest.raises(ValueError, match="has no mouse"):
        ActionTrack("templerun", np.zeros((4, 7)), track.mouse)
    with pytest.raises(ValueError, match="one mode"):
        ActionTrack.concat([track, ActionTrack.hold("templerun", [], None, 4)])
