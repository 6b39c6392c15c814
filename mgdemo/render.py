"""Sessions without a server: step a world through its actions and record what it shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.collapse import Soundness
from mgdemo.interfaces import Model
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark
from mgdemo.video.digest import frame_digest, frames_sha256
from mgdemo.video.encode import H264Encoder
from mgdemo.video.films import About, Cut, PacketLog, Recording, with_keys, write_recording

IMAGE = "demo.png"  # beside the scenario, where its start image does not ship


@dataclass(frozen=True)
class RenderJob:
    """What to record, and where to."""

    start: StartImage
    actions: Iterable[ActionTrack]  # one track for each block
    seed: int
    title: str
    folder: Path
    marks: tuple[Mark, ...] = ()  # of the scenario that is followed


def blocks(track: ActionTrack) -> Iterator[ActionTrack]:
    """A track block by block, the last one filled up with idle frames."""
    padded = track.padded()
    return (padded.block(index) for index in range(padded.blocks))


def render(
    model: Model, job: RenderJob, progress: Callable[[np.ndarray, int, float], None] = lambda *_: None
) -> Recording | None:
    """Carry out a job and write demo.mp4, demo_icon.mp4 and demo.yaml into its folder.

    It ends with the job's actions or by an interrupt (Ctrl-C); what was made by then is kept, also if
    something fails. Returns None if nothing was made. Raises BrokenModel if the first block is no picture.
    progress: called after every block with its frames, the number of all frames so far, and frames a second.
    """
    folder, (height, width) = job.folder, model.size
    folder.mkdir(parents=True, exist_ok=True)
    start = job.start.fitted(height, width)
    if not start.reference:
        start.picture.save(folder / IMAGE)
    encoder, tracks, places = H264Encoder(width, height, model.fps), [], []
    digests: list[bytes] = []
    packets, recording = PacketLog(folder / "demo.h264"), None
    try:
        with contextlib.suppress(KeyboardInterrupt):
            world, began = model.start(start.picture, job.seed), time.perf_counter()
            soundness = Soundness(np.asarray(start.picture))
            for track in job.actions:
                frames = world.step(track)
                tracks.append(track)
                for frame in frames:
                    digests.append(frame_digest(frame))
                    places.append(packets.add(encoder.encode(frame)))
                soundness.add(len(tracks), frames[-1])
                progress(frames, len(places), len(places) / (time.perf_counter() - began))
    finally:
        if places:  # of the block that was interrupted, a part may be there
            track = ActionTrack.concat(tracks).frames(0, len(places))
            cut = Cut(places, track, frames_sha256(digests[: len(places)]))
            about = About(job.title, model.name, job.seed, start, IMAGE, job.marks)
            film, drawn = folder / "demo.mp4", folder / "demo_icon.mp4"
            recording = write_recording(packets, cut, film, (width, height), model.fps, about)
            recording = with_keys(recording, drawn, track)
        packets.remove()
    return recording
