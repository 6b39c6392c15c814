"""Last stage but one: a world's decoder, finished. Its pictures are judged by how likely they look, too.

    python -m training.decoder --mode gta_drive --start worlds/gta_drive --out DIR --seconds 300

A decoder that learns from its errors alone leaves out whatever it is not sure of: fine detail. Here an
adversary looks at patches of three frames in a row, and says which come from the renderer (relativistic
loss, arXiv:1807.00734; the critic is kept smooth under small changes of its input, as in arXiv:2501.08316).
It looks at what is decoded from the encoder's latents, whose truth is known, and from those of long plays of
the world that ships (`training.played`): there only a quarter of the size has to stay as it was. Its gradient
on the picture is scaled to a share of the reconstruction's, so that neither drowns the other.

The encoder stays as it is, so the latents and the transformer do, too. Writes what `training.vae` writes.
"""

from __future__ import annotations

import math
from copy import deepcopy
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
from training.played import played
from training.vae import HEIGHT, WIDTH, Crops, load, quality, reconstruction, save

IN_A_ROW = 3  # frames that the critic sees at once
SHARE = 1.2  # of the adversary's gradient on the picture, over the reconstruction's
WARM_UP = 3  # latent frames of a play before those whose pictures are judged
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
    """Frames [B, 3, 3n, H, W] -> [B * n, 9, H, W]."""
    rows = video.unflatten(2, (-1, IN_A_ROW)).transpose(1, 2)  # [B, n, 3, 3, H, W]
    return rows.flatten(2, 3).flatten(0, 1)


def from_start(video: Tensor) -> Tensor:
    """A stream's frames [B, 3, 3n + 1, H, W] -> [B * (n + 1), 9, H, W]: its first frame, decoded by itself,
    stands for three."""
    return in_rows(torch.cat((video[:, :, :1], video[:, :, :1], video), dim=2))


def small(video: Tensor) -> Tensor:
    """At a quarter of the size."""
    return F.avg_pool3d(video, (1, 4, 4))


class Game:
    """The losses of the decoder and of its critic."""

    def __init__(self, vae: VAE, critic: PatchCritic, share: float):
        self.vae, self.critic, self.share = vae, critic, share
        self.before = deepcopy(vae)  # what plays looked like
        self.made: Tensor | None = None  # the latest rows of both kinds; always the same memory

    def decoder_loss(self, video: Tensor, noise: Tensor, jitter: Tensor, latents: Tensor) -> Tensor:
        """video [B, 3, T, H, W] in [-1, 1]; noise [B, 16, T', h, w] and its size jitter [B]; latents of plays
        [P, 16, WARM_UP + T' - 1, h, w], P at most B."""
        self.critic.requires_grad_(False)
        frames = video.shape[2] - 1  # of a play that are judged
        with torch.autocast(video.device.type, torch.bfloat16, enabled=video.is_cuda):
            with torch.no_grad():
                mean, _ = self.vae.moments(video, State())
                looked = self.before.decode_raw(self._raw(latents))[:, :, -frames:].float()
            made = self.vae.decode_raw(mean + jitter.view(-1, 1, 1, 1, 1) * noise).float()
            play = self.vae.decode_raw(self._raw(latents))[:, :, -frames:].float()
            shown, shown_play = made.detach().requires_grad_(), play.detach().requires_grad_()
            rows, play_rows = from_start(shown), in_rows(shown_play)
            rival = self.critic(from_start(video))
            unlikely = F.softplus(rival - self.critic(rows)).mean()
            later = rival.unflatten(0, (len(video), -1))[: len(latents), 1:].flatten(0, 1)
            unlikely_play = F.softplus(later - self.critic(play_rows)).mean()
        error, moved = reconstruction(shown, video), 2 * (small(shown_play) - small(looked)).abs().mean()
        wanted, kept = torch.autograd.grad(error + moved, (shown, shown_play))
        pull, pull_play = torch.autograd.grad(unlikely + unlikely_play, (shown, shown_play))
        size = self.share * wanted.square().mean().sqrt()
        pull, pull_play = (
            each * (size / each.square().mean().sqrt().clamp(min=1e-12)) for each in (pull, pull_play)
        )
        self._keep(torch.cat((rows, play_rows)).detach())
        surrogate = (made * (wanted + pull).detach()).sum() + (play * (kept + pull_play).detach()).sum()
        return surrogate + (error - surrogate).detach()  # its gradient is the mixed one

    def critic_loss(self, video: Tensor, made: Tensor, change: Tensor) -> Tensor:
        """made: rows of streams like `video`, then of plays; change: of all these, noise."""
        self.critic.requires_grad_(True)
        true = from_start(video)
        later = true.unflatten(0, (len(video), -1))[:, 1:].flatten(0, 1)[: len(made) - len(true)]
        true = torch.cat((true, later))
        with torch.autocast(video.device.type, torch.bfloat16, enabled=video.is_cuda):
            real, fake = self.critic(true), self.critic(made)
            moved = self.critic(true + SMOOTH * change), self.critic(made + SMOOTH * change)
        rough = (real - moved[0]).square().mean() + (fake - moved[1]).square().mean()
        return F.softplus(fake - real).mean() + rough / (2 * SMOOTH**2) * 1e-3 + 1e-3 * real.square().mean()

    def _raw(self, latents: Tensor) -> Tensor:
        mean, std = self.vae.statistics(latents)
        return latents * std + mean

    def _keep(self, rows: Tensor) -> None:
        if self.made is None:
            self.made = torch.empty_like(rows)
        self.made.copy_(rows)


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


