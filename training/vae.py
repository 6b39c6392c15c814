"""Stage 1: the VAE, trained on clips drawn as it goes.

    python -m training.vae --out DIR --seconds 240 --start worlds/universal

One encoder serves all modes. Writes vae.safetensors (fp16) and vae.json (architecture, latent statistics,
quality on unseen places).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgdemo.actions import MODES
from mgdemo.config import VAEConfig, load_config
from mgdemo.model.fast.library_convolutions import use_fast_convolutions
from mgdemo.model.vae import VAE, State
from mgdemo.paths import CONFIGS
from training import best_device, clips, command
from training.optim import Optimizer, Step, train_for

STD_FLOOR = 0.2  # channels the KL has silenced would otherwise be blown up into pure noise
HEIGHT, WIDTH = 144, 256
LONG_EVERY = 6  # steps from one with whole pictures instead of crops to the next


def tiny_config() -> VAEConfig:
    """8x in space (2x2 pixel squares, then two halvings), 4x in time."""
    return VAEConfig(
        dim=24,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temporal_downsample=[True, True],
        pixel_shuffle=2,
        latent_mean=[0.0] * 16,
        latent_std=[1.0] * 16,
    )


def edges(video: Tensor) -> tuple[Tensor, Tensor]:
    return video.diff(dim=-1), video.diff(dim=-2)


def reconstruction(made: Tensor, true: Tensor) -> Tensor:
    """L1 on pixels, on edges, at a quarter of the size and on differences in time."""

    def l1(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean()

    small = [F.avg_pool3d(v, (1, 4, 4)) for v in (made, true)]
    loss = l1(made, true) + 0.5 * l1(*small) + 0.25 * l1(made.diff(dim=2), true.diff(dim=2))
    return loss + 0.5 * sum(l1(a, b) for a, b in zip(edges(made), edges(true), strict=True))


def vae_loss(vae: VAE, video: Tensor, noise: Tensor, jitter: Tensor) -> Tensor:
    """video [B, 3, T, H, W] in [-1, 1]; jitter [B] is the noise a decoder must bear on its latents."""
    with torch.autocast(video.device.type, torch.bfloat16, enabled=video.is_cuda):
        mean, log_var = vae.moments(video, State())
        log_var = log_var.float().clamp(-12, 4)
        spread = (0.5 * log_var).exp() + jitter.view(-1, 1, 1, 1, 1)
        made = vae.decode_raw(mean + spread * noise)
    kl = 0.5 * (mean.float().square() + log_var.exp() - 1 - log_var).mean()
    return reconstruction(made.float(), video) + 3e-4 * kl


class Crops:
    """Random pieces of a pool of rendered clips."""

    def __init__(self, pool: Tensor, frames: int, height: int, width: int, generator: torch.Generator):
        self.pool, self.size, self.generator = pool, (frames, height, width), generator

    def draw(self, batch: int) -> Tensor:
        pieces = []
        for _ in range(batch):
            limits = (
                len(self.pool),
                *(full - part + 1 for full, part in zip(self._full(), self.size, strict=True)),
            )
            clip, t, y, x = (int(torch.randint(n, (), generator=self.generator)) for n in limits)
            y, x = y - y % 2, x - x % 2
            frames, height, width = self.size
            pieces.append(self.pool[clip, t : t + frames, :, y : y + height, x : x + width])
        video = clips.to_float(torch.stack(pieces)).transpose(1, 2)
        return video.contiguous(memory_format=torch.channels_last_3d)

    def _full(self) -> tuple[int, int, int]:
        _, frames, _, height, width = self.pool.shape
        return frames, height, width


@torch.no_grad()
def statistics(vae: VAE, pool: Tensor) -> tuple[list[float], list[float]]:
    """Mean and floored standard deviation of each latent channel over a pool of clips [n, T, 3, H, W]."""
    latents = torch.cat([vae.moments(clips.to_float(c[None]).transpose(1, 2), State())[0] for c in pool])
    mean, std = latents.mean((0, 2, 3, 4)), latents.std((0, 2, 3, 4))
    return mean.tolist(), std.clamp(min=STD_FLOOR).tolist()


@torch.no_grad()
def quality(vae: VAE, pool: Tensor) -> dict[str, float]:
    """PSNR in dB and the share of gradient energy kept, on clips [n, T, 3, H, W]."""
    psnr, energy = [], []
    for clip in pool:
        video = clips.to_float(clip[None]).transpose(1, 2)
        made = vae.decode(vae.encode(video))
        psnr.append(-10 * ((made - video) / 2).square().mean().log10())
        energy.append(sum(e.abs().mean() for e in edges(made)) / sum(e.abs().mean() for e in edges(video)))
    return {"psnr": float(torch.stack(psnr).mean()), "gradient": float(torch.stack(energy).mean())}


def train(
    config: VAEConfig,
    device: str,
    seconds: float = math.inf,
    *,
    steps: int = 0,
    pool: Tensor,
    held_out: Tensor,
    start: Path | None = None,
    batch: int = 24,
    crop: tuple[int, int, int] = (13, 96, 96),
    long: int = 41,
    report: float = 20.0,
) -> tuple[VAE, dict[str, float]]:
    """Train for `seconds` (or for `steps`) on a pool of clips [n, T, 3, H, W] uint8.

    `start`: a folder of weights to begin with. Batches of `batch` crops (frames, height, width) take turns
    with a few whole pictures of `long` frames. Returns the averaged model and its quality on the clips
    `held_out`; its statistics go into `config`.
    """
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    vae = VAE(config)
    if start:
        vae.load_state_dict(load_file(start / "vae.safetensors"))
    vae.to(device)
    use_fast_convolutions(vae)
    optimizer = Optimizer(vae, muon=0.01, adam=2e-3, ema=0.998)

    def step_of(sampler: Crops, count: int) -> Callable[[], Tensor]:
        run = Step(lambda **inputs: vae_loss(vae, **inputs), optimizer)

        def step() -> Tensor:
            video = sampler.draw(count)
            frames, height, width = sampler.size
            factor = config.spatial_factor
            shape = (count, config.z_dim, (frames - 1) // 4 + 1, height // factor, width // factor)
            jitter = 0.1 * (torch.rand(count, generator=generator) < 0.5).float()
            return run(video=video, noise=torch.randn(shape, device=device), jitter=jitter.to(device))

        return step

    height, width = pool.shape[-2:]
    short_step = step_of(Crops(pool, *crop, generator), batch)
    long_step = step_of(Crops(pool, long, height, width, generator), max(1, batch // 12))

    def step(index: int, _done: float) -> Tensor:
        return long_step() if index % LONG_EVERY == LONG_EVERY - 1 else short_step()

    steps = train_for("vae", optimizer, step, seconds=seconds, steps=steps, report=report)
    config.latent_mean, config.latent_std = statistics(vae, pool[:: max(1, len(pool) // 48)])
    figures = quality(vae, held_out) | {"steps": steps}
    print(f"vae on unseen places: {figures}", flush=True)
    return vae, figures


def save(vae: VAE, figures: Mapping[str, object], folder: Path) -> None:
    """The weights in fp16, with their configuration and figures beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in vae.state_dict().items()}, folder / "vae.safetensors")
    (folder / "vae.json").write_text(
        json.dumps({"config": asdict(vae.config), "figures": dict(figures)}, indent=1)
    )


