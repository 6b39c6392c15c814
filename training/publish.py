"""Last stage: put trained weights, their configuration and start images where the program finds them.

    python -m training.publish --mode gta_drive --vae DIR --dit DIR --starts 9
    python -m training.publish --mode gta_drive --vae DIR DIR --dit DIR --blend DIR --share 0.5
    python -m training.publish --mode gta_drive --vae DIR --dit NEWER --blend FINISHED --since OLDER --share 1

Writes worlds/MODE/*.safetensors and configs/MODE-tiny.yaml and, with --starts, draws that many new start
images of unseen places in worlds/MODE/start/. Each world has a decoder of its own beside the encoder that all
share: with a new encoder, publish all. Of several VAEs, finished from the same one, the average is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import yaml
from safetensors.torch import load_file, save_file

from mgdemo.actions import MODES
from mgdemo.config import CheckpointConfig, FilesConfig, SamplingConfig, VAEConfig
from mgdemo.paths import CONFIGS
from training import command, views
from training.dit import SAMPLING, tiny_config
from training.vae import HEIGHT, WIDTH, config_of

TITLES = {
    "universal": "Small places (embedded)",
    "gta_drive": "Small town (embedded)",
    "templerun": "Small causeways (embedded)",
}
KNOWN = {
    "universal": "its own meadow, desert and snow",
    "gta_drive": "its own suburb, night city and desert highway",
    "templerun": "its own causeways over water, lava and clouds",
}
NOTE = "A tiny model that knows only {}, and keeps no map: what you turn away from changes."
STILL = 0.1  # sampling changes the latents of a picture that stands by 0.07 at most, the least motion by 0.18


def differing(value: dict, default: dict) -> dict:
    """What of a nested configuration is not the default."""
    out = {}
    for key, item in value.items():
        if isinstance(item, dict):
            if inner := differing(item, default.get(key) or {}):
                out[key] = inner
        elif item != default.get(key):
            out[key] = item
    return out


def configuration(
    vae: VAEConfig, mode: str = "universal", sampling: SamplingConfig = SAMPLING
) -> CheckpointConfig:
    """The checkpoint's, around its VAE's."""
    transformer, image_encoder = tiny_config(MODES[mode])
    config = replace(
        vae,
        latent_mean=[round(x, 6) for x in vae.latent_mean],
        latent_std=[round(x, 6) for x in vae.latent_std],
    )
    return CheckpointConfig(
        name=f"{mode}-tiny",
        title=TITLES[mode],
        mode=mode,
        note=NOTE.format(KNOWN[mode]),
        height=HEIGHT,
        width=WIDTH,
        files=FilesConfig(
            folder=f"worlds/{mode}",
            transformer="transformer.safetensors",
            vae="vae.safetensors",
            image_encoder="image_encoder.safetensors",
        ),
        transformer=transformer,
        vae=config,
        image_encoder=image_encoder,
        sampling=sampling,
    )


def publish(
    vae: Sequence[Path],
    dit: Path,
    root: Path,
    mode: str = "universal",
    starts: int = 0,
    sampling: SamplingConfig = SAMPLING,
    blend: tuple[Path, Path, float] | None = None,
) -> None:
    """Copy the weights of stages 1 and 3 or 4 into the program at `root`, with all they need.

    vae: folders with the same encoder and architecture; their weights are averaged.
    blend: two more folders like `dit`, and which share of the way from the first to the second is added to
    it. With `dit` itself as the first, the average of both is published.
    """
    config = configuration(config_of(vae[0]), mode, sampling)
    folder = root / config.files.folder
    folder.mkdir(parents=True, exist_ok=True)
    decoders = [load_file(each / "vae.safetensors") for each in vae]
    averages = {k: sum(d[k].float() for d in decoders) / len(decoders) for k in decoders[0]}
    save_file({k: t.half().contiguous() for k, t in averages.items()}, folder / config.files.vae)
    for name in (config.files.transformer, config.files.image_encoder):
        if not blend:
            shutil.copyfile(dit / name, folder / name)
            continue
        weights, since, other = (load_file(home / name) for home in (dit, *blend[:2]))
        moved = {k: t.float() + blend[2] * (other[k].float() - since[k].float()) for k, t in weights.items()}
        save_file({k: t.half() for k, t in moved.items()}, folder / name)
    text = yaml.safe_dump(
        differing(asdict(config), asdict(CheckpointConfig())),
        sort_keys=False,
        default_flow_style=None,
        width=110,
    )
    configs = root / CONFIGS.name
    configs.mkdir(exist_ok=True)
    (configs / f"{config.name}.yaml").write_text(text)
    if starts:
        views.start_images(str(folder / "start"), starts, mode, height=HEIGHT, width=WIDTH)


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--vae", type=Path, nargs="+", required=True, help="of several: the average")
    parser.add_argument("--dit", type=Path, required=True)
    parser.add_argument("--starts", type=int, default=0, help="new start images to draw")
    parser.add_argument("--steps", type=int, nargs="+", default=SAMPLING.denoising_steps, help="of sampling")
    parser.add_argument(
        "--noise-scale", type=float, default=SAMPLING.noise_scale, help="1 for a model that was finished"
    )
    parser.add_argument("--blend", type=Path, help="a second folder: publish the average of both")
    parser.add_argument("--share", type=float, default=0.5, help="its share in that (default 0.5)")
    parser.add_argument(
        "--since", type=Path, help="what --blend began with: publish --dit changed as that was changed"
    )
    parser.add_argument("--root", type=Path, default=CONFIGS.parent, help="default: this program")
    args = parser.parse_args()
    if args.since and not args.blend:
        parser.error("--since is of --blend: say which folder that is")
    blend = (args.since or args.dit, args.blend, args.share) if args.blend else None
    still = STILL if MODES[args.mode].stands else 0.0
    sampling = replace(SAMPLING, denoising_steps=args.steps, noise_scale=args.noise_scale, still=still)
    publish(args.vae, args.dit, args.root, args.mode, args.starts, sampling, blend)


if __name__ == "__main__":
    main()
