"""The whole way, with nothing replaced: files on disk, the loader, the world, the command line, the mp4."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from mgdemo import cli
from mgdemo.actions import ActionTrack
from mgdemo.checkpoints import resolve, start_images
from mgdemo.config import CheckpointConfig, FilesConfig, ImageEncoderConfig, VAEConfig, from_reference
from mgdemo.video.record import read_frames
from mgdemo.world import load_world_model

GOLDENS = Path(__file__).parent / "goldens"


def test_generate_plays_the_embedded_world(tmp_path):
    image = start_images("universal-tiny")[0]
    films = []
    for folder in ("first", "again"):
        arguments = (
            f"generate --mode universal --checkpoint embedded --num-output-frames 6 --seed 3 --image {image}"
        )
        assert cli.main([*arguments.split(), "--output-folder", str(tmp_path / folder)]) == 0
        films.append(np.stack(list(read_frames(tmp_path / folder / "demo.mp4"))))
        assert len(list(read_frames(tmp_path / folder / "demo_icon.mp4"))) == 4 * 6 - 3
    assert films[0].shape == (4 * 6 - 3, 144, 256, 3)
    np.testing.assert_array_equal(films[0], films[1])
    start = np.asarray(Image.open(image).convert("RGB"), np.float32)
    assert np.abs(films[0][0] - start).mean() < 8, "a play begins at its start image"
    assert np.abs(films[0][-1].astype(np.float32) - films[0][0]).mean() > 1, "and moves on from there"


def golden_config(mode: str) -> CheckpointConfig:
    """The configuration of the goldens' weights, in the published repository's layout."""
    index = json.loads((GOLDENS / "index.json").read_text())
    vae = dict(index["weights_vae.safetensors"]["config"])
    vae["temporal_downsample"] = vae.pop("temperal_downsample")
    clip = index["weights_clip_visual.safetensors"]["config"]
    transformer = index[f"weights_dit_{mode}.safetensors"]

    def known(kind: type, values: dict) -> dict:
        return {k: v for k, v in values.items() if k in kind.__dataclass_fields__}

    return CheckpointConfig(
        name=mode,
        title="golden weights",
        mode=mode,
        height=32,
        width=48,
        files=FilesConfig("Skywork/Matrix-Game-2.0", "", f"{mode}/model.safetensors", "vae.pth", "clip.pth"),
        transformer=from_reference(transformer["config"], img_dim=transformer["img_dim"]),
        vae=VAEConfig(**known(VAEConfig, vae)),
        image_encoder=ImageEncoderConfig(**known(ImageEncoderConfig, clip)),
    )


@pytest.mark.parametrize("mode", ["universal", "gta_drive", "templerun"])
def test_a_folder_laid_out_like_the_published_one_plays(tmp_path, mode, monkeypatch):
    """safetensors and .pth files, a CLIP file with a text tower, sizes from the file given with --config."""
    (tmp_path / mode).mkdir()
    weights = load_file(GOLDENS / f"weights_dit_{mode}.safetensors")
    save_file(weights, tmp_path / mode / "model.safetensors")
    torch.save(load_file(GOLDENS / "weights_vae.safetensors"), tmp_path / "vae.pth")
    clip = load_file(GOLDENS / "weights_clip_visual.safetensors")
    torch.save(
        clip | {"textual.norm.weight": torch.ones(3), "log_scale": torch.ones(())}, tmp_path / "clip.pth"
    )
    config = golden_config(mode)
    (tmp_path / "golden.yaml").write_text(yaml.safe_dump(asdict(config)))

    monkeypatch.setattr("mgdemo.world.fast_bfloat16", lambda: False)
    model = load_world_model(resolve(tmp_path, mode=mode, config=config), device="cpu")
    for name, tensor in model.transformer.state_dict().items():
        assert torch.equal(tensor, weights[f"model.{name}"]), name
    world = model.start(Image.new("RGB", (60, 40), (200, 90, 30)), seed=1)
    frames = world.step(ActionTrack.hold(mode, [], frames=world.frames_next))
    assert frames.shape == (9, 32, 48, 3)

    Image.new("RGB", (60, 40), (200, 90, 30)).save(tmp_path / "photo.png")
    arguments = f"generate --mode {mode} --num-output-frames 3 --seed 1 --image {tmp_path}/photo.png"
    arguments += f" --checkpoint {tmp_path} --config {tmp_path}/golden.yaml --output-folder {tmp_path}/out"
    assert cli.main(arguments.split()) == 0
    assert len(list(read_frames(tmp_path / "out" / "demo.mp4"))) == 9
