"""What the column of choices says and does, without a browser."""

import base64
import dataclasses
import io
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from mgdemo.actions import MODES
from mgdemo.errors import UserError
from mgdemo.ui.chosen import FormError
from mgdemo.ui.form import SessionForm
from tests.support.page_player import REAL


def choices(published_is_here=False, **more):
    entries = [
        dataclasses.replace(entry, available=entry.embedded or published_is_here) for entry in REAL.catalog()
    ]
    with gr.Blocks():
        library = dataclasses.replace(REAL, catalog=lambda: entries)
        return SessionForm(library, live=True, start="Start", **more)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), "olive").save(path)
    return str(path)


@pytest.mark.parametrize("mode", MODES)
def test_an_embedded_world_says_what_becomes_of_a_strange_picture_and_offers_the_published_one(mode, photo):
    def hint(column, checkpoint, image):
        return column.choose_checkpoint(checkpoint, image, photo)[2]

    away, here = choices(), choices(published_is_here=True)
    said = hint(away, f"{mode}-tiny", photo)
    assert said.visible and "turns into one of them" in said.value
    assert f"python -m mgdemo download --mode {mode}<" in said.value
    said = hint(here, f"{mode}-tiny", photo)
    assert said.visible and "choose it above" in said.value and "download" not in said.value
    assert REAL.entry(mode).title in said.value
    assert not hint(here, mode, photo).visible
    assert not hint(here, f"{mode}-tiny", None).visible, "it begins with an image of its own"


def test_the_image_to_begin_with_is_chosen_from_the_first_moment_on():
    shipped = [str(path) for path in REAL.start_images(f"{next(iter(MODES))}-tiny")]
    for image, index in ((shipped[2], 2), (None, 0), ("elsewhere.png", 0)):
        column = choices(image=image)
        assert (column.image.value, column.images.value) == (shipped[index], Path(shipped[index]).name)
        assert column.first_setup == column.setup(column.checkpoint.value, shipped[index])


def test_a_transparent_picture_is_shown_as_the_world_will_see_it(tmp_path):
    path = tmp_path / "half.png"
    image = Image.new("RGBA", (64, 36), (255, 0, 255, 0))  # magenta that nobody sees
    image.paste((10, 20, 200, 255), (0, 0, 32, 36))
    image.save(path)
    column = choices()
    poster = column.setup(column.checkpoint.value, str(path))["poster"]
    with Image.open(io.BytesIO(base64.b64decode(poster.partition(",")[2]))) as shown:
        width, height = shown.size
        assert shown.getpixel((width // 4, height // 2))[2] > 180
        red, green, blue = shown.getpixel((3 * width // 4, height // 2))
    assert max(red, green, blue) - min(red, green, blue) < 12 and red > 100


def test_what_is_not_offered_is_refused(photo):
    column = choices()
    with pytest.raises(UserError, match="no checkpoint called nonsense here"):
        column.request("universal", "nonsense", photo, None, None, 0)
    for image, said in (
        (None, "Choose a start image first"),
        ("missing:crossing.png", "starts from crossing.png"),
    ):
        with pytest.raises(FormError, match=said):
            column.request(column.mode.value, column.checkpoint.value, image, None, None, 0)


@pytest.mark.parametrize("mode", MODES)
def test_choosing_a_world_brings_its_own_start_images_and_film(mode):
    column = choices()
    other = next(name for name in MODES if name != mode)
    foreign = str(REAL.start_images(f"{other}-tiny")[3])
    dropdown, _, images, _, image, screen = column.choose_mode(mode, f"{other}-tiny", foreign, None)
    shipped = [str(path) for path in REAL.start_images(f"{mode}-tiny")]
    assert dropdown.value == f"{mode}-tiny" and image == shipped[0]
    assert len(images.props["images"]) == len(shipped) and images.value == Path(shipped[0]).name
    setup = screen.props["setup"]
    assert setup["mode"] == mode and f"/{mode}-tiny.mp4" in setup["loop"] and setup["poster"]


def test_what_is_asked_for_is_of_the_mode_that_was_chosen_last(photo):
    column, (old, new) = choices(), list(MODES)[:2]
    foreign = str(REAL.start_images(f"{old}-tiny")[2])
    shipped = [str(path) for path in REAL.start_images(f"{new}-tiny")]
    for image, own, start in (
        (foreign, None, shipped[0]),
        (shipped[2], None, shipped[2]),
        (photo, photo, photo),
    ):
        request = column.request(new, f"{old}-tiny", image, Path(foreign).name, own, 0)
        assert request.checkpoint == f"{new}-tiny"
        assert request.start == REAL.picture(start, f"{new}-tiny")
        assert column.shared(new, f"{old}-tiny", image, Path(foreign).name, own, 0).mode == new


def test_the_start_image_is_the_one_that_the_page_shows_as_chosen(photo):
    column = choices()
    mode, checkpoint = column.mode.value, column.checkpoint.value
    shipped = [str(path) for path in REAL.start_images(checkpoint)]
    for picked, image in (
        (Path(shipped[1]).name, shipped[1]),
        ("own", photo),
        (None, shipped[0]),
        ("../secret.png", shipped[0]),
        ({"a": 1}, shipped[0]),
    ):
        request = column.request(mode, checkpoint, shipped[0], picked, photo, 0)
        assert request.start == REAL.picture(image, checkpoint)
    request = column.request(mode, checkpoint, shipped[0], "own", None, 0)
    assert request.start == REAL.picture(shipped[0], checkpoint), "there is no upload"
