"""Last stage but one: a world's decoder, finished. Its pictures are judged by how likely they look, too.

    python -m training.decoder --mode gta_drive --start worlds/gta_drive --out DIR --seconds 300

A decoder that learns from its errors alone leaves out whatever it is not sure of: fine detail. Here an
adversary looks at patches of three frames in a row, and says which come from the renderer (relativistic
loss, arXiv:1807.00734; the critic is kept smooth under small changes of its input, as in arXiv:2501.08316).
Its gradient on the picture is scaled to a share of the reconstruction's, so that neither drowns the other.

The encoder stays as it is, so the latents and the transformer do, too. Writes what `training.vae` writes.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.measure.pixels import detail
from mgdemo.model.device_io import to_uint8
from mgdemo.model.fast.library_convolutions import use_fast_convolutions
from mgdemo.model.vae import VAE, State
from training import best_device, clips, command
from training.optim import Optimizer, Step, train_for
from training.vae import HEIGHT, WIDTH, Crops, load, quality, reconstruction, save

IN_A_ROW = 3  # frames that the critic sees at once
SHARE = 1.3  # of the adversary's gradient on the picture, over the reconstruction's
ALONE = 0.05  # share of the time in which the critic alone learns
JITTER = 0.1  # noise on half of the latents, as in `training.vae`
SMOOTH = 0.02  # change of a picture under which the critic's answer should stay


class PatchCritic(nn.Module):
    """One number for each place of some frames in a row, from about 46x46 pixels around it."""

    def __init__(self, width: int = 48):
        super().__init__()

        def layer(before: int, after: int, stride: int) -> list[nn.Module]:
            return [nn.Conv2d(before, after, 3 + stride - 1, stride, 1), nn.LeakyReLU(0.2)]

        self.layers = nn.Sequential(
            *layer(3 * IN_A_ROW, width, 1),
            *layer(width, width, 2),
            *layer(width, 2 * width, 2),
            *layer(2 * width, 4 * width, 2),
            *layer(4 * width, 4 * width, 1),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """rows [R, 3 * IN_A_ROW, H, W] -> [R, 1, h, w]."""
        return self.layers(rows).float()


def in_rows(video: Tensor) -> Tensor:
    """A stream's frames [B, 3, 3n + 1, H, W] -> [B * (n + 1), 9, H, W]: its first frame, which is decoded by
    itself, stands for three."""
    rows = torch.cat((video[:, :, :1], video[:, :, :1], video), dim=2).unflatten(2, (-1, IN_A_ROW))
    return rows.transpose(1, 2).flatten(2, 3).flatten(0, 1)


class Game:
    """The losses of the decoder and of its critic."""

    def __init__(self, vae: VAE, critic: PatchCritic, share: float):
        self.vae, self.critic, self.share = vae, critic, share
        self.made: Tensor | None = None  # the latest pictures; always the same memory

    def decoder_loss(self, video: Tensor, noise: Tensor, jitter: Tensor) -> Tensor:
        """video [B, 3, T, H, W] in [-1, 1]; noise [B, 16, T', h, w] and its size jitter [B]."""
        self.critic.requires_grad_(False)
        with torch.autocast(video.device.type, torch.bfloat16, enabled=video.is_cuda):
            with torch.no_grad():
                mean, _ = self.vae.moments(video, State())
            made = self.vae.decode_raw(mean + jitter.view(-1, 1, 1, 1, 1) * noise).float()
            shown = made.detach().requires_grad_()
            rival, likely = self.critic(in_rows(video)), self.critic(in_rows(shown))
        error = reconstruction(shown, video)
        (wanted,) = torch.autograd.grad(error, shown)
        (pull,) = torch.autograd.grad(F.softplus(rival - likely).mean(), shown)
        pull = pull * (self.share * wanted.norm() / pull.norm().clamp(min=1e-12))
        if self.made is None:
            self.made = torch.empty_like(shown)
        self.made.copy_(shown.detach())
        surrogate = (made * (wanted + pull).detach()).sum()  # its gradient is the mixed one
        return surrogate + (error - surrogate).detach()

    def critic_loss(self, video: Tensor, made: Tensor, change: Tensor) -> Tensor:
        self.critic.requires_grad_(True)
        true, made, change = (in_rows(each) for each in (video, made, change))
        with torch.autocast(video.device.type, torch.bfloat16, enabled=video.is_cuda):
            real, fake = self.critic(true), self.critic(made)
            moved = self.critic(true + SMOOTH * change), self.critic(made + SMOOTH * change)
        rough = (real - moved[0]).square().mean() + (fake - moved[1]).square().mean()
        return F.softplus(fake - real).mean() + rough / (2 * SMOOTH**2) * 1e-3 + 1e-3 * real.square().mean()


@torch.no_grad()
def sharpness(vae: VAE, pool: Tensor) -> float:
    """The share of fine detail that is kept (`mgdemo.measure.pixels.detail`), of every tenth frame of clips
    [n, T, 3, H, W] uint8."""
    made = true = 0.0
    for clip in pool:
        kept = to_uint8(vae.decode(vae.encode(clips.to_float(clip[None]).transpose(1, 2))))
        frames = clip.permute(0, 2, 3, 1).cpu().numpy()
        made += sum(map(detail, kept.cpu().numpy()[::10]))
        true += sum(map(detail, frames[::10]))
    return made / true


def train(
    vae: VAE,
    seconds: float = math.inf,
    *,
    steps: int = 0,
    pool: Tensor,
    batch: int = 16,
    crop: tuple[int, int, int] = (13, 96, 96),
    share: float = SHARE,
    rate: float = 0.002,
    report: float = 20.0,
) -> int:
    """Finish the decoder of a trained VAE for `seconds` (or for `steps`), on crops (frames, height, width) of
    a pool of clips [n, T, 3, H, W] uint8. It holds its averaged weights at the end. Returns the steps."""
    torch.manual_seed(0)
    generator, device = torch.Generator().manual_seed(0), pool.device
    critic = PatchCritic().to(device)
    vae.requires_grad_(False)
    game = Game(vae, critic, share)
    for part in (vae.decoder, vae.conv2):
        part.requires_grad_(True)
    learner = Optimizer(vae, muon=rate, adam=rate / 5, ema=0.995)
    opponent = Optimizer(critic, muon=0.01, adam=1e-3)
    decoder_step, critic_step = Step(game.decoder_loss, learner), Step(game.critic_loss, opponent)
    sampler, factor = Crops(pool, *crop, generator), vae.config.spatial_factor
    frames, height, width = crop
    shape = (batch, vae.config.z_dim, (frames - 1) // 4 + 1, height // factor, width // factor)

    def step(_index: int, done: float) -> Tensor:
        video = sampler.draw(batch)
        jitter = (JITTER * (torch.rand(batch, generator=generator) < 0.5).float()).to(device)
        noise = torch.randn(shape, device=device)
        if done < ALONE:
            learner.set_factor(0.0)
        value = decoder_step(video=video, noise=noise, jitter=jitter).clone()
        opponent.set_factor(float(min(1.0, 2 * (1 - done))))
        critic_step(video=video, made=game.made, change=torch.randn_like(video))
        return value

    return train_for("decoder", learner, step, seconds=seconds, steps=steps, report=report)


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--start", type=Path, required=True, help="the folder of a trained VAE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clips", type=int, default=300, help="to learn from (default 300)")
    parser.add_argument(
        "--share", type=float, default=SHARE, help="of the adversary, over the reconstruction"
    )
    args = parser.parse_args()
    device = best_device()
    source = clips.Source(device, HEIGHT, WIDTH, args.mode)
    pool = source.clips(args.clips, 41, seed=1).frames
    held_out = source.clips(12, 41, seed=2, held_out=True).frames
    vae = load(args.start, device)
    use_fast_convolutions(vae)

    def figures() -> dict[str, float]:
        first = sharpness(vae, held_out[:, :1])  # each decoded by itself, as a session's first picture is
        return quality(vae, held_out) | {"detail": sharpness(vae, held_out), "detail at the start": first}

    print("before", figures(), flush=True)
    steps = train(vae, args.seconds, pool=pool, share=args.share)
    after = figures() | {"steps": steps}
    print("after", after, flush=True)
    save(vae, after, args.out)


if __name__ == "__main__":
    main()
