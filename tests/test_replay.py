import base64
import json

import numpy as np
import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.replay import film_tags, open_replay, open_tags
from mgdemo.scenario import ScenarioError, scenario_yaml
from mgdemo.video.mp4 import write_mp4

TRACK = ActionTrack.concat(
    [ActionTrack.hold("universal", ["W"], (0, 0.15), 9), ActionTrack.hold("universal", ["A"], None, 12)]
)
TEXT = scenario_yaml(TRACK, title="A walk", image=None, seed=7)


def film(path, **tags):
    write_mp4(path, [np.zeros((48, 64, 3), np.uint8)] * 3, 25, tags)
    return path


def test_a_film_holds_all_that_its_play_began_with(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (352, 640, 3), dtype=np.uint8)  # 0.9 MB of tag
    image = Image.fromarray(noise)
    replay = open_replay(film(tmp_path / "a.mp4", scenario=TEXT, **film_tags("universal-tiny", image)))
    assert replay.scenario.track == TRACK and replay.scenario.seed == 7 and replay.scenario.title == "A walk"
    assert replay.checkpoint == "universal-tiny"
    assert (np.asarray(replay.image) == noise).all()


def test_a_film_from_an_image_that_ships_and_a_plain_scenario(tmp_path):
    replay = open_replay(film(tmp_path / "a.MP4", scenario=TEXT, **film_tags("universal-tiny", None)))
    assert (replay.checkpoint, replay.image) == ("universal-tiny", None)
    (tmp_path / "b.yaml").write_text(TEXT)
    replay = open_replay(tmp_path / "b.yaml")
    assert replay.scenario.track == TRACK and (replay.checkpoint, replay.image) == (None, None)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({}, "film.mp4 has no scenario inside; give the .yaml file"),
        ({"scenario": "title: [", "checkpoint": "x"}, "film.mp4, line "),
        ({"scenario": TEXT, "start_image": "no base64!"}, "film.mp4 holds a start image that cannot be read"),
        (
            {"scenario": TEXT, "start_image": base64.b64encode(b"no picture").decode()},
            "film.mp4 holds a start image that cannot be read",
        ),
    ],
)
def test_a_film_that_cannot_be_repeated_says_why(tmp_path, tags, said):
    with pytest.raises(ScenarioError, match=said) as error:
        open_replay(film(tmp_path / "film.mp4", **tags))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a film", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"])
def test_what_is_called_a_film_is_read_as_mp4_only(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"film.mp4 cannot be read as a video \(.*\); give an mp4"):
        open_replay(path)


def test_the_tags_alone_repeat_a_film(tmp_path):
    image = Image.new("RGB", (64, 48), "olive")
    sent = tmp_path / "sent.json"
    sent.write_text(json.dumps({"scenario": TEXT, "odd": 5, **film_tags("universal-tiny", image)}))
    replay = open_tags(sent, "holiday.mp4")
    assert replay.scenario.track == TRACK and replay.checkpoint == "universal-tiny"
    assert (np.asarray(replay.image) == np.asarray(image)).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("null", "holiday.mp4 cannot be read as a video; give an mp4"),
        ("[" * 100_000, "holiday.mp4 cannot be read as a video"),
        (b"\xff\xfe", "holiday.mp4 cannot be read as a video"),
        ("{}", "holiday.mp4 has no scenario inside"),
        ('{"scenario": 5}', "holiday.mp4 has no scenario inside"),
        ('{"scenario": "title: ["}', "holiday.mp4, line"),
        (json.dumps({"scenario": "x" * 25 * 2**20}), "holiday.mp4 cannot be read as a video"),
        (None, "holiday.mp4 cannot be read as a video"),
    ],
)
def test_tags_of_no_use_say_why(tmp_path, content, said):
    sent = tmp_path / "sent.json"
    if content is not None:
        sent.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError, match=said):
        open_tags(sent, "holiday.mp4")


def test_tags_that_are_not_utf_8_are_told_or_left_out(tmp_path):
    path = film(tmp_path / "film.mp4", scenario=TEXT, checkpoint="worldXXXX", title="XXXX")
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"\xff\xc3(\xfe"))
    assert open_replay(path).checkpoint == "world("
    path.write_bytes(path.read_bytes().replace(b"title: A walk", b"title: A w\xfflk"))
    with pytest.raises(ScenarioError, match=r"^the scenario in film.mp4 is not UTF-8 text"):
        open_replay(path)
