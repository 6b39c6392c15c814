"""Plays outside the app: step a world through its actions and keep what it shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.picture import prepare_image
from mgdemo.replay import film_tags
from mgdemo.scenario import scenario_yaml
from mgdemo.video.encode import H264Encoder, is_key
from mgdemo.video.overlay import overlay_mp4
from mgdemo.video.record import Recording


@dataclass(frozen=True)
class Play:
    """The files of a play: the video, the same with the actions drawn on it, and its scenario."""

    mp4: Path
    icon_mp4: Path
    scenario: Path
    frames: int


def roll(world, actions: Iterable[ActionTrack]) -> Iterator[tuple[ActionTrack, np.ndarray]]:
    """Make one block for each of `actions`: the actions, and the frames, uint8 [n, H, W, 3], they gave."""
    for track in actions:
        yield track, world.step(track)


def blocks(track: ActionTrack) -> Iterator[ActionTrack]:
    """A track block by block, the last one filled up with idle frames."""
    padded = track.padded()
    return (padded.block(index) for index in range(padded.blocks))


def play(
    model,
    image: Image.Image,
    actions: Iterable[ActionTrack],
    folder: Path,
    *,
    seed: int,
    title: str,
    image_name: str | None = None,
    told: Callable[[np.ndarray, int, float], None] = lambda frames, made, fps: None,
) -> Play | None:
    """Play from `image` along `actions`, one track a block, and write demo.mp4, demo_icon.mp4 and demo.yaml.

    The play ends with `actions` or by an interrupt (Ctrl-C); what was made by then is kept, also if something
    fails. Returns None if nothing was made.
    image_name: how the scenario refers to the image; None leaves the image in the folder, as demo.png.
    told: hears of every block: its frames, all frames made so far, and how many were made a second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    height, width = model.size
    image = prepare_image(image, height, width)
    tags = {"title": title} | film_tags(model.name, None if image_name else image)
    if image_name is None:
        image_name = "demo.png"
        image.save(folder / image_name)
    encoder, tracks, text = H264Encoder(width, height, model.fps), [], ""
    recording = Recording(folder / "demo.mp4", width, height, model.fps)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            world, began = model.start(image, seed), time.perf_counter()
            for track, frames in roll(world, actions):
                tracks.append(track)
                for frame in frames:
                    packet = encoder.encode(frame)
                    recording.add(packet, is_key(packet))
                told(frames, recording.frames, recording.frames / (time.perf_counter() - began))
    finally:
        if recording.frames:  # of the block that was interrupted, a part may be there
            track = ActionTrack.concat(tracks).frames(0, recording.frames)
            text = scenario_yaml(track, title=title, image=image_name, seed=seed)
        recording.close(tags | {"scenario": text})
    if not recording.frames:
        return None
    result = Play(recording.path, folder / "demo_icon.mp4", folder / "demo.yaml", recording.frames)
    result.scenario.write_text(text, encoding="utf-8")
    overlay_mp4(result.mp4, result.icon_mp4, track)
    return result
