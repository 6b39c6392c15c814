"""What a link holds and which files are opened, without a page."""

import base64
import json
import random
import re
import zlib

import pytest

from mgdemo.actions import ActionTrack
from mgdemo.random_actions import random_actions
from mgdemo.scenario import Mark, Scenario, parse_scenario
from mgdemo.ui.files import uploaded
from mgdemo.ui.share import MAX_LINK, Shared, ShareError, fragment, parse

TRACK = ActionTrack.concat(
    [ActionTrack.hold("universal", ["W"], (0.05, -0.125), 33), ActionTrack.hold("universal", ["A"], None, 12)]
)
GOOD = {"mode": "universal", "checkpoint": "universal-tiny", "image": "embedded:meadow-1", "seed": 7}


def packed(fields):
    data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    key = "replay=" if isinstance(fields, dict) and "scenario" in fields else "play="
    return key + base64.urlsafe_b64encode(zlib.compress(data, 9)).decode().rstrip("=")


def scenario(track, title="A walk: “über” & <b>", image=None, seed=0):
    return Scenario(title, "", track.mode, image, seed, track, marks=(Mark("corner", 3),))


@pytest.mark.parametrize("image", ["embedded:meadow-1", None])
@pytest.mark.parametrize("played", [None, TRACK])
def test_a_link_brings_back_what_was_chosen(image, played):
    seed = 4294967295
    it = scenario(played, image=image, seed=seed) if played else None
    shared = Shared("universal", "universal-tiny", image, seed, it)
    text = fragment(shared)
    assert text.startswith("replay=" if played else "play=")
    assert re.fullmatch("(re)?play=[A-Za-z0-9_-]+", text)
    assert parse(text) == shared


@pytest.mark.parametrize(
    ("actions", "kept"),
    [
        ("  - {hold: [W], for: 2s}  # include a turn here", True),
        ("  - {include: embedded:slalom}", False),
        ('  - {"include" : embedded:slalom}', False),
    ],
)
def test_a_text_that_includes_no_other_travels_as_it_was_written(actions, kept):
    text = f"# Mine\ntitle: Around\nmode: gta_drive\nseed: 5\nactions:\n{actions}\n"
    link = fragment(Shared("gta_drive", "gta_drive", "embedded:suburb-1", 7, parse_scenario(text)))
    there = parse(link).scenario
    assert there.track == parse_scenario(text).track
    assert (there.text == text) == kept
    assert kept or (there.image, there.seed) == ("embedded:suburb-1", 7)


def test_a_minute_of_busy_play_fits():
    track = random_actions("gta_drive", 1500, 3)
    shared = Shared("gta_drive", "gta_drive", None, 0, scenario(track))
    assert len(fragment(shared)) < 2000 and parse(fragment(shared)).scenario.track == track


def test_a_play_too_long_for_a_link_says_what_to_do():
    numbers = random.Random(0)
    camera = [(numbers.uniform(-0.3, 0.3), numbers.uniform(-0.3, 0.3)) for _ in range(3000)]
    track = ActionTrack.concat([ActionTrack.hold("universal", [], each) for each in camera])
    with pytest.raises(ShareError, match="Save its film or scenario"):
        fragment(Shared("universal", "universal", None, 0, scenario(track)))


def broken():
    text = packed(GOOD)
    yield from [
        "",
        "play=",
        "something-else",
        text[5:],
        text[:-9],
        text[:20] + "A" + text[20:],
        "play=é",
        "re" + text,
    ]
    yield from ["play=" + "A" * MAX_LINK, packed(b"x" * 30_000_000)[: MAX_LINK - 1], packed(b"[" * 100_000)]
    yield from [packed(b"[]"), packed(b"{"), packed(b"\xff"), packed({})]
    for change in [
        {"mode": "swimming"},
        {"seed": -1},
        {"seed": True},
        {"seed": 1.5},
        {"seed": 2**32},
        {"checkpoint": ["x"]},
        {"checkpoint": None},
        {"image": "embedded:../../etc/passwd"},
        {"image": "/etc/passwd"},
        {"image": 3},
        {"more": 1},
        {"scenario": 5},
        {"scenario": "title: x\nmode: universal\nactions:\n  - {hold: [Q], for: 1s}\n"},
        {"scenario": "title: x\nmode: templerun\nactions:\n  - {for: 1s}\n"},
        {"scenario": "title: x\nmode: universal\nactions:\n  - {for: 9999s}\n"},
    ]:
        yield packed(GOOD | change)


@pytest.mark.parametrize("text", list(broken()))
def test_a_broken_link_is_refused_in_one_gentle_sentence(text):
    with pytest.raises(ShareError, match="This link is incomplete"):
        parse(text)


def test_a_bomb_is_not_unpacked():
    bomb = packed(b" " * 11_000_000)
    assert len(bomb) < MAX_LINK
    with pytest.raises(ShareError):
        parse(bomb)


def test_only_files_that_were_uploaded_are_opened(tmp_path, monkeypatch):
    """The path comes from the page, so a stranger can write any."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    sent, secret = tmp_path / "uploads" / "ab12" / "film.mp4", tmp_path / "secret.yaml"
    sent.parent.mkdir(parents=True)
    sent.touch()
    secret.touch()
    (sent.parent / "link.yaml").symlink_to(secret)
    assert uploaded(str(sent)) == sent.resolve()
    escapes = [secret, sent.parent / "../../secret.yaml", sent.parent / "link.yaml", sent.parent, "gone.mp4"]
    assert [uploaded(str(path)) for path in escapes] == [None] * 5
    assert [uploaded(path) for path in (None, "", 3, ["x"], "\0")] == [None] * 5
