"""The moving picture that the page opens on: a short walk that an embedded world makes, over and over.

    python -m training.loop --checkpoint universal-tiny

Plays the route of the checkpoint's mode from its first start image and writes `loop.mp4` into its folder.
With --sheet, also draws some of its frames into one picture, to look at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mgdemo.checkpoints import LOOP, config_named, start_images
from mgdemo.loading import load_world_model
from mgdemo.paths import ROOT
from mgdemo.picture import open_picture
from mgdemo.scenario import parse_scenario
from mgdemo.video.mp4 import write_mp4
from training import command

# Short, since the picture of so small a model softens with time; 11 blocks are 5.2 s. Only gentle bends: what
# comes into view must be found by the model.
ROUTES = {
    "universal": [
        "{hold: [W], camera: {yaw: -0.03}, for: 5 blocks}",
        "{hold: [W], camera: {yaw: 0.03}, for: 4 blocks}",
        "{hold: [W], for: 2 blocks}",
    ],
    "gta_drive": [
        "{hold: [W], for: 5 blocks}",
        "{hold: [W], camera: {yaw: -0.03}, for: 2 blocks}",
        "{hold: [W], camera: {yaw: 0.03}, for: 2 blocks}",
        "{hold: [W], for: 2 blocks}",
    ],
    "templerun": [
        "{for: 3 blocks}",
        "{hold: [W], for: 1 block}",
        "{for: 2 blocks}",
        "{hold: [A], for: 1 block}",
        "{for: 1 block}",
        "{hold: [D], for: 1 block}",
        "{for: 2 blocks}",
    ],
}
REST, FADE = 8, 15  # frames that the start image stands, and that the end takes to dissolve into it


def walk(checkpoint: str, seed: int) -> tuple[np.ndarray, int]:
    """The route as frames [T, H, W, 3] uint8, and their number a second."""
    model = load_world_model(checkpoint, device="cpu")
    mode = model.config.mode
    steps = "".join(f"  - {step}\n" for step in ROUTES[mode])
    track = parse_scenario(f"title: Loop\nmode: {mode}\nactions:\n{steps}").track
    world = model.start(open_picture(start_images(checkpoint)[0]), seed=seed)
    return np.concatenate([world.step(track.block(block)) for block in range(track.blocks)]), model.fps


def closed(frames: np.ndarray) -> np.ndarray:
    """The frames after a rest on the first, into which they dissolve, so that the end meets the beginning."""
    share = np.linspace(0, 1, FADE + 1)[1:, None, None, None]
    end = np.rint(frames[-FADE:] * (1 - share) + frames[0] * share).astype(np.uint8)
    return np.concatenate([frames[:1]] * REST + [frames[:-FADE], end])


def sheet(frames: np.ndarray, columns: int = 5, rows: int = 4) -> Image.Image:
    """Frames at equal distances, from left to right and down."""
    chosen = frames[np.linspace(0, len(frames) - 1, columns * rows).astype(int)]
    lines = [np.concatenate(list(line), axis=1) for line in chosen.reshape(rows, columns, *frames.shape[1:])]
    return Image.fromarray(np.concatenate(lines))


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--checkpoint", default="universal-tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: where the page looks for it")
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    frames, fps = walk(args.checkpoint, args.seed)
    loop = closed(frames)
    out = args.out or ROOT / config_named(args.checkpoint).files.folder / LOOP
    write_mp4(out, loop, fps, crf=19)  # every visitor fetches it
    print(f"{out}: {len(loop) / fps:.1f} s, {out.stat().st_size / 1000:.0f} kB")
    if args.sheet:
        sheet(loop).save(args.sheet)


if __name__ == "__main__":
    main()
