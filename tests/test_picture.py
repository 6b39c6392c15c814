import numpy as np
import pytest
from PIL import Image

from mgdemo.picture import PictureError, crop_box, open_picture, prepare_image


def ramp(width, height):
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack((x, y, 0 * x), axis=-1).astype(np.uint8))


@pytest.mark.parametrize("size", [(640, 352), (61, 150), (2, 2), (2, 9999), (9999, 2), (3, 500), (1000, 7)])
def test_any_shape_becomes_the_picture(size):
    image = Image.new("RGB", size, (200, 100, 50))
    picture = prepare_image(image, 352, 640)
    assert picture.size == (640, 352) and picture.mode == "RGB"
    assert np.asarray(picture).reshape(-1, 3).tolist()[::9999] == [[200, 100, 50]] * 23


def test_a_picture_of_the_right_size_stays_as_it_is():
    assert np.array_equal(prepare_image(ramp(640, 352), 352, 640), ramp(640, 352))


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1)])
def test_a_line_is_no_picture(size):
    with pytest.raises(
        ValueError, match=f"The image is {size[0]}x{size[1]} pixels; give one of at least 2x2"
    ):
        prepare_image(Image.new("RGB", size), 352, 640)


@pytest.mark.parametrize(("width", "height"), [(100, 40), (40, 100), (121, 67), (120, 66)])
def test_the_crop_is_centred_and_as_large_as_can_be(width, height):
    left, top, right, bottom = crop_box(width, height, 352, 640)
    assert left + right == width and top + bottom == height
    assert min(left, top) == 0
    assert abs((bottom - top) / (right - left) - 352 / 640) < 1 / min(width, height)


def test_the_middle_is_kept():
    middle = np.asarray(prepare_image(ramp(100, 100), 32, 64))
    assert middle[0, 0, 0] < 4 and middle[0, -1, 0] > 251
    assert 60 < middle[0, 0, 1] < 68 and 187 < middle[-1, 0, 1] < 195


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_a_turned_photograph_is_put_upright(tmp_path, orientation, turn):
    upright = ramp(200, 110)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.transpose(turn).save(tmp_path / "photo.png", exif=exif)
    photo = Image.open(tmp_path / "photo.png")
    assert np.array_equal(prepare_image(photo, 44, 80), prepare_image(upright, 44, 80))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "YCbCr"])
def test_any_kind_of_pixels(mode):
    grey = Image.new("L", (80, 44), 102)
    if mode.startswith("I"):  # 16 bits a pixel
        image = Image.fromarray(np.full((44, 80), 102 * 257, np.uint16)).convert(mode)
    else:
        image = (grey.point(lambda v: 255) if mode == "1" else grey).convert(mode)
    expected = 255 if mode == "1" else 102
    assert np.abs(np.asarray(prepare_image(image, 44, 80), int) - expected).max() <= 1


def test_the_first_picture_of_an_animation_is_taken(tmp_path):
    first, second = (Image.new("RGB", (80, 44), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    assert prepare_image(open_picture(tmp_path / "two.gif"), 44, 80).getpixel((40, 22)) == (200, 0, 0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.png", "none.png cannot be used as a start image: No such file or directory; give a JPEG"),
        ("text.png", "text.png cannot be used as a start image: it is no picture, or a damaged one; give a"),
        ("half.png", "half.png cannot be used as a start image: it is no picture, or a damaged one; give a"),
        ("wall.png", "wall.png has more than 100 megapixels; make it smaller"),
        ("line.png", "line.png is only 1x9 pixels; give a larger start image"),
    ],
)
def test_a_file_that_cannot_be_a_start_image_is_told(tmp_path, name, said):
    (tmp_path / "text.png").write_text("not a picture")
    ramp(200, 200).save(tmp_path / "half.png")
    whole = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (12_000, 9_000)).save(tmp_path / "wall.png")
    Image.new("RGB", (1, 9)).save(tmp_path / "line.png")
    with pytest.raises(PictureError, match=said) as error:
        open_picture(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path))
    with pytest.raises(PictureError, match=f"^your {said}"):
        open_picture(tmp_path / name, f"your {name}")