@torch.no_grad()
def first_sharpness(vae: VAE, pool: Tensor) -> float:
    """That of the clips' first frames, each decoded by itself: a session's first picture."""
    return sharpness(vae, pool[:, :1])


def train(
    vae: VAE,
    seconds: float = math.inf,
    *,
    steps: int = 0,
    pool: Tensor,
    plays: Tensor,
    batch: int = 12,
    crop: tuple[int, int, int] = (13, 96, 96),
    share: float = SHARE,
    rate: float = 0.002,
    report: float = 20.0,
) -> int:
    """Finish the decoder of a trained VAE for `seconds` (or for `steps`), on crops (frames, height, width) of
    a pool of clips [n, T, 3, H, W] uint8, and of plays' latents [m, 16, F, h, w].

    It holds its averaged weights at the end. Returns the steps.
    """
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
    count, (rows, columns) = (frames - 1) // 4 + 1, (height // factor, width // factor)

    def from_plays() -> Tensor:
        pieces = []
        for _ in range(max(1, batch * 2 // 3)):
            sizes = (1, WARM_UP + count - 1, rows, columns)
            full = (plays.shape[0], *plays.shape[2:])
            play, t, y, x = (
                int(torch.randint(whole - part + 1, (), generator=generator))
                for whole, part in zip(full, sizes, strict=True)
            )
            pieces.append(plays[play, :, t : t + sizes[1], y : y + rows, x : x + columns])
        return torch.stack(pieces).float()

    def step(_index: int, done: float) -> Tensor:
        video = sampler.draw(batch)
        jitter = (JITTER * (torch.rand(batch, generator=generator) < 0.5).float()).to(device)
        noise = torch.randn(batch, vae.config.z_dim, count, rows, columns, device=device)
        if done < ALONE:
            learner.set_factor(0.0)
        value = decoder_step(video=video, noise=noise, jitter=jitter, latents=from_plays()).clone()
        opponent.set_factor(float(min(1.0, 2 * (1 - done))))
        critic_step(video=video, made=game.made, change=torch.randn_like(game.made))
        return value

    return train_for("decoder", learner, step, seconds=seconds, steps=steps, report=report)


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--start", type=Path, required=True, help="the folder of a trained VAE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--plays", type=int, default=48, help="of a minute, by the world that ships")
    parser.add_argument(
        "--share", type=float, default=SHARE, help="of the adversary, over the reconstruction"
    )
    args = parser.parse_args()
    device = best_device()
    source = clips.Source(device, HEIGHT, WIDTH, args.mode)
    pool = source.clips(args.clips, 41, seed=1).frames
    held_out = source.clips(12, 41, seed=2, held_out=True).frames
    plays = played(f"{args.mode}-tiny", args.plays, seconds=60, seed=3, device=device)
    vae = load(args.start, device)
    use_fast_convolutions(vae)

    def figures() -> dict[str, float]:
        detail = {"detail": sharpness(vae, held_out), "detail at the start": first_sharpness(vae, held_out)}
        return quality(vae, held_out) | detail

    print("before", figures(), flush=True)
    steps = train(vae, args.seconds, pool=pool, plays=plays, share=args.share)
    after = figures() | {"steps": steps}
    print("after", after, flush=True)
    save(vae, after, args.out)


if __name__ == "__main__":
    main()
