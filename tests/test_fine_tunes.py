"""An embedded world saved again in the forms that people's own weights have: each plays the same bytes."""

import json
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import CheckpointError, config_named, resolve, start_images
from mgdemo.compare.catalog import variant
from mgdemo.loading import load_world_model
from mgdemo.paths import ROOT
from mgdemo.picture import open_picture
from mgdemo.weight_files.recognize import inspect
from mgdemo.weight_files.tables import read_table

SOURCE = ROOT / "worlds" / "universal" / "transformer.safetensors"
NAME = "universal-tiny"
PREFIXES = [
    "",
    "module.",
    "_orig_mod.",
    "generator.",
    "generator.model.",
    "model._fsdp_wrapped_module.",
    "module._orig_mod.model.",
    "generator_ema.model.",
]


@cache
def weights():
    return {name.removeprefix("model."): tensor for name, tensor in load_file(SOURCE).items()}


def other():
    return {name: tensor + 1 for name, tensor in weights().items()}


@cache
def first_block(path=None):
    located = resolve(path, config=config_named(NAME)) if path else resolve(NAME)
    world = load_world_model(located, device="cpu").start(open_picture(start_images(NAME)[0]), seed=3)
    return world.step(ActionTrack.hold("universal", ["forward"], frames=world.frames_next))


def assert_plays_the_same(path):
    assert np.array_equal(first_block(path), first_block())


@pytest.mark.parametrize("mode", ["universal", "gta_drive", "templerun"])
def test_a_copy_of_a_worlds_folder_is_a_checkpoint_and_its_shapes_tell_which(tmp_path, mode):
    mine = tmp_path / "mine"
    shutil.copytree(ROOT / "worlds" / mode, mine)
    for given in (mine, mine / "transformer.safetensors"):
        located = resolve(given)
        assert (located.config.name, located.transformer) == (
            f"{mode}-tiny",
            mine / "transformer.safetensors",
        )
        assert located.image_encoder == mine / "image_encoder.safetensors", "its own comes first"
    column = variant(str(mine))
    assert (column.mode, column.known) == (mode, True)
    with pytest.raises(CheckpointError, match=f"is for mode {mode}, not for"):
        resolve(mine, mode=next(other for other in MODES if other != mode))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_frameworks_put_before_names_is_taken_away(tmp_path, prefix):
    path = tmp_path / "mine.safetensors"
    save_file({prefix + name: tensor for name, tensor in weights().items()}, path)
    assert_plays_the_same(path)
    (report,) = inspect(path)
    assert (report.state, report.checkpoints) == ("ok", (NAME,))


def test_what_frameworks_put_between_names_is_taken_away(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file(
        {f"model.{n}".replace("blocks.0.", "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module."): t
         for n, t in weights().items()},
        path,
    )  # fmt: skip
    assert_plays_the_same(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: weights(), None),
        (lambda: {"state_dict": weights(), "epoch": 3}, '"state_dict"'),
        (lambda: {"model": weights()}, '"model"'),
        (lambda: {"net": weights(), "step": 3}, '"net"'),
        (lambda: {"generator": weights(), "critic": other(), "step": torch.tensor(3)}, '"generator"'),
        (lambda: {"generator": other(), "generator_ema": weights()}, '"generator_ema", averaged'),
        (lambda: {"state_dict": {f"generator.model.{n}": t for n, t in weights().items()}}, '"state_dict"'),
        (lambda: {"generator": {"module": weights()}, "optimizer": {"lr": 0.1}}, '"generator.'),
    ],
)  # fmt: skip
def test_the_models_own_part_of_a_dictionary_is_taken_and_said(tmp_path, caplog, content, said):
    torch.save(content(), tmp_path / "mine.pt")
    assert_plays_the_same(tmp_path / "mine.pt")
    (report,) = inspect(tmp_path / "mine.pt")
    if said is None:
        assert report.state == "ok" and "is used" not in report.text and not caplog.text
    else:
        assert report.state == "ok" and f"{said}" in report.text and said in caplog.text


