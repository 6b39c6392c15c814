import contextlib
import io
import struct
import zlib
from importlib.util import find_spec
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageCms

from mgdemo.picture import PictureError, crop_box, open_picture, prepare_image

WARNED = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, of what is damaged on purpose


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
    assert same(open_picture(saved(upright.transpose(turn), "PNG", exif=exif)), upright)


def saved(image, kind, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def same(picture, expected, within=0) -> bool:
    assert picture.mode == "RGB" and picture.size == expected.size
    return np.abs(np.asarray(picture, int) - np.asarray(expected, int)).max() <= within


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "LAB"])
def test_any_kind_of_pixels(mode):
    gray = Image.new("L", (80, 44), 102)
    if mode.startswith("I"):  # 16 bits a pixel, also where they stand in 32
        image = Image.fromarray(np.full((44, 80), 102 * 257, np.int32 if mode == "I" else np.uint16))
    elif mode == "F":
        image = Image.fromarray(np.full((44, 80), 0.4, np.float32))
    elif mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(gray.convert("RGB"), *profiles, outputMode="LAB")
    else:
        image = (gray.point(lambda v: 255) if mode == "1" else gray).convert(mode)
    assert image.mode == mode
    expected = Image.new("RGB", (80, 44), (255 if mode == "1" else 102,) * 3)
    assert same(open_picture(saved(image, "TIFF")), expected, within=1)
    assert same(
        prepare_image(open_picture(saved(image, "TIFF")), 22, 40), expected.resize((40, 22)), within=1
    )


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (np.float32, 0, 1),
        (np.float32, 0, 255),
        (np.float32, -1, 1),
        (np.float32, 0, 65535),
        (np.int32, 0, 255),
        (np.int32, 0, 65535),
        (np.int32, 0, 2**31 - 1),
        (np.int32, -1000, 1000),
        (np.uint16, 0, 65535),
    ],
)
def test_numbers_of_any_scale_run_from_black_to_white(kind, low, high):
    rows = np.linspace(low, high, 90).astype(kind)
    picture = open_picture(saved(Image.fromarray(np.repeat(rows[:, None], 160, 1)), "TIFF"))
    expected = np.linspace(0, 255, 90)[:, None, None]
    assert np.abs(np.asarray(picture, float) - expected).max() <= 1


