"""Sessions outside the app: step a world through its actions and record what it shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.interfaces import Model, World
from mgdemo.picture import prepare_image
from mgdemo.video.encode import H264Encoder
from mgdemo.video.films import About, Cut, PacketLog, Recording, write_recording


def roll(world: World, actions: Iterable[ActionTrack]) -> Iterator[tuple[ActionTrack, np.ndarray]]:
    """Make one block for each of `actions`: the actions, and the frames, uint8 [n, H, W, 3], they gave."""
    for track in actions:
        yield track, world.step(track)


def blocks(track: ActionTrack) -> Iterator[ActionTrack]:
    """A track block by block, the last one filled up with idle frames."""
    padded = track.padded()
    return (padded.block(index) for index in range(padded.blocks))


def play(
    model: Model,
    image: Image.Image,
    actions: Iterable[ActionTrack],
    folder: Path,
    *,
    seed: int,
    title: str,
    image_name: str | None = None,
    told: Callable[[np.ndarray, int, float], None] = lambda frames, made, fps: None,
) -> Recording | None:
    """Play from `image` along `actions`, one track a block, and write demo.mp4, demo_icon.mp4 and demo.yaml.

    It ends with `actions` or by an interrupt (Ctrl-C); what was made by then is kept, also if something
    fails. Returns None if nothing was made.
    image_name: how the scenario refers to the image; None leaves the image in the folder, as demo.png.
    told: hears of every block: its frames, all frames made so far, and how many were made a second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    height, width = model.size
    image = prepare_image(image, height, width)
    own = None if image_name else image
    if image_name is None:
        image_name = "demo.png"
        image.save(folder / image_name)
    encoder, tracks, places = H264Encoder(width, height, model.fps), [], []
    packets, recording = PacketLog(folder / "demo.h264"), None
    try:
        with contextlib.suppress(KeyboardInterrupt):
            world, began = model.start(image, seed), time.perf_counter()
            for track, frames in roll(world, actions):
                tracks.append(track)
                for frame in frames:
                    places.append(packets.add(encoder.encode(frame)))
                told(frames, len(places), len(places) / (time.perf_counter() - began))
    finally:
        if places:  # of the block that was interrupted, a part may be there
            cut = Cut(places, ActionTrack.concat(tracks).frames(0, len(places)))
            about = About(title, model.name, seed, image_name, own)
            film, drawn = folder / "demo.mp4", folder / "demo_icon.mp4"
            recording = write_recording(packets, cut, film, (width, height), model.fps, about, overlay=drawn)
        packets.remove()
    return recording
