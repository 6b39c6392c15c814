"""Last stage: put trained weights, their configuration and start images where the program finds them.

    python -m training.publish --vae DIR --dit DIR --starts 9

Writes worlds/universal/*.safetensors and configs/universal-tiny.yaml and, with --starts, draws so many
new start images of unseen places in worlds/universal/start/.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import yaml

from mgdemo.config import CONFIGS, CheckpointConfig, FilesConfig, VAEConfig
from training import command, renderer
from training.dit import SAMPLING, tiny_config
from training.vae import HEIGHT, WIDTH

NOTE = (
    "Preview world: a tiny model that knows only its own meadow, desert and snow, and paints them softly. "
    "Places do not stay as they were once you have turned away."
)


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


def configuration(vae: dict) -> CheckpointConfig:
    """The checkpoint's, around a VAE's as stage 1 wrote it."""
    transformer, image_encoder = tiny_config()
    config = VAEConfig(**vae)
    config.latent_mean = [round(x, 6) for x in config.latent_mean]
    config.latent_std = [round(x, 6) for x in config.latent_std]
    return CheckpointConfig(
        name="universal-tiny",
        title="Small places (embedded)",
        mode="universal",
        note=NOTE,
        height=HEIGHT,
        width=WIDTH,
        files=FilesConfig(
            folder="worlds/universal",
            transformer="transformer.safetensors",
            vae="vae.safetensors",
            image_encoder="image_encoder.safetensors",
        ),
        transformer=transformer,
        vae=config,
        image_encoder=image_encoder,
        sampling=SAMPLING,
    )


def publish(vae: Path, dit: Path, root: Path, starts: int = 0) -> None:
    """Copy the weights in the folders of stages 1 and 3 into the program at `root`, with all they need."""
    config = configuration(json.loads((vae / "vae.json").read_text())["config"])
    folder = root / config.files.folder
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(vae / config.files.vae, folder / config.files.vae)
    for name in (config.files.transformer, config.files.image_encoder):
        shutil.copyfile(dit / name, folder / name)
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
        renderer.start_images(str(folder / "start"), starts, height=HEIGHT, width=WIDTH)


def main() -> None:
    parser = command(__doc__)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--dit", type=Path, required=True)
    parser.add_argument("--starts", type=int, default=0, help="start images to draw anew")
    parser.add_argument("--root", type=Path, default=CONFIGS.parent, help="default: this program")
    args = parser.parse_args()
    publish(args.vae, args.dit, args.root, args.starts)


if __name__ == "__main__":
    main()
