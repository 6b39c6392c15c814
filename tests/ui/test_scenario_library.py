"""What the page offers of the scenarios that ship: enough of each mode, in words and in pictures."""

import io
import re

import pytest
from PIL import Image

from devtools.thumbnails import key_in, key_of, strip_of, wanting
from mgdemo import scenario
from mgdemo.actions import MODES
from mgdemo.picture import open_picture
from mgdemo.scenario import ScenarioError, load_scenario, parse_scenario
from mgdemo.ui.scenarios.editor import Editor, placed, text_of, verdict
from mgdemo.ui.scenarios.thumbnails import SIZE, STRIP_FRAMES, Thumbnails
from mgdemo.ui.share import Shared, fragment, parse
from tests.support.page_player import REAL

LIBRARY = scenario.library()
SHIPPED = [it for found in LIBRARY.values() for it in found]
MAKE = "run: python -m devtools.thumbnails"


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_ten_scenarios_of_different_titles(mode):
    titles = [it.title for it in LIBRARY[mode]]
    assert len(titles) >= 10 and len(set(titles)) == len(titles)
    assert [it for it in LIBRARY[mode] if it.path.stem.endswith("and-back")], "one goes and returns"


@pytest.mark.parametrize("it", SHIPPED, ids=lambda it: f"{it.mode}/{it.path.stem}")
def test_each_has_a_title_and_a_sentence(it):
    assert 3 <= len(it.title) <= 32  # two lines of the gallery
    assert re.fullmatch(r"[A-Z][^.!?]{20,}\.", it.description), "one sentence"
    assert it.path.parent.name == it.mode


def test_their_thumbnails_are_there_fresh_and_small():
    assert not wanting([it.path for it in SHIPPED]), f"missing or stale; {MAKE}"
    strips = [strip_of(it.path) for it in SHIPPED]
    assert sum(path.stat().st_size for path in strips) < 300_000
    assert {Image.open(path).size for path in strips} == {(SIZE[0], SIZE[1] * STRIP_FRAMES)}
    there = {path for it in SHIPPED for path in it.path.parent.glob("*.webp")}
    assert there == set(strips), "thumbnails of no scenario"


def test_a_thumbnail_gets_stale_with_the_actions_the_seed_and_the_start_image(tmp_path):
    it = LIBRARY["universal"][0]
    keys = {key_of(it)}
    for old, new in (("actions:", "actions:\n  - {for: 1s}"), ("actions:", "seed: 3\nactions:")):
        keys.add(key_of(parse_scenario(it.text.replace(old, new))))
    keys.add(key_of(parse_scenario(re.sub("image: .*", "image: embedded:snow-2", it.text))))
    assert len(keys) == 4
    assert key_of(parse_scenario(it.text.replace(it.title, "Another title"))) in keys  # words are no picture
    assert key_in(tmp_path / "none.webp") is None


def test_a_scenario_without_thumbnail_shows_its_start_image(tmp_path):
    thumbnails = Thumbnails(REAL)
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\nmode: universal\nimage: street.png\nactions:\n  - {for: 1s}\n"
    )
    mine = load_scenario(tmp_path / "mine.yaml")
    assert thumbnails.address(mine) == (None, 1)  # its image is missing: another one would be a lie
    Image.new("RGB", (400, 300), (250, 0, 0)).save(tmp_path / "street.png")
    shown = thumbnails.of(mine)
    red, green, blue = open_picture(io.BytesIO(shown.data)).convert("RGB").getpixel((10, 10))
    assert shown.frames == 1 and red > 230 and green < 20 and blue < 20
    assert thumbnails.of(LIBRARY["universal"][0]).frames == STRIP_FRAMES
    first = thumbnails.of(parse_scenario("title: Any\nmode: universal\nactions:\n  - {for: 1s}\n"))
    assert first and first.frames == 1


def test_errors_of_the_editor_begin_with_their_place():
    with pytest.raises(ScenarioError) as caught:
        Editor.read("title: X\nmode: universal\nactions:\n  - {hold: [Q], for: 1s}\n")
    words, line = placed(caught.value)
    assert words.startswith('Line 4, column 13: unknown control "Q"') and line == 4
    assert verdict(caught.value) == {"words": words, "problem": True, "line": 4, "about": None}
    with pytest.raises(ScenarioError) as caught:
        Editor.read("")
    assert placed(caught.value) == ("The text is empty; write title, mode and actions.", None)


def test_the_editor_shows_what_stands_by_itself(tmp_path):
    part, whole = tmp_path / "part.yaml", tmp_path / "whole.yaml"
    part.write_text("title: Part\nmode: universal\nactions:\n  - {hold: [W], for: 1s}\n")
    whole.write_text(
        "# Both\ntitle: Whole\nmode: universal\nactions:\n  - include: part.yaml\n  - {for: 1s}\n"
    )
    assert text_of(load_scenario(part)) == part.read_text()
    it = load_scenario(whole)
    assert "include" not in text_of(it) and Editor.read(text_of(it)).track == it.track
    there = parse(fragment(Shared("universal", "universal-tiny", None, 0, it))).scenario
    assert there.track == it.track


def test_a_link_carries_the_text_with_its_comments_while_it_fits():
    text = "# Mine\ntitle: X\nmode: universal\nactions:\n  - {hold: [W], for: 1s}  # ahead\n"
    shared = Shared("universal", "universal-tiny", None, 0, parse_scenario(text))
    assert parse(fragment(shared)).scenario.text == text
    words = "".join(f"# {i * 7919 % 99991} {i * 104729 % 99989}\n" for i in range(4000))
    long = parse(fragment(Shared("universal", "universal-tiny", None, 0, parse_scenario(text + words))))
    assert long.scenario.track == shared.scenario.track and "#" not in long.scenario.text
