import shutil
from pathlib import Path

import pytest

from mgdemo import checkpoints, paths
from mgdemo.checkpoints import CheckpointError, catalog, opening_loop, resolve, start_images
from mgdemo.config import CONFIGS, load_config

PUBLISHED = ("universal", "gta_drive", "templerun")
VAE, CLIP = "Wan2.1_VAE.pth", "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
DRIVING = "gta_distilled_model/gta_keyboard2dim.safetensors"
EMBEDDED = """
name: snow
title: A snow world
mode: universal
files:
  folder: worlds/snow
  transformer: transformer.safetensors
  vae: vae.safetensors
  image_encoder: clip.pth
transformer: {action_config: {blocks: [0], keyboard_dim_in: 4}}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A copy of the program's folder with one embedded world and no published weights."""
    for config in PUBLISHED:
        (tmp_path / "configs").mkdir(exist_ok=True)
        shutil.copy(CONFIGS / f"{config}.yaml", tmp_path / "configs")
    (tmp_path / "configs" / "snow.yaml").write_text(EMBEDDED)
    put(tmp_path / "worlds" / "snow", "transformer.safetensors", "vae.safetensors", "clip.pth")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path)
    monkeypatch.setattr(checkpoints, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(checkpoints, "_in_hub_cache", lambda *file: None)
    monkeypatch.delenv("MGDEMO_CHECKPOINTS", raising=False)
    return tmp_path


def put(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def test_the_catalog_lists_shipped_worlds_first_and_says_what_is_there(root):
    put(root / "checkpoints", DRIVING, VAE, CLIP)
    entries = {entry.name: entry for entry in catalog()}
    assert list(entries) == ["snow", *PUBLISHED]
    assert {name for name, entry in entries.items() if entry.available} == {"snow", "gta_drive"}
    assert entries["snow"].embedded and not entries["universal"].embedded
    assert "GB" in entries["universal"].needs


def test_an_embedded_world_that_does_not_ship_is_not_listed(root):
    shutil.rmtree(root / "worlds")
    assert [entry.name for entry in catalog()] == list(PUBLISHED)
    with pytest.raises(CheckpointError, match="No embedded world ships for mode universal"):
        resolve("embedded", mode="universal")


def test_an_embedded_world_is_found_by_name_by_word_and_by_folder(root):
    world = root / "worlds" / "snow"
    for given in ("snow", "embedded", world, str(world), world / "transformer.safetensors"):
        located = resolve(given)
        assert located.config.name == "snow"
        assert located.transformer == world / "transformer.safetensors"
        assert (located.vae, located.image_encoder) == (world / "vae.safetensors", world / "clip.pth")
    assert resolve(located) is located


def test_an_incomplete_embedded_world_says_how_to_get_it_back(root):
    (root / "worlds" / "snow" / "vae.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no vae\.safetensors in worlds/snow; .*git checkout"):
        resolve("snow")


@pytest.mark.parametrize(
    "files",
    [
        (DRIVING, VAE, CLIP),  # as in the public repository
        ("gta_drive/model.safetensors", VAE, CLIP),
        ("gta_drive/model.safetensors", f"gta_drive/{VAE}", f"gta_drive/{CLIP}"),
        (Path(DRIVING).name, VAE, CLIP),  # all in one folder
    ],
)
def test_published_weights_are_found_in_each_layout(root, monkeypatch, files):
    elsewhere = put(root / "elsewhere", *files)
    wanted = [elsewhere / file for file in files]
    for given, mode in ((elsewhere, None), (elsewhere, "gta_drive"), (wanted[0], "gta_drive")):
        located = resolve(given, mode=mode)
        assert [located.transformer, located.vae, located.image_encoder] == wanted
        assert located.config == load_config(CONFIGS / "gta_drive.yaml")
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", str(elsewhere))
    assert resolve("gta_drive").transformer == wanted[0]


def test_a_modes_own_folder_takes_the_shared_files_from_beside_it(root):
    elsewhere = put(root / "elsewhere", "gta_drive/model.safetensors", VAE, CLIP)
    located = resolve(elsewhere / "gta_drive")
    assert located.transformer == elsewhere / "gta_drive" / "model.safetensors"
    assert located.vae == elsewhere / VAE


def test_a_file_of_ones_own_takes_the_rest_from_the_usual_places(root):
    usual = put(root / "checkpoints", VAE, CLIP)
    mine = put(root / "mine", "finetuned.safetensors") / "finetuned.safetensors"
    located = resolve(mine, mode="templerun")
    assert (located.transformer, located.vae, located.config.mode) == (mine, usual / VAE, "templerun")
    with pytest.raises(CheckpointError, match="mode gta_drive or templerun or universal: say which"):
        resolve(mine)


def test_a_config_of_ones_own_replaces_the_catalogs(root):
    put(root / "checkpoints", VAE, CLIP)
    mine = put(root / "mine", "finetuned.safetensors") / "finetuned.safetensors"
    config = load_config(CONFIGS / "universal.yaml")
    config.name, config.height = "mine", 176
    assert resolve(mine, config=config).config is config


def test_without_a_name_the_published_weights_come_first_where_complete(root):
    put(root / "checkpoints", "base_distilled_model/base_distill.safetensors", VAE)
    assert resolve(mode="universal").config.name == "snow"
    put(root / "checkpoints", CLIP)
    assert resolve(mode="universal").config.name == "universal"


def test_the_hubs_cache_comes_last(root, monkeypatch):
    cached = put(root / "cache", DRIVING, VAE, CLIP)
    monkeypatch.setattr(checkpoints, "_in_hub_cache", lambda repo, file, revision: cached / file)
    local = put(root / "checkpoints", VAE)
    located = resolve("gta_drive")
    assert (located.transformer, located.vae) == (cached / DRIVING, local / VAE)


def test_the_hubs_own_cache_is_understood(tmp_path, monkeypatch):
    from huggingface_hub import constants

    folder = tmp_path / "models--Some--Repo"
    snapshot = put(folder / "snapshots" / "abc", "a/model.safetensors") / "a/model.safetensors"
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert checkpoints._in_hub_cache("Some/Repo", "a/model.safetensors", "f00d") == snapshot
    assert checkpoints._in_hub_cache("Some/Repo", "b.pth", "f00d") is None


@pytest.mark.parametrize(
    ("given", "mode", "said"),
    [
        ("universal", None, f"no {VAE} and no {CLIP} in .*download --mode universal"),
        ("universal", "templerun", "is for mode universal, not for templerun"),
        ("univresal", None, 'called "univresal"; the checkpoints are snow, universal, gta_drive, templerun'),
        ("configs", None, "has no transformer .*mgdemo check"),
        ("checkpoints", "gta_drive", "has no transformer"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_sentence_with_a_cure(root, monkeypatch, given, mode, said):
    put(root / "checkpoints", "base_distilled_model/base_distill.safetensors")
    monkeypatch.chdir(root)
    with pytest.raises(CheckpointError, match=said) as error:
        resolve(given, mode=mode)
    assert "\n" not in str(error.value)


def test_start_images_are_those_of_the_world_or_else_of_the_mode(root):
    put(root / "worlds" / "snow" / "start", "b.png", "a.JPG", "notes.txt")
    put(root / "worlds" / "universal" / "start", "c.webp")
    assert [path.name for path in start_images("snow")] == ["a.JPG", "b.png"]
    assert [path.name for path in start_images("universal")] == ["c.webp"]
    assert start_images("templerun") == []
    with pytest.raises(CheckpointError, match="the checkpoints are"):
        start_images("nowhere")


def test_start_images_come_in_the_order_that_is_written_beside_them(root):
    start = root / "worlds" / "snow" / "start"
    put(start, "a.png", "b.png", "c.png", "d.png")
    (start / "starts.json").write_text('[{"image": "c.png"}, {"image": "gone.png"}, {"image": "b.png"}]')
    assert [path.name for path in start_images("snow")] == ["c.png", "b.png", "a.png", "d.png"]


def test_an_opening_loop_is_that_of_the_embedded_world_only(root):
    assert opening_loop("snow") is None
    put(root / "worlds" / "snow", "loop.mp4")
    put(root / "worlds" / "universal", "loop.mp4")
    assert opening_loop("snow") == root / "worlds" / "snow" / "loop.mp4"
    assert opening_loop("universal") is None
