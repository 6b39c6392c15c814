"""Start images: the one door for pictures from outside, and how they are cropped to what a model sees."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from mgdemo.errors import UserError
from mgdemo.picture_metadata import without_metadata

MEGAPIXELS = 25  # that are decoded, at most
JPEG_MEGAPIXELS = 200  # of a JPEG, which can be decoded at a half, a quarter or an eighth of its size
KEPT_PIXELS = 2_000_000  # of a larger picture, at least: nearly three times the published size each way
GROUND = (128, 128, 128)  # behind what is transparent

PLUGINS = {  # formats of Pillow that are read; others, such as EPS, start programs or have unsafe decoders
    "JPEG": "Jpeg",
    "PNG": "Png",
    "WEBP": "WebP",
    "GIF": "Gif",
    "BMP": "Bmp",
    "TIFF": "Tiff",
    "AVIF": "Avif",
}
GIVE = "give a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file"
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
SAMPLE_FORMAT = 339  # TIFF's tag that tells signed numbers, the default is unsigned
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
log = logging.getLogger(__name__)


class PictureError(UserError):
    """A file that cannot be a start image; the message says why and what to do."""


@dataclass(frozen=True)
class StartImage:
    """The picture that a session begins with.

    reference: how scenarios and links name it, as in "embedded:crossing"; None for one that does not ship.
    """

    reference: str | None
    picture: Image.Image  # upright RGB of any size; not to be changed

    @cached_property
    def sha256(self) -> str:
        """Of its pixels as RGB; hashed once, since each run of a comparison asks for it."""
        return hashlib.sha256(self.picture.convert("RGB").tobytes()).hexdigest()

    def fitted(self, height: int, width: int) -> StartImage:
        """The same, cropped and scaled to what a model sees."""
        return StartImage(self.reference, prepare_image(self.picture, height, width))


def open_picture(source: str | Path | bytes | BinaryIO, name: str = "") -> Image.Image:
    """The picture in a file, by its path, its content or opened, as an upright sRGB picture of bounded size.

    Damaged metadata is ignored; transparent parts show `GROUND`. Of several pictures the first is taken.
    Raises PictureError, whatever the file holds. name: what to call it in errors, if not by its path.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "this picture")
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(source, bytes):
                source = io.BytesIO(source)
            elif isinstance(source, str | Path):
                source = stack.enter_context(Path(source).open("rb"))
            try:
                picture = _read(source, name)
            except (PictureError, UnidentifiedImageError, MemoryError):
                raise
            except Exception:  # a broken file can make Pillow's decoders raise anything
                source.seek(0)
                picture = _read(io.BytesIO(without_metadata(source.read())), name)
    except PictureError:
        raise
    except MemoryError:
        raise PictureError(f"{name} needs too much memory to read: give a smaller picture.") from None
    except Exception as error:
        log.info("%s cannot be read: %r", name, error)
        reason = getattr(error, "strerror", None) or "it is damaged, or of a kind that cannot be read here"
        if isinstance(error, UnidentifiedImageError):
            reason = "it is not a picture, or its format is not supported"
        raise PictureError(f"{name} cannot be used as a start image: {reason}; {GIVE}.") from None
    if min(picture.size) < 2:
        width, height = picture.size
        raise PictureError(f"{name} is only {width}x{height} pixels; give a larger start image.")
    return picture