def test_averaged_weights_of_a_flat_file_are_preferred(tmp_path):
    both = {f"generator_ema.{n}": t for n, t in weights().items()}
    save_file(both | {f"generator.{n}": t for n, t in other().items()}, tmp_path / "mine.safetensors")
    assert_plays_the_same(tmp_path / "mine.safetensors")


def test_a_dictionary_of_several_models_names_the_line_that_saves_one(tmp_path, monkeypatch):
    torch.save({"student": weights(), "teacher": other()}, tmp_path / "mine.pt")
    with pytest.raises(CheckpointError, match=r"holds 2 models \(student, teacher\)") as error:
        read_table(tmp_path / "mine.pt")
    line = str(error.value).partition('python -c "')[2].rpartition('"')[0]
    monkeypatch.chdir(tmp_path)
    exec(line)
    assert_plays_the_same(tmp_path / "model.pt")


def test_one_tensor_by_two_names_is_refused(tmp_path):
    name, tensor = next(iter(weights().items()))
    save_file({name: tensor, f"model.{name}": tensor + 1}, tmp_path / "mine.safetensors")
    with pytest.raises(CheckpointError, match="twice, under two names"):
        read_table(tmp_path / "mine.safetensors")


def shards_of(folder, save, suffix="safetensors", stem="diffusion_pytorch_model"):
    names = list(weights())
    folder.mkdir()
    where = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        file = f"{stem}-{number:05d}-of-00002.{suffix}"
        save({name: weights()[name] for name in part}, folder / file)
        where |= dict.fromkeys(part, file)
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index


def test_shards_are_one_model(tmp_path):
    index = shards_of(tmp_path / "mine", save_file)
    for given in (index.parent, index, next(index.parent.glob("*-00002-*"))):
        assert_plays_the_same(given)
    for given in (index.parent, index, next(index.parent.glob("*-00002-*"))):
        (report,) = inspect(given)
        assert report.state == "ok" and report.checkpoints == (NAME,) and "in 2 shards" in report.text
    index.unlink()
    assert_plays_the_same(next((tmp_path / "mine").glob("*-00001-*")))
    (report,) = inspect(tmp_path / "mine")
    assert report.state == "ok"


def test_shards_of_pytorch_are_one_model(tmp_path):
    assert_plays_the_same(shards_of(tmp_path / "mine", torch.save, "bin", "pytorch_model"))


def test_a_shard_without_the_others_is_named_for_what_it_is(tmp_path):
    index = shards_of(tmp_path / "mine", save_file)
    next(index.parent.glob("*-00001-*")).unlink()
    (report,) = inspect(index.parent)
    assert report.state == "wrong"
    assert "in 2 shards, and 1 of them are not beside it (diffusion_pytorch_model-00001-of-0" in report.text
    index.write_text('{"weight_map": 3}')
    assert {r.text.partition(",")[0] for r in inspect(index.parent)} == {
        "is not a list of shards",
        "is part of a model in 2 shards",
    }
    index.write_text(json.dumps({"weight_map": {"a": "diffusion_pytorch_model-00002-of-00002.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"lists tensors that its shards lack \(a\)"):
        read_table(index)


def test_a_folder_plays_its_own_transformer_or_is_refused(tmp_path):
    config = config_named(NAME)
    mine = tmp_path / "mine"
    mine.mkdir()
    said = "no transformer.safetensors and no model.safetensors"
    with pytest.raises(CheckpointError, match=rf"{said}\); put one there, or name a weight file"):
        resolve(mine, config=config)
    shutil.copy(SOURCE, mine / "step_9000.safetensors")
    with pytest.raises(CheckpointError, match=rf"{said}\); it has step_9000\.safetensors: name the right"):
        resolve(mine, config=config)
    (mine / "step_9000.safetensors").rename(mine / "model.safetensors")
    assert resolve(mine, config=config).transformer == mine / "model.safetensors"
    assert_plays_the_same(mine)


def test_a_name_with_a_config_of_ones_own_plays_the_files_of_that_name():
    config = config_named("gta_drive-tiny")
    located = resolve(NAME, config=config)
    assert located.config is config and located.transformer == SOURCE
