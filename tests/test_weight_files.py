import io
import json
import pickle
import zipfile
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mgdemo import checkpoints
from mgdemo.checkpoints import CheckpointError
from mgdemo.config import CONFIGS, load_config
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.weight_files.load import load_weights
from mgdemo.weight_files.recognize import Report, expected, inspect
from mgdemo.weight_files.tables import read_table
from tests.support.published import manifest, sparse

MODES = ("universal", "gta_drive", "templerun")


@pytest.fixture(autouse=True)
def published_only(tmp_path_factory, monkeypatch):
    """The catalog of these tests, whatever embedded worlds ship."""
    folder = tmp_path_factory.mktemp("configs")
    for mode in MODES:
        (folder / f"{mode}.yaml").write_text((CONFIGS / f"{mode}.yaml").read_text())
    monkeypatch.setattr(checkpoints, "CONFIGS", folder)


def report(path: Path) -> Report:
    (only,) = inspect(path)
    return only


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("part", "name"), [("transformer", "dit_{}"), ("vae", "vae"), ("image_encoder", "clip_visual")]
)
def test_the_full_size_models_have_exactly_the_published_tensors(mode, part, name):
    prefix = {"transformer": "model.", "vae": "", "image_encoder": "visual."}[part]
    ours = expected(part, load_config(CONFIGS / f"{mode}.yaml"))
    ours = {prefix + n: list(t.shape) for n, t in ours.items()}
    assert ours == manifest(name.format(mode))


@pytest.mark.parametrize("mode", MODES)
def test_check_recognises_a_published_transformer(tmp_path, mode):
    shapes = manifest(f"dit_{mode}")
    found = report(sparse(tmp_path / "a.safetensors", shapes, "F32"))
    assert (found.state, found.part, found.checkpoints) == ("ok", "transformer", (mode,))
    count = sum(map(prod, shapes.values()))
    assert f"transformer for mode {mode}: {count:,} parameters, float32" in found.text
    bare = {name.removeprefix("model."): shape for name, shape in shapes.items()}
    assert report(sparse(tmp_path / "b.safetensors", bare)).checkpoints == (mode,)


def test_check_recognises_the_vae_and_clip_with_its_text_tower(tmp_path):
    vae = report(sparse(tmp_path / "vae.safetensors", manifest("vae")))
    assert (vae.state, vae.part, vae.checkpoints) == ("ok", "vae", ("universal", "gta_drive", "templerun"))
    shapes = manifest("clip_visual") | {"textual.token_embedding.weight": [250002, 1024], "log_scale": []}
    clip = report(sparse(tmp_path / "clip.safetensors", shapes))
    assert (clip.state, clip.part) == ("ok", "image_encoder")
    assert "632,076,800 parameters" in clip.text


def without(shapes, *names):
    return {name: shape for name, shape in shapes.items() if name not in names}


HEAD = "model.head.head.weight"
KEYBOARD = "model.blocks.14.action_model.keyboard_embed.0.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: without(s, HEAD, "model.head.head.bias"), "2 of 1114 tensors missing (head.head"),
        (lambda s: dict(list(s.items())[:700]), "414 of 1114 tensors missing"),
        (lambda s: s | {"model.head.scale": [1]}, "1 unknown (head.scale)"),
        (lambda s: s | {"optimizer.step": [1]}, "1 unknown (optimizer.step)"),
        (lambda s: s | {HEAD: [64, 1024]}, "(head.head.weight: [64, 1024] instead of [64, 1536])"),
        (lambda s: s | {KEYBOARD: [128, 4]}, "keyboard_embed.0.weight: [128, 4] instead of [128, 2])"),
    ],
)
def test_check_says_how_a_transformer_differs(tmp_path, change, said):
    found = report(sparse(tmp_path / "a.safetensors", change(manifest("dit_gta_drive"))))
    assert found.state == "wrong"
    assert found.text.startswith("looks like the transformer for mode gta_drive, but: ")
    assert said in found.text