def test_a_float_picture_may_have_holes_and_lights():
    values = np.full((44, 80), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, 1.7
    picture = np.asarray(open_picture(saved(Image.fromarray(values), "TIFF")))[..., 0]
    assert picture[0, 2] == 255 and picture[0, 0] == 0 and (picture[1:] == 128).all()


def test_what_is_transparent_shows_a_neutral_ground():
    """Not the color that is hidden there, magenta."""
    hidden = Image.new("RGBA", (80, 44), (255, 0, 255, 0))
    hidden.paste((10, 200, 30, 255), (0, 0, 40, 44))
    expected = Image.new("RGB", (80, 44), (128, 128, 128))
    expected.paste((10, 200, 30), (0, 0, 40, 44))
    palette = Image.new("P", (80, 44), 1)
    palette.putpalette([10, 200, 30, 255, 0, 255])
    palette.paste(0, (0, 0, 40, 44))
    alone = hidden.convert("RGB")  # with a transparent color
    for file in (
        saved(hidden, "PNG"),
        saved(hidden, "WEBP", lossless=True, exact=True),
        saved(hidden, "TIFF"),
        saved(palette, "PNG", transparency=1),
        saved(palette, "GIF", transparency=1),
        saved(palette, "PNG", transparency=bytes([255, 0])),
        saved(alone, "PNG", transparency=(255, 0, 255)),
    ):
        assert same(open_picture(file), expected)
    gray = Image.merge("LA", (Image.new("L", (8, 8), 250), Image.new("L", (8, 8), 0)))
    assert same(open_picture(saved(gray, "PNG")), Image.new("RGB", (8, 8), (128, 128, 128)))
    half = Image.new("RGBA", (8, 8), (255, 255, 255, 128))
    assert same(open_picture(saved(half, "PNG")), Image.new("RGB", (8, 8), (192, 192, 192)), within=1)


def wide_profile() -> bytes:
    """A profile with the colors of Display P3 and a gamma of 2.2 (ICC version 2, a matrix and curves)."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(map(number, values))

    text = b"Wide\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": (curve := b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))),
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, content, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(content), len(data))
        content += data
    head = struct.pack(
        ">I4x4s4s4s4s12x4s28x12s48x",
        at + len(content),
        b"\2\x10\0\0",
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        number(0.9642) + number(1.0) + number(0.8249),
    )
    return head + table + content


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colors_are_converted_by_their_profile(kind):
    options = {"quality": 100} if kind in ("JPEG", "WEBP", "AVIF") else {}
    wide = saved(Image.new("RGB", (80, 44), (200, 100, 50)), kind, icc_profile=wide_profile(), **options)
    red, green, blue = open_picture(wide).getpixel((40, 22))
    assert red > 210 and green < 99 and blue < 45  # more saturated than the same numbers in sRGB
    broken = saved(Image.new("RGB", (80, 44), (200, 100, 50)), kind, icc_profile=b"no profile", **options)
    assert same(open_picture(broken), Image.new("RGB", (80, 44), (200, 100, 50)), within=2)


def test_a_profile_keeps_alpha_and_srgb_keeps_its_numbers():
    half = saved(Image.new("RGBA", (8, 8), (255, 0, 255, 0)), "PNG", icc_profile=wide_profile())
    assert same(open_picture(half), Image.new("RGB", (8, 8), (128, 128, 128)))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert same(open_picture(saved(ramp(80, 44), "PNG", icc_profile=srgb)), ramp(80, 44))


def test_the_first_picture_of_an_animation_is_taken():
    first, second = (Image.new("RGB", (80, 44), color) for color in ((200, 0, 0), (0, 0, 200)))
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        file = saved(first, kind, save_all=True, append_images=[second], **options)
        assert same(open_picture(file), first)


def png_chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


@WARNED
@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"eXIf", bytes(8)),
        png_chunk(b"eXIf", b"II*\0" + b"\xff" * 40),
        png_chunk(b"tEXt", b"Raw profile type exif\0no hexadecimal digits"),
        png_chunk(b"zTXt", b"Comment\0\0no deflate"),
        png_chunk(b"pHYs", b"\0"),
        png_chunk(b"iCCP", b"profile\0\1"),
        png_chunk(b"tEXt", b"Comment\0fine but for its sum", crc=1),
    ],
)
def test_damaged_metadata_of_a_png_are_ignored(chunk):
    whole = saved(ramp(80, 44), "PNG")
    assert same(open_picture(whole[:33] + chunk + whole[33:]), ramp(80, 44))


@WARNED
@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\0\x10Exif\0\0" + b"\xff" * 8,
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 14,
        b"\xff\xe0\0\x04JF",
        b"\xff\xe2\0\x0cMPF\0II*\0\xff\xff",
        b"\xff\xed\0\x20Photoshop 3.0\0" + b"8BIM\3\xed\0\0\0\0\0\x10",
        b"\xff\xfe\0\2",
    ],
)
def test_damaged_metadata_of_a_jpeg_are_ignored(segment):
    whole = saved(ramp(80, 44), "JPEG")
    assert same(open_picture(whole[:2] + segment + whole[2:]), Image.open(io.BytesIO(whole)))


def test_a_tag_of_the_wrong_type_does_not_hide_the_orientation():
    exif = (
        b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHIi", 0x100, 9, 1, -5) + struct.pack("<HHII", 0x112, 3, 1, 6)
    )
    file = saved(ramp(80, 44), "JPEG", exif=b"Exif\0\0" + exif + bytes(4), quality=100)
    assert open_picture(file).size == (44, 80)


@WARNED
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_whatever_a_file_holds_it_is_a_picture_or_refused(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if kind in ("GIF", "BMP") else {"exif": exif, "icc_profile": wide_profile()}
    whole, random = saved(ramp(60, 40), kind, **options), Random(kind)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(random.choice([1, 2, 8])):
            data[random.randrange(random.choice([64, len(data)]))] = random.choice([0, 127, 255])
        if random.random() < 0.2:
            del data[random.randrange(len(data)) :]
        with contextlib.suppress(PictureError):
            assert open_picture(bytes(data)).mode == "RGB"


def test_large_jpegs_are_read_smaller():
    file = saved(Image.new("L", (8000, 4000), 90), "JPEG")
    picture = open_picture(file)
    assert picture.width == 2 * picture.height and 2e6 <= picture.width * picture.height <= 8e6
    assert picture.getpixel((9, 9)) == (90, 90, 90)


def test_large_pictures_stay_sharp_enough_and_small_ones_as_they_are():
    large = prepare_image(ramp(4032, 3024), 352, 640)
    assert same(prepare_image(open_picture(saved(ramp(4032, 3024), "PNG")), 352, 640), large, within=1)
    assert same(open_picture(saved(ramp(1900, 1050), "PNG")), ramp(1900, 1050))


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


@pytest.mark.skipif(bool(find_spec("pillow_heif")), reason="reads HEIC")
def test_heic_is_called_by_its_name(tmp_path):
    for name in ("phone.heic", "phone.jpg"):
        (tmp_path / name).write_bytes(HEIC)
        with pytest.raises(PictureError, match=rf"^{name} is a HEIC picture.*as JPEG.*mgdemo\[heif\]"):
            open_picture(tmp_path / name, name)


@pytest.mark.parametrize(
    "script", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 80 44\n", b"<svg/>", b"%PDF-1"]
)
def test_formats_that_start_programs_are_refused(script):
    with pytest.raises(PictureError, match="give a JPEG, PNG"):
        open_picture(script)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.png", "none.png cannot be used as a start image: No such file or directory; give a JPEG"),
        ("text.png", "text.png cannot be used as a start image: it is not a picture, or its format is"),
        ("half.png", "half.png cannot be used as a start image: it is damaged, or of a kind that cannot"),
        ("wall.png", "wall.png is too large: it has 108 megapixels, .* may have 25 .*make it smaller"),
        ("sky.png", "sky.png is too large: it has 200 megapixels"),
        ("line.png", "line.png is only 1x9 pixels; give a larger start image"),
    ],
)
def test_a_file_that_cannot_be_a_start_image_is_told(tmp_path, name, said):
    (tmp_path / "text.png").write_text("not a picture")
    ramp(200, 200).save(tmp_path / "half.png")
    whole = (tmp_path / "half.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (12_000, 9_000)).save(tmp_path / "wall.png")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "sky.png")
    Image.new("RGB", (1, 9)).save(tmp_path / "line.png")
    with pytest.raises(PictureError, match=said) as error:
        open_picture(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path))
    with pytest.raises(PictureError, match=f"^your {said}"):
        open_picture(tmp_path / name, f"your {name}")


def test_unsigned_numbers_of_32_bits_are_no_negative_ones():
    rows = np.linspace(0, 2**32 - 1, 90).astype(np.uint32)
    file = saved(Image.fromarray(np.repeat(rows.view(np.int32)[:, None], 160, 1)), "TIFF")
    signed = struct.pack("<HHII", 339, 3, 1, 2)
    assert file.count(signed) == 1
    picture = open_picture(file.replace(signed, struct.pack("<HHII", 339, 3, 1, 1)))
    assert np.abs(np.asarray(picture, float) - np.linspace(0, 255, 90)[:, None, None]).max() <= 1
