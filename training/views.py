"""Pictures of the procedural worlds: start views, what each control does, and start images.

python -m training.views --mode gta_drive --contact-sheet sheet.png
python -m training.views --mode gta_drive --film-strip strip.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from training.motion import as_tensors, integrate, sample_start, sample_worlds
from training.renderer import render
from training.themes import THEMES


def contact_sheet(path: str, mode: str, *, columns: int = 6, seed: int = 0) -> None:
    """A PNG of start views, one theme a row, from held-out places."""
    generator = torch.Generator().manual_seed(seed)
    sheet = Image.new("RGB", (columns * 258 - 2, len(THEMES[mode]) * 146 - 2), "white")
    for row, theme in enumerate(THEMES[mode]):
        world = sample_worlds(columns, generator, mode=mode, held_out=True, themes=(theme.name,))
        frames = render(world, sample_start(world, generator)[:, None], 144, 256)[:, 0]
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame.permute(1, 2, 0).numpy()), (column * 258, row * 146))
    sheet.quantize(160).save(path, optimize=True)


def film_strip(path: str, mode: str, *, every: int = 6, columns: int = 6, seed: int = 0) -> None:
    """A PNG of what each single control does, one row per control, at regular frames."""
    controls = MODES[mode].controls
    generator = torch.Generator().manual_seed(seed)
    sheet = Image.new("RGB", (columns * 258 - 2, (len(controls) + 1) * 146 - 2), "white")
    world = sample_worlds(len(controls) + 1, generator, mode=mode, held_out=True)
    tracks = [
        ActionTrack.hold(mode, held, frames=every * columns) for held in [()] + [(c.name,) for c in controls]
    ]
    keyboard, mouse = as_tensors(tracks)
    poses = integrate(world, sample_start(world, generator), keyboard, mouse)[:, ::every]
    for row, frames in enumerate(render(world, poses, 144, 256)):
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame.permute(1, 2, 0).numpy()), (column * 258, row * 146))
    sheet.quantize(160).save(path, optimize=True)


def start_images(
    folder: str, count: int, mode: str = "universal", *, height: int = 144, width: int = 256, seed: int = 0
) -> None:
    """Write `count` start pictures from held-out places, and `starts.json`: their seeds, themes and poses."""
    generator = torch.Generator().manual_seed(seed)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        theme = THEMES[mode][i % len(THEMES[mode])].name
        world = sample_worlds(1, generator, mode=mode, held_out=True, themes=(theme,))
        pose = sample_start(world, generator)
        name = f"{theme.replace(' ', '-')}-{i // len(THEMES[mode]) + 1}.png"
        frame = render(world, pose[:, None], height, width)[0, 0].permute(1, 2, 0)
        Image.fromarray(frame.numpy()).save(out / name)
        rows.append({"image": name, "seed": int(world.seed), "theme": theme, "pose": pose[0].tolist()})
    (out / "starts.json").write_text(json.dumps(rows, indent=1) + "\n")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.views", description="Draw the procedural worlds."
    )
    parser.add_argument("--mode", choices=list(THEMES), default="universal")
    parser.add_argument("--contact-sheet", metavar="PNG", help="start views of every theme")
    parser.add_argument("--film-strip", metavar="PNG", help="what every control does")
    parser.add_argument("--start-images", metavar="DIR", help="start pictures and starts.json")
    parser.add_argument("--count", type=int, default=9, help="how many start pictures")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (args.contact_sheet or args.film_strip or args.start_images):
        parser.error("say --contact-sheet PNG, --film-strip PNG or --start-images DIR")
    if args.contact_sheet:
        contact_sheet(args.contact_sheet, args.mode, seed=args.seed)
    if args.film_strip:
        film_strip(args.film_strip, args.mode, seed=args.seed)
    if args.start_images:
        start_images(args.start_images, args.count, args.mode, seed=args.seed)


if __name__ == "__main__":
    main()