def _read(file: BinaryIO, name: str) -> Image.Image:
    image = _identified(file, name)
    _bound(image, name)
    image.load()
    orientation, profile = _orientation(image), image.info.get("icc_profile")
    image = _eight_bits(image)
    if (factor := math.isqrt(image.width * image.height // KEPT_PIXELS)) > 1:
        image = image.reduce((min(factor, image.width), min(factor, image.height)))
    image = _composited(_srgb(image, profile))
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _identified(file: BinaryIO, name: str) -> Image.Image:
    """The picture with its size known and its pixels not read yet.

    (`Image.open` would do, but for its own limits of size, whose warnings nobody sees.)
    """
    start, problem = file.read(16), UnidentifiedImageError()
    for factory, accept in _openers():
        if accept and accept(start) is True:
            try:
                file.seek(0)
                return factory(file, "")
            except SyntaxError as error:  # damaged, or another format with the same beginning
                problem = error
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        raise PictureError(
            f"{name} is a HEIC picture, which cannot be read here: share or save it as JPEG, or let the "
            'operator run: pip install "mgdemo[heif]".'
        )
    raise problem


@cache
def _openers() -> list[tuple[Callable, Callable | None]]:
    """Pillow's functions that read a picture's head and that recognize its first bytes."""
    formats = []
    for name, module in PLUGINS.items():
        with contextlib.suppress(ImportError):  # AVIF is new
            importlib.import_module(f"PIL.{module}ImagePlugin")
            formats.append(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
        formats.append("HEIF")
    return [Image.OPEN[name] for name in formats if name in Image.OPEN]


def _bound(image: Image.Image, name: str) -> None:
    """See to it that no more than `MEGAPIXELS` will be decoded. Raises PictureError."""
    millions = image.width * image.height / 1e6
    if millions <= MEGAPIXELS:
        return
    if image.format in ("JPEG", "MPO") and millions <= JPEG_MEGAPIXELS:
        scale = next(scale for scale in (2, 4, 8) if millions / scale**2 <= MEGAPIXELS)
        image.draft(None, (image.width // scale, image.height // scale))
    if image.width * image.height / 1e6 > MEGAPIXELS:
        raise PictureError(
            f"{name} is too large: it has {math.ceil(millions)} megapixels, and a start image may have "
            f"{MEGAPIXELS} (a JPEG {JPEG_MEGAPIXELS}); make it smaller."
        )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none, and where EXIF is damaged."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # metadata can be anything
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel, as L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if values.dtype == np.int32 and getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT) in (None, 1, (1,)):
            values = values.view(np.uint32)  # Pillow has no mode for it
        return Image.fromarray(_scaled(values))
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB") else image.convert("RGB")


def _scaled(values: np.ndarray) -> np.ndarray:
    """Numbers of unknown scale as uint8: black is 0, white the largest number that their kind would have."""
    sixteen_bits = values.dtype.itemsize == 2
    values = values.astype(np.float32)
    np.nan_to_num(values, copy=False, nan=0, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    if low < -0.01 * abs(high):  # signed, so there is no black by convention
        values -= low
        white = high - low
    elif sixteen_bits:
        white = 65535
    elif high <= 4 and (values % 1).any():
        white = 1  # 0 to 1, perhaps with brighter lights
    else:
        white = next((white for white in (1, 255, 65535) if high <= white), high)
    values *= 255 / white
    values += 0.5
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB, with its alpha if it has any; a profile that does not work is ignored."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colors = image.convert(image.mode[:-1]) if alpha else image
    if colors.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        colors = ImageCms.profileToProfile(colors, lab, srgb, outputMode="RGB") or colors
    elif profile:
        with contextlib.suppress(Exception):  # ImageCms and its reading of profiles raise various errors
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not ImageCms.getProfileDescription(own).strip().startswith("sRGB"):
                srgb = ImageCms.createProfile("sRGB")
                colors = ImageCms.profileToProfile(colors, own, srgb, outputMode="RGB") or colors
    colors = colors.convert("RGB")
    if alpha:
        colors.putalpha(alpha)
    return colors


def _composited(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    ground = Image.new("RGBA", image.size, (*GROUND, 255))
    return Image.alpha_composite(ground, image).convert("RGB")


def crop_box(width: int, height: int, aspect_height: int, aspect_width: int) -> tuple[float, ...]:
    """The centered box (left, top, right, bottom) of the largest crop with the aspect, as the reference cuts.

    The new side is truncated to whole pixels; the box may have halves, which PIL rounds to even.
    """
    if height / width > aspect_height / aspect_width:
        new_width, new_height = width, int(width * aspect_height / aspect_width)
    else:
        new_width, new_height = int(height * aspect_width / aspect_height), height
    left, top = (width - new_width) / 2, (height - new_height) / 2
    return left, top, left + new_width, top + new_height


def prepare_image(image: Image.Image, height: int, width: int) -> Image.Image:
    """Crop a picture to the aspect height:width and resize it (bilinear, antialiased), as RGB."""
    if image.mode == "RGB" and image.size == (width, height):
        return image
    left, top, right, bottom = (round(side) for side in crop_box(*image.size, height, width))
    # Rounding to even may leave nothing of a long and narrow image.
    image = image.convert("RGB").crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return image.resize((width, height), Image.Resampling.BILINEAR)


def pixel_values(picture: Image.Image) -> np.ndarray:
    """An RGB picture as the nets see it: float32 [3, H, W] in [-1, 1]."""
    return np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255 * 2 - 1
