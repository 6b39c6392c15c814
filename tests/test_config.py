import json
from pathlib import Path

import pytest

from mgdemo.config import CONFIGS, ConfigError, Optimization, from_reference, load_config

MANIFESTS = Path(__file__).parent / "goldens" / "manifests"
STEPS = {
    "universal": [1000, 666, 333],
    "gta_drive": [1000, 666, 333],
    "templerun": [1000, 750, 500, 250],
}


@pytest.mark.parametrize("mode", STEPS)
def test_published_configs_equal_the_published_json(mode):
    config = load_config(CONFIGS / f"{mode}.yaml")
    reference = json.loads((MANIFESTS / f"dit_{mode}.json").read_text())["config"]
    vae = json.loads((MANIFESTS / "vae.json").read_text())
    ours, theirs = config.transformer, from_reference(reference)
    if not theirs.action_config.enable_mouse:  # the file leaves the mouse's sizes out
        theirs.action_config.mouse_hidden_dim = ours.action_config.mouse_hidden_dim
    assert ours == theirs
    assert config.sampling.denoising_steps == STEPS[mode]
    assert (config.mode, config.height, config.width, config.embedded) == (mode, 352, 640, False)
    assert (config.vae.latent_mean, config.vae.latent_std) == (vae["latent_mean"], vae["latent_std"])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_is_named_after_its_file(path):
    assert load_config(path).name == path.stem


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("mode: universal", "mode: skating", "mode is 'skating'"),
        ("mode: universal", "mode: [unclosed", "compare it with"),
        ("mode: universal", "widht: 640", "widht"),
        ("mode: universal", "mode: universal\nwidth: wide", "width"),
        ("mode: universal", "mode: universal\nwidth: 650", "multiples of 16"),
        ("mode: universal", "mode: universal\nsampling: {denoising_steps: [250, 500]}", "falling list"),
        ("mode: universal", "mode: universal\nsampling: {denoising_steps: [1000, 0]}", "falling list"),
        ("mode: universal", "mode: universal\nvae: {z_dim: 8}", "do not fit"),
        ("mode: universal", "mode: universal\nfps: 30", "(3, 4, 30); they must be 3, 4 and 25"),
        ("    keyboard_dim_in: 4", "", "keyboard_dim_in"),
        ("name: universal", "", "name"),
    ],
)
def test_a_wrong_config_is_explained_in_one_line(tmp_path, line, instead, said):
    text = (CONFIGS / "universal.yaml").read_text()
    assert line in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(line, instead))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert path.name in str(error.value) and said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- a list", "just words"])
def test_a_file_that_is_no_config_is_explained(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_config(path)


def test_a_missing_config_is_explained(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_config(tmp_path / "none.yaml")


def test_optimizations_are_chosen_by_words():
    assert Optimization.parse("") == Optimization()
    assert Optimization.parse("fp8, no-kernels") == Optimization(fp8=True, kernels=False)
    assert Optimization.parse("none,graphs") == Optimization(kernels=False)
    assert Optimization.parse("low-vram").low_vram
    for wrong in ("fp4", "nographs", "no-none", "FP8"):
        with pytest.raises(
            ConfigError, match=f'"{wrong}" is not an optimization; there are kernels, graphs, .*low-vram'
        ):
            Optimization.parse(wrong)
