import dataclasses

import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.picture import PictureError
from mgdemo.references import ImageMissing, reference_of, shipped_image, start_image, wanted_image
from mgdemo.scenario import OWN_PICTURE, Scenario

LONG = "🏔" * 120
TRACK = ActionTrack.hold("universal", [], None, 9)


@pytest.fixture
def shipped(tmp_path):
    paths = [tmp_path / "start" / name for name in ("meadow.png", "hill.jpg")]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("RGB", (80, 44), "olive").save(path)
    return paths


def scenario(image, path=None):
    return Scenario("T", "", "universal", image, None, TRACK, path)


def test_an_image_that_ships_goes_by_its_name(shipped, tmp_path):
    assert reference_of(shipped[1], shipped) == "embedded:hill"
    assert reference_of(str(shipped[0].parent / ".." / "start" / "meadow.png"), shipped) == "embedded:meadow"
    assert (
        shipped_image("embedded:hill", shipped)
        == wanted_image(scenario("embedded:hill"), shipped)
        == shipped[1]
    )
    assert shipped_image(None, shipped) is shipped_image("hill", shipped) is None
    assert start_image(shipped[1], shipped).reference == "embedded:hill"
    own = tmp_path / "meadow.png"
    own.write_bytes(shipped[0].read_bytes())
    assert reference_of(own, shipped) is start_image(own, shipped).reference is None
    fitted = start_image(shipped[1], shipped).fitted(22, 40)
    assert (fitted.reference, fitted.picture.size) == ("embedded:hill", (40, 22))


def test_a_scenario_may_bring_its_picture_or_none(shipped, tmp_path):
    path = tmp_path / "walk.yaml"
    Image.new("RGB", (80, 44)).save(tmp_path / "crossing.png")
    assert wanted_image(scenario("crossing.png", path), shipped) == tmp_path / "crossing.png"
    assert wanted_image(scenario(None, path), shipped) is None
    path.write_text("title: T")
    with pytest.raises(PictureError, match=r"^walk.yaml cannot be used"):
        start_image(path, shipped, path.name)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("crossing.png", "This scenario starts from crossing.png: choose it."),
        ("embedded:typo", "This scenario starts from typo: choose it."),
        ("walk.yaml", "This scenario starts from walk.yaml: choose it."),
        (LONG, f"This scenario starts from {LONG[:80]}: choose it."),
        ("start", "This scenario starts from start: choose it."),
        (OWN_PICTURE, "starts from its author's own picture, which is not in the file: choose it."),
    ],
)
def test_a_picture_that_is_not_there_is_asked_for_by_name(shipped, tmp_path, image, said):
    path = tmp_path / "walk.yaml"
    path.write_text("title: T")
    for wanting in (scenario(image, path), scenario(image)):
        with pytest.raises(ImageMissing) as error:
            wanted_image(wanting, shipped)
        assert said in str(error.value) and error.value.name == image
    with pytest.raises(ImageMissing):
        wanted_image(dataclasses.replace(scenario(image), path=tmp_path / "gone" / "walk.yaml"), shipped)
