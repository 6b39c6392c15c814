"""How a start image is cropped and scaled to what the model sees."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


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