@pytest.mark.parametrize("dtype", ["F64", "I8", "F8_E4M3"])
def test_check_names_a_wrong_dtype(tmp_path, dtype):
    found = report(sparse(tmp_path / "a.safetensors", manifest("dit_templerun"), dtype))
    assert found.state == "wrong"
    assert "mode templerun, but: 964 not float32, float16 or bfloat16" in found.text
    assert dtype in found.text
    one = sparse(tmp_path / "b.safetensors", manifest("dit_templerun"), {HEAD: dtype})
    assert "1 not float32" in report(one).text and "head.head.weight" in report(one).text


def test_check_knows_files_that_people_try(tmp_path):
    wan = {n: s for n, s in manifest("dit_universal").items() if "action_model" not in n}
    found = report(sparse(tmp_path / "wan.safetensors", wan | {"text_embedding.0.weight": [1536, 4096]}))
    assert found.state == "other" and "without action modules" in found.text
    found = report(sparse(tmp_path / "d.safetensors", {"blocks.0.attn1.to_q.weight": [8, 8]}))
    assert found.state == "other" and "diffusers" in found.text
    found = report(sparse(tmp_path / "e.safetensors", {"bert.embeddings": [8, 8], "bert.pooler": [8]}))
    assert found.state == "other" and "2 tensors (bert.embeddings, bert.pooler)" in found.text


def good_file(tmp_path) -> bytes:
    path = tmp_path / "good.safetensors"
    save_file({"a": torch.ones(3, 5), "b": torch.ones(2, dtype=torch.bfloat16)}, path)
    return path.read_bytes()


def one(dtype="F32", shape=(2,), span=(0, 8), body=8) -> bytes:
    """A file with one tensor "a", right as it is."""
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)}
    return header(json.dumps({"a": entry}).encode(), body)


def header(text: bytes, body: int = 0) -> bytes:
    return len(text).to_bytes(8, "little") + text + bytes(body)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda good: b"", "is empty"),
        (lambda good: good[:-10], "is cut off or damaged, at .* bytes"),
        (lambda good: good[:40], "is cut off or damaged, at 40 bytes"),
        (lambda good: good + b"more", "is cut off or damaged"),
        (lambda good: good[:20] + b"\xff\xff" + good[22:], "is cut off or damaged"),
        (lambda good: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (lambda good: b"\n<!DOCTYPE html><html><title>Sign in</title></html>", "a web page"),
        (lambda good: b"just some words, nothing else", "is neither a safetensors nor a PyTorch file"),
        (lambda good: b"{}", "is neither"),
        (lambda good: header(b"{}[]"), "invalid JSON"),
        (lambda good: one(shape=[3]), "invalid shape"),
        (lambda good: one(dtype="F5"), "unknown variant `F5`"),
    ],
)
def test_damaged_files_are_told_apart(tmp_path, damage, said):
    path = tmp_path / "x.safetensors"
    path.write_bytes(damage(good_file(tmp_path)))
    with pytest.raises(CheckpointError, match=said) as error:
        read_table(path)
    assert "`python -m mgdemo download`" in str(error.value)
    assert report(path).state == "wrong"
    path.write_bytes(one())
    assert read_table(path).tensors["a"].read().tolist() == [0, 0]


def test_a_missing_file_is_reported_not_raised(tmp_path):
    assert "cannot be read: No such file" in report(tmp_path / "none.safetensors").text


class Malice:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('run.txt').touch()",)


