"""`mgdemo check`: damaged numbers, known hashes, and folders as people have them."""

import dataclasses
import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from mgdemo import checkpoints, cli
from mgdemo.checkpoints import CheckpointError, config_named, configs, resolve
from mgdemo.config import load_config
from mgdemo.loading import load_world_model
from mgdemo.model.transformer import Transformer
from mgdemo.paths import CONFIGS, ROOT
from mgdemo.weight_files import recognize
from mgdemo.weight_files.recognize import inspect
from tests.support.published import manifest, sparse

SOURCE = ROOT / "worlds" / "universal" / "transformer.safetensors"
BASE = "base_distilled_model/base_distill.safetensors"


def damaged(path, filler):
    """The embedded world with the last fifth of its bytes replaced."""
    raw = SOURCE.read_bytes()
    cut = len(raw) * 4 // 5
    path.write_bytes(raw[:cut] + filler * (len(raw) - cut))
    return path


@pytest.mark.parametrize(
    ("filler", "said"), [(b"\0", "nothing but zeros over long stretches"), (b"\xff", "NaN or infinity")]
)
def test_weights_whose_last_fifth_is_damaged_are_wrong(tmp_path, capsys, filler, said):
    path = damaged(tmp_path / "model.safetensors", filler)
    assert cli.main(["check", str(path)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("wrong") and said in printed
    share = float(printed.partition("% of all numbers")[0].rpartition(" ")[2])
    assert 19 < share < 21


def test_a_large_file_is_looked_at_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(recognize, "SMALL", 1_000_000)
    path = damaged(tmp_path / "model.safetensors", b"\0")
    assert inspect(path)[0].state == "ok"
    assert inspect(path, deep=True)[0].state == "wrong"


def test_a_single_broken_number_is_found(tmp_path):
    state = load_file(SOURCE)
    name = "model.blocks.3.ffn.0.weight"
    state[name][5, 7] = float("inf")
    save_file(state, tmp_path / "model.safetensors")
    (report,) = inspect(tmp_path / "model.safetensors")
    assert report.state == "wrong" and "1 of 238 tensors hold NaN or infinity (blocks.3" in report.text


def test_what_lies_beside_the_image_encoder_may_have_any_type(tmp_path):
    state = load_file(ROOT / "worlds" / "universal" / "image_encoder.safetensors")
    beside = {
        "textual.a": torch.ones(2000, 2).to(torch.float8_e4m3fn),
        "textual.b": torch.ones(3, dtype=torch.int64),
        "textual.c": torch.ones(2, dtype=torch.bool),
    }
    save_file(state | beside, tmp_path / "clip.safetensors")
    (report,) = inspect(tmp_path / "clip.safetensors", deep=True)
    assert report.state == "ok" and report.part == "image_encoder"


def test_biases_of_zero_are_no_damage():
    for report in inspect(ROOT / "worlds"):
        assert report.state == "ok" and "all numbers are finite" in report.text


@pytest.mark.parametrize(("filler", "said"), [(b"\0", "nothing but zeros"), (b"\xff", "NaN or infinity")])
def test_damaged_weights_do_not_play(tmp_path, filler, said):
    located = resolve(damaged(tmp_path / "m.safetensors", filler), config=config_named("universal-tiny"))
    with pytest.raises(CheckpointError, match=f"is damaged: .* {said} .*check --deep"):
        load_world_model(located, device="cpu")


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A published file of an embedded world's shapes and its place in the catalog."""
    config = load_config(CONFIGS / "universal-tiny.yaml")
    path = tmp_path / "base_distill.safetensors"
    path.write_bytes(SOURCE.read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    config.files = dataclasses.replace(
        config.files, repo="some/one", revision="abcdef0123", transformer=BASE, sha256={"transformer": digest}
    )
    for module in ("mgdemo.checkpoints", "mgdemo.weight_files.recognize", "mgdemo.weight_files.deep"):
        monkeypatch.setattr(f"{module}.configs", lambda: [config])
    return path


def test_a_published_file_is_known_by_its_hash(known):
    (report,) = inspect(known, deep=True)
    assert report.state == "ok" and "exactly the file that was published (some/one at abc" in report.text


def test_a_file_by_a_published_name_that_is_another_is_said(known):
    state = load_file(known)
    save_file({name: tensor * 1.5 for name, tensor in state.items()}, known)
    (report,) = inspect(known, deep=True)
    assert report.state == "wrong" and "not the file that was published under this name" in report.text
    known.rename(known.with_name("mine.safetensors"))
    (report,) = inspect(known.with_name("mine.safetensors"), deep=True)
    assert report.state == "ok" and "all numbers are finite" in report.text


def test_hashes_are_known_for_every_published_file():
    for config in configs():
        if not config.embedded:
            assert set(config.files.sha256) == set(checkpoints.PARTS)
            assert all(len(bytes.fromhex(digest)) == 32 for digest in config.files.sha256.values())


def test_the_public_repository_copied_whole_is_fine(tmp_path, capsys):
    (tmp_path / "base_distilled_model").mkdir()
    sparse(tmp_path / BASE, manifest("dit_universal"), "F32")
    config = config_named("universal").transformer
    everywhere = dataclasses.replace(config.action_config, blocks=list(range(config.num_layers)))
    with torch.device("meta"):
        foundation = Transformer(dataclasses.replace(config, action_config=everywhere)).state_dict()
    (tmp_path / "base_model").mkdir()
    path = tmp_path / "base_model" / "diffusion_pytorch_model.safetensors"
    sparse(path, {name: list(tensor.shape) for name, tensor in foundation.items()}, "F16")
    (tmp_path / "base_model" / "config.json").write_text("{}")
    assert cli.main(["check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"other  {path}: a foundation model" in said and "is not playable here" in said
    assert "universal: lacks the vae and the image encoder" in said
    with pytest.raises(CheckpointError, match=r"does not fit: .* It is a foundation model"):
        load_world_model(
            resolve(path, config=dataclasses.replace(config_named("universal-tiny"), transformer=config)),
            device="cpu",
        )


def test_check_without_a_path_looks_at_what_is_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", str(tmp_path / "checkpoints"))
    assert cli.main(["check"]) == 0
    assert f"ok     {SOURCE}: transformer for mode universal" in capsys.readouterr().out
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.pth").touch()
    assert cli.main(["check", "--deep"]) == 1
    assert "a.pth: is empty" in capsys.readouterr().out


def test_check_of_a_folder_that_is_not_there_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", "checkpoints")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "checkpoints"]) == 1
    assert "no published weights are here yet; `python -m mgdemo download` fetches" in capsys.readouterr().out
    assert cli.main(["check", "elsewhere"]) == 1
    assert "elsewhere: there is no such file or folder." in capsys.readouterr().out
