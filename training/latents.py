"""Stage 2: clips encoded once, as the transformer's training data.

    python -m training.latents --mode universal --vae DIR --out FILE --clips 4800 --seed 10

Drawing comes first and fills main memory (9 MB a clip), so it can run while stage 1 trains: encoding begins
when its VAE is there. Files made with different seeds hold different clips, and can be trained on together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgdemo.actions import MODES
from mgdemo.model.vae import VAE
from mgdemo.paths import ROOT
from training import best_device, clips, command, wait_for
from training.vae import HEIGHT, WIDTH, load

BLOCKS = 7
FRAMES = 12 * BLOCKS - 3
PUBLISHED = ROOT / "worlds" / "universal"  # one that ships; all have the same encoder
PART = 320  # clips drawn at a time


class Latents(NamedTuple):
    """n encoded clips of T video frames, F = (T + 3) / 4 latent frames."""

    latents: Tensor  # float16 [n, 16, F, h, w], normalized
    gray: Tensor  # the same of the first frame followed by gray: the condition of a session
    image: Tensor  # uint8 [n, 3, H, W], the first frame
    keyboard: Tensor  # [n, T, K]
    mouse: Tensor  # [n, T, 2]

    @classmethod
    def load(cls, files: Iterable[Path], device: str) -> Latents:
        return join([cls(**load_file(file, device=device)) for file in files])

    @classmethod
    def blank(cls, count: int, mode: str, device: str) -> Latents:
        """In the shapes of those that are encoded."""
        sizes = (16, (FRAMES + 3) // 4, HEIGHT // 8, WIDTH // 8)
        video = torch.zeros(count, *sizes, dtype=torch.float16, device=device)
        image = torch.zeros(count, 3, HEIGHT, WIDTH, dtype=torch.uint8, device=device)
        actions = (torch.zeros(count, FRAMES, n, device=device) for n in (MODES[mode].keyboard_dim, 2))
        return cls(video, video, image, *actions)

    def save(self, file: Path) -> None:
        """`file` is there when it is whole."""
        part = file.with_name(f"{file.name}.part")
        save_file({name: t.contiguous() for name, t in self._asdict().items()}, part)
        part.replace(file)


@torch.no_grad()
def encode(vae: VAE, made: clips.Clips, chunk: int = 8) -> Latents:
    """Encode clips, and their first frames followed by gray."""
    device = vae.conv2.weight.device
    latents, gray = [], []
    with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
        for frames in made.frames.split(chunk):
            video = clips.to_float(frames.to(device)).transpose(1, 2)
            blank = torch.zeros_like(video)
            blank[:, :, 0] = video[:, :, 0]
            latents.append(vae.encode(video).half().to(frames.device))
            gray.append(vae.encode(blank).half().to(frames.device))
    return Latents(torch.cat(latents), torch.cat(gray), made.frames[:, 0], made.keyboard, made.mouse)


def join(parts: list[Latents]) -> Latents:
    return Latents(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=4800)
    parser.add_argument("--seed", type=int, default=10)
    args = parser.parse_args()
    device = best_device()
    source = clips.Source(device, HEIGHT, WIDTH, args.mode, compiled=device == "cuda")
    drawn: list[clips.Clips] = []
    for first in range(0, args.clips, PART):
        made = source.clips(min(PART, args.clips - first), FRAMES, seed=1000 * args.seed + len(drawn))
        drawn.append(clips.Clips(*(t.cpu() for t in made)))
    wait_for(None if args.vae.resolve() == PUBLISHED else args.vae / "vae.json")
    vae = load(args.vae, device)
    join([encode(vae, made) for made in drawn]).save(args.out)


if __name__ == "__main__":
    main()
