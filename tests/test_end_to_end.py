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
from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import PARTS, catalog, resolve, start_images
from mgdemo.config import CheckpointConfig, FilesConfig, ImageEncoderConfig, VAEConfig, from_reference
from mgdemo.loading import load_world_model
from mgdemo.picture import open_picture
from mgdemo.replay import open_replay
from mgdemo.scenario import load_scenario, scenario_yaml
from mgdemo.video.mp4 import read_frames

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


def difference(frame, other) -> float:
    """Mean absolute difference of two pictures of the same size, in levels."""
    return float(np.abs(np.asarray(frame, np.float32) - np.asarray(other, np.float32)).mean())


def test_the_worlds_in_the_box_are_one_a_mode_and_small():
    embedded = [entry for entry in catalog() if entry.embedded]
    assert [entry.mode for entry in embedded] == list(MODES) and all(entry.available for entry in embedded)
    assert [entry.name for entry in catalog()[:3]] == [entry.name for entry in embedded], "they come first"
    assert len({entry.title for entry in embedded}) == len({entry.config.note for entry in embedded}) == 3
    files = {getattr(resolve(entry.name), part).resolve() for entry in embedded for part in PARTS}
    assert sum(file.stat().st_size for file in files) <= 40_000_000


@pytest.mark.parametrize("mode", MODES)
def test_an_embedded_world_plays_from_each_of_its_start_images(mode):
    model = load_world_model(f"{mode}-tiny", device="cpu")
    key = MODES[mode].control("W").name
    starts = start_images(f"{mode}-tiny")
    assert len(starts) >= 8
    for path in starts:
        picture = open_picture(path)
        world = model.start(picture, seed=1)
        frames = world.step(ActionTrack.hold(mode, [key], frames=world.frames_next))
        assert difference(frames[0], picture) < 10, f"{path.name} is not what the play begins with"
        assert difference(frames[-1], frames[0]) > 2, f"from {path.name} it does not move"
        assert abs(frames[-1].mean() - np.mean(picture)) < 30, f"from {path.name} it goes dark or burns out"


@pytest.mark.parametrize("mode", MODES)
def test_a_scenario_is_replayed_in_the_embedded_world_of_its_mode(mode, tmp_path):
    start = start_images(f"{mode}-tiny")[1]
    track = ActionTrack.hold(mode, ["D"], frames=21)
    scenario = tmp_path / "short.yaml"
    scenario.write_text(scenario_yaml(track, title="Short", image=f"embedded:{start.stem}", seed=4))
    arguments = f"replay {scenario} --output-folder {tmp_path} --checkpoint embedded"
    assert cli.main(arguments.split()) == 0
    frames = list(read_frames(tmp_path / "demo.mp4"))
    assert len(frames) == 21
    assert difference(frames[0], open_picture(start)) < 10 and difference(frames[-1], frames[0]) > 2
    again = load_scenario(tmp_path / "demo.yaml")
    assert (again.mode, again.image, again.seed) == (mode, f"embedded:{start.stem}", 4)
    assert again.track == track
    film, repeated = tmp_path / "demo.mp4", tmp_path / "again" / "demo.mp4"
    assert cli.main(f"replay {film} --output-folder {repeated.parent}".split()) == 0
    names = {open_replay(path).frames_sha256 for path in (film, repeated)}
    assert len(names) == 1 and len(names.pop()) == 64, "the same frames again"


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

    monkeypatch.setattr("mgdemo.devices.fast_bfloat16", lambda: False)
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
