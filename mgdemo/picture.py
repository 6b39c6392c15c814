"""How a start image is cropped and scaled to what the model sees."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from mgdemo.errors import UserError

MEGAPIXELS = 100  # of a start image, at most: it is held in memory whole


class PictureError(UserError):
    """A file that cannot be a start image; the message says why and what to do."""


def open_picture(path: str | Path | BinaryIO, name: str = "") -> Image.Image:
    """The picture in a file, given by its path or opened, read whole. Raises PictureError.

    name: what to call it in errors, if not by its path.
    """
    name = name or str(path)
    try:
        with Image.open(path) as image:
            fits = image.width * image.height <= MEGAPIXELS * 1e6
            if fits:
                image.load()
    except Exception as error:  # a broken file can make Pillow's readers raise anything
        logging.getLogger(__name__).info("%s cannot be read: %r", name, error)
        reason = getattr(error, "strerror", None) or "it is no picture, or a damaged one"
        raise PictureError(
            f"{name} cannot be used as a start image: {reason}; give a JPEG, PNG or WebP file."
        ) from None
    if not fits:
        raise PictureError(f"{name} has more than {MEGAPIXELS} megapixels; make it smaller.")
    if min(image.size) < 2:
        raise PictureError(f"{name} is only {image.width}x{image.height} pixels; give a larger start image.")
    return image


def crop_box(width: int, height: int, aspect_height: int, aspect_width: int) -> tuple[float, ...]:
    """The centred box (left, top, right, bottom) of the largest crop with the aspect, as the reference cuts.

    The new side is truncated to whole pixels; the box may have halves, which PIL rounds to even.
    """
    if height / width > aspect_height / aspect_width:
        new_width, new_height = width, int(width * aspect_height / aspect_width)
    else:
        new_width, new_height = int(height * aspect_width / aspect_height), height
    left, top = (width - new_width) / 2, (height - new_height) / 2
    return left, top, left + new_width, top + new_height


def prepare_image(image: Image.Image, height: int, width: int) -> Image.Image:
    """Turn by EXIF, drop alpha, crop to the aspect height:width and resize (bilinear, antialiased).

    Raises ValueError for an image without an inside: less than 2 pixels wide or high.
    """
    image = ImageOps.exif_transpose(image)
    if min(image.size) < 2:
        raise ValueError(f"The image is {image.width}x{image.height} pixels; give one of at least 2x2.")
    if image.mode.startswith("I"):  # 16 bits a pixel, which PIL would clip to 8 instead of scaling
        image = image.convert("I").point(lambda value: value * (255 / 65535))
    left, top, right, bottom = (round(side) for side in crop_box(*image.size, height, width))
    # Rounding to even may leave nothing of a long and narrow image.
    image = image.convert("RGB").crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return image.resize((width, height), Image.Resampling.BILINEAR)


def pixel_values(picture: Image.Image) -> np.ndarray:
    """An RGB picture as the nets see it: float32 [3, H, W] in [-1, 1]."""
    return np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255 * 2 - 1
