"""Values between server and engine that JSON does not know: arrays, pictures and tracks travel as bytes."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import Field, PlainSerializer, PlainValidator

from mgdemo.actions import ActionTrack

Count = Annotated[int, Field(ge=0, le=2**32 - 1)]


def _to_array(value: Any) -> np.ndarray:
    match value:
        case np.ndarray():
            return value
        case {"dtype": "uint8" | "float32" as dtype, "shape": [*shape], "data": bytes(data)}:
            if all(type(size) is int and 0 <= size < 2**31 for size in shape):
                return np.frombuffer(data, dtype).reshape(shape)  # a ValueError if they don't fit
    raise ValueError("no array")


def _to_image(value: Any) -> Image.Image:
    match value:
        case Image.Image():
            return value
        case {"size": [int(width), int(height)], "data": bytes(data)} if width > 0 and height > 0:
            if len(data) == 3 * width * height:
                return Image.frombytes("RGB", (width, height), data)
    raise ValueError("no image")


def _to_track(value: Any) -> ActionTrack:
    match value:
        case ActionTrack():
            return value
        case {"mode": str(mode), "keyboard": keyboard, "mouse": mouse}:
            return ActionTrack(mode, _to_array(keyboard), None if mouse is None else _to_array(mouse))
    raise ValueError("no track")


def _of_array(value: np.ndarray) -> dict:
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": value.tobytes()}


def _of_image(image: Image.Image) -> dict:
    return {"size": list(image.size), "data": image.convert("RGB").tobytes()}


def _of_track(track: ActionTrack) -> dict:
    mouse = None if track.mouse is None else _of_array(track.mouse)
    return {"mode": track.mode, "keyboard": _of_array(track.keyboard), "mouse": mouse}


Picture = Annotated[Image.Image, PlainValidator(_to_image), PlainSerializer(_of_image)]
Track = Annotated[ActionTrack, PlainValidator(_to_track), PlainSerializer(_of_track)]