def zip_of(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def torch_bytes(content, **options) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: torch_bytes({"a": torch.ones(2), "b": Malice()}), r"holds Python objects \(exec\)"),
        (lambda: torch_bytes(nn.Linear(2, 2)), r"holds Python objects \(torch\.nn"),
        (lambda: pickle.dumps({"a": Malice()}, protocol=2), "was not loaded|not a PyTorch weight file"),
        (lambda: torch_bytes({"lr": 0.1, "step": 3}), r"no tensors by name, only lr, step"),
        (lambda: torch_bytes([torch.ones(2)]), "holds a list"),
        (lambda: torch_bytes({"a": torch.ones(2000)})[:-3000], "is cut off"),
        (lambda: zip_of(word=b"document"), "damaged or not a PyTorch weight file"),
        (lambda: b"\x80\x02 not a pickle at all", "not"),
    ],
)
def test_a_pickle_that_is_not_plain_tensors_is_refused_and_not_run(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    path.write_bytes(content())
    with pytest.raises(CheckpointError, match=said) as error:
        read_table(path)
    assert "\n" not in str(error.value)
    assert report(path).state == "wrong"
    assert not (tmp_path / "run.txt").exists()


@pytest.fixture
def small():
    config = load_config(CONFIGS / "universal.yaml").vae
    config.dim = 4
    torch.manual_seed(0)
    return VAE(config), lambda: meta(config)


def meta(config) -> VAE:
    with torch.device("meta"):
        return VAE(config)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_loading_gives_the_files_numbers(tmp_path, small, kind):
    model, build = small
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_file(model.state_dict(), path)
    else:
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=kind == "zip")
    empty, shares = build(), []
    load_weights(empty, path, "vae", progress=lambda share, text: shares.append(share))
    for name, tensor in empty.state_dict().items():
        assert tensor.device.type == "cpu" and torch.equal(tensor, model.state_dict()[name])
    assert shares == sorted(shares) and shares[-1] == 1 and len(shares) == len(model.state_dict())
    path.unlink()
    path.write_bytes(b"gone")  # what was loaded no longer depends on the file
    assert all(torch.isfinite(tensor).all() for tensor in empty.state_dict().values())


def test_loading_converts_and_strips_the_prefix(tmp_path, small):
    model, build = small
    state = {f"visual.{name}": t.half() for name, t in model.state_dict().items()}
    save_file(state | {"textual.x": torch.ones(2, dtype=torch.int64)}, tmp_path / "w.safetensors")
    empty = build()
    load_weights(empty, tmp_path / "w.safetensors", "image_encoder", dtype=torch.float32)
    for name, tensor in empty.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, state[f"visual.{name}"].float())
    kept = build()
    load_weights(kept, tmp_path / "w.safetensors", "image_encoder")
    assert {tensor.dtype for tensor in kept.state_dict().values()} == {torch.float16}


def test_a_wrong_file_is_named_for_what_it_is_and_the_model_stays_empty(tmp_path):
    path = sparse(tmp_path / "gta.safetensors", manifest("dit_gta_drive"))
    with torch.device("meta"):
        model = Transformer(load_config(CONFIGS / "universal.yaml").transformer)
    said = r"does not fit: 15 of another shape .*\. It is the transformer for mode gta_drive"
    with pytest.raises(CheckpointError, match=said):
        load_weights(model, path, "transformer")
    assert next(model.parameters()).is_meta


def memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_loading_never_holds_a_second_copy(tmp_path, dtype):
    """256 MB of float16 in 16 tensors: the peak of resident memory over what was there before."""
    with torch.device("meta"):
        model = nn.ModuleList(nn.Linear(4096, 2048, bias=False) for _ in range(16))
    names = {name: list(t.shape) for name, t in model.state_dict().items()}
    path = sparse(tmp_path / "big.safetensors", names, "F16")
    with path.open("r+b") as file:  # no zeros: they would be taken for damage
        header = 8 + int.from_bytes(file.read(8), "little")
        file.seek(header)
        file.write(b"\x01" * (path.stat().st_size - header))
    size = sum(prod(shape) for shape in names.values()) * (4 if dtype else 2)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
    load_weights(model, path, "vae", dtype=dtype)
    growth = memory("VmHWM") - before
    assert growth < 1.3 * size  # less, where the process has freed memory to use again


def test_a_folder_is_checked_file_by_file(tmp_path):
    sparse(tmp_path / "vae.safetensors", manifest("vae"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.pth").touch()
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "y.safetensors").touch()
    states = {r.path.name: r.state for r in inspect(tmp_path)}
    assert states == {"x.pth": "wrong", "vae.safetensors": "ok"}
    (tmp_path / "empty").mkdir()
    assert report(tmp_path / "empty").text == "a folder without weight files"
