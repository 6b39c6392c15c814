"""A picture of what was learned: unseen places as they are, as the VAE keeps them, and in a session.

    python -m training.sheet --out training/contact_sheet.jpg

Every three rows are one place of a world under one random sequence of actions: the true frames; the same,
encoded and decoded; and a session from the first frame. Columns are moments, their seconds written below.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from mgdemo.actions import MODES
from mgdemo.blocks import FPS, block_of_frame, frames_in_blocks
from mgdemo.loading import load_world_model
from mgdemo.model.device_io import to_uint8
from training import clips, command
from training.motion import as_track

GAP = 2  # pixels
LINE = 14


@torch.inference_mode()
def rows_of(checkpoint: str, places: int, moments: list[int], seed: int) -> list[np.ndarray]:
    """Three rows a place, uint8 [moments, H, W, 3]; `moments` are the video frames to show."""
    model = load_world_model(checkpoint, device="cpu")
    height, width = model.size
    length = frames_in_blocks(block_of_frame(max(moments)) + 1)
    drawn = clips.Source("cpu", height, width, model.config.mode).clips(
        places, length, seed=seed, held_out=True
    )
    rows = []
    for frames, keyboard, mouse in zip(*drawn, strict=True):
        video = clips.to_float(frames).transpose(0, 1)[None].to(model.vae.conv2.weight.dtype)
        true = frames.permute(0, 2, 3, 1).numpy()
        world = model.start(Image.fromarray(true[0]), seed=seed)
        track = as_track(model.config.mode, keyboard, mouse)
        played = np.concatenate([world.step(track.block(block)) for block in range(track.blocks)])
        kept = to_uint8(model.vae.decode(model.vae.encode(video))).numpy()
        rows += [film[moments] for film in (true, kept, played)]
    return rows


def sheet(rows: list[np.ndarray], moments: list[int]) -> Image.Image:
    """All rows in one picture."""
    height, width = rows[0].shape[1:3]
    out = Image.new("RGB", (len(moments) * (width + GAP) - GAP, len(rows) * (height + GAP) + LINE), "white")
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            out.paste(Image.fromarray(frame), (x * (width + GAP), y * (height + GAP)))
    pen = ImageDraw.Draw(out)
    for x, moment in enumerate(moments):
        text = f"{moment / FPS:.2f} s"
        pen.text((x * (width + GAP) + 4, out.height - LINE), text, fill="black")
    return out


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoints", nargs="+", default=[f"{mode}-tiny" for mode in MODES])
    parser.add_argument("--places", type=int, default=1, help="of each")
    parser.add_argument("--moments", type=int, nargs="+", default=[0, 8, 32, 80, 152], help="video frames")
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    rows = [
        row
        for checkpoint in args.checkpoints
        for row in rows_of(checkpoint, args.places, args.moments, args.seed)
    ]
    sheet(rows, args.moments).save(args.out, quality=92, optimize=True)


if __name__ == "__main__":
    main()