def config_of(folder: Path) -> VAEConfig:
    """That of the weights in a folder: what `save` wrote, or else the published ones."""
    described = folder / "vae.json"
    if described.exists():
        return VAEConfig(**json.loads(described.read_text())["config"])
    return load_config(CONFIGS / "universal-tiny.yaml").vae


def load(folder: Path, device: str) -> VAE:
    """Trained weights as fp32, that no longer learn."""
    vae = VAE(config_of(folder))
    vae.load_state_dict(load_file(folder / "vae.safetensors"))
    return vae.to(device).eval().requires_grad_(False)


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--clips", type=int, default=140, help="of each mode")
    parser.add_argument("--start", type=Path, help="a folder with weights to begin with")
    args = parser.parse_args()
    device = best_device()
    sources = [clips.Source(device, HEIGHT, WIDTH, mode) for mode in MODES]  # so few: no need to compile
    pool = torch.cat([source.clips(args.clips, 41, seed=1).frames for source in sources])
    held_out = [source.clips(6, 41, seed=2, held_out=True).frames for source in sources]
    vae, figures = train(
        tiny_config(), device, args.seconds, pool=pool, held_out=torch.cat(held_out), start=args.start
    )
    for mode, frames in zip(MODES, held_out, strict=True):
        figures[mode] = quality(vae, frames)
        print(mode, figures[mode], flush=True)
    save(vae, figures, args.out)


if __name__ == "__main__":
    main()
