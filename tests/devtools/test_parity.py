import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from devtools import parity
from devtools.parity.__main__ import main as command
from devtools.parity.kinds import KINDS

GOLDENS = Path(__file__).parent.parent / "goldens"
INDEX = json.loads((GOLDENS / "index.json").read_text())
NETS = ["weights_dit_gta_drive", "weights_vae", "weights_clip_visual"]
PLAY = ["pipeline_gta_drive", *NETS]
ENCODE, DECODE = ["vae_encode", "weights_vae"], ["vae_decode", "weights_vae"]
CLIP = ["clip", "weights_clip_visual"]
FORCED = ["dit_gta_drive_blockwise", "weights_dit_gta_drive"]
TRACED = ["dit_universal_blockwise", "weights_dit_universal"]


class Copy:
    """A golden folder with a few of the files, to be damaged."""

    def __init__(self, path: Path, *names: str):
        self.path = path
        self.index = {f"{name}.safetensors": INDEX[f"{name}.safetensors"] for name in names}
        pictures = [i["png"] for entry in self.index.values() for i in entry.get("images", {}).values()]
        for name in [*self.index, *pictures]:
            shutil.copy(GOLDENS / name, path)

    def edit(self, name: str, change) -> None:
        """Let `change(tensors)` alter a file; the index goes along."""
        file = self.path / f"{name}.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)
        listed = {k: [list(t.shape), str(t.dtype).removeprefix("torch.")] for k, t in tensors.items()}
        self.index[file.name] = self.index[file.name] | {"tensors": listed}

    def check(self, **options) -> list[parity.Row]:
        """Run parity; the exit code must tell whether all rows are right."""
        (self.path / "index.json").write_text(json.dumps(self.index))
        rows = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                parity, "check", lambda *a, check=parity.check, **k: rows.extend(check(*a, **k)) or rows
            )
            assert parity.main(self.path, **options) == (0 if all(row.ok for row in rows) else 1)
        return rows

    def failures(self, **options) -> dict[str, str]:
        return {row.case: row.note for row in self.check(**options) if not row.ok}


@pytest.fixture
def copy(tmp_path):
    return lambda *names: Copy(tmp_path, *names)


def test_everything_equals_the_reference(tmp_path, capsys):
    assert parity.main(GOLDENS, json_file=tmp_path / "rows.json") == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert all(row["ok"] and row["error"] < 2e-5 for row in rows)  # far below what the goldens allow
    *table, last = capsys.readouterr().out.splitlines()
    assert last == f"{len(rows)} passed, 0 failed"
    assert len(table) == 1 + len(rows) and len({line.rindex(" yes") for line in table[1:]}) == 1
    # Each file gave at least one row.
    files = [name.removesuffix(".safetensors") for name in INDEX]
    files += [p.relative_to(GOLDENS).as_posix() for p in GOLDENS.rglob("*.json") if p.name != "index.json"]
    assert {row["case"].split(" ")[0] for row in rows} == set(files)
    assert {entry["kind"] for entry in INDEX.values()} == set(KINDS)


def test_optimised_plays_equal_the_reference(tmp_path):
    assert parity.main(GOLDENS, optimization="", json_file=tmp_path / "rows.json") == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    plays = {
        name.removesuffix(".safetensors")
        for name, e in INDEX.items()
        if e["kind"] in ("pipeline", "streaming")
    }
    assert {row["case"].split(" ")[0] for row in rows} == plays
    assert all(row["ok"] and row["error"] < 1e-5 for row in rows)


def test_whatever_the_files_are_called(copy):
    folder = copy(*PLAY, "streaming_gta_drive")
    text = json.dumps(folder.index)
    for name in sorted(folder.index, key=len, reverse=True):
        (folder.path / name).rename(folder.path / f"{name[:-12]}-2.safetensors")
        text = text.replace(name, f"{name[:-12]}-2.safetensors")
    folder.index = json.loads(text)
    rows = folder.check()
    assert len(rows) == 13 and all(row.ok for row in rows)


def test_a_play_in_bfloat16_is_judged_by_its_relative_rms(copy):
    folder = copy(*PLAY, "streaming_gta_drive", "vae_decode")
    rows = folder.check(dtype="bfloat16")
    assert [row.case for row in rows] == ["pipeline_gta_drive latents", "streaming_gta_drive latents"]
    assert all(row.ok and 1e-3 < row.relative < 2e-2 and row.error > 1e-3 for row in rows)
    folder.edit("pipeline_gta_drive", lambda t: t["latents"].mul_(1.04))
    assert list(folder.failures(dtype="bfloat16")) == ["pipeline_gta_drive latents"]


@pytest.mark.parametrize(
    ("names", "file", "key"),
    [
        (DECODE, "weights_vae", "decoder.middle.0.residual.2.weight"),
        (ENCODE, "weights_vae", "encoder.conv1.bias"),
        (CLIP, "weights_clip_visual", "visual.transformer.1.attn.proj.bias"),
        (FORCED, "weights_dit_gta_drive", "model.blocks.0.action_model.keyboard_attn_kv.weight"),
        (PLAY, "weights_dit_gta_drive", "model.head.head.weight"),
    ],
)
def test_a_perturbed_weight_is_noticed(copy, names, file, key):
    folder = copy(*names)
    folder.edit(file, lambda t: t[key].flatten()[0].add_(0.01))
    assert folder.failures()


@pytest.mark.parametrize(
    ("names", "key", "by"),
    [
        (DECODE, "video", 5e-4),
        (ENCODE, "clip.latents", 3e-4),
        (ENCODE, "image.cond_concat", 3e-4),
        (ENCODE, "std", 3e-4),
        (CLIP, "preprocessed", 2e-3),
        (CLIP, "features", 2e-3),
        (CLIP, "features_all_blocks", 2e-3),
        (FORCED, "flow", 3e-4),
        (FORCED, "x0", 3e-4),
        (FORCED, "cache_end_indices", 1),
        (FORCED, "cache.layer0.keyboard_v", 3e-4),
        (TRACED, "trace.b3c0.block1.after_action", 3e-4),
        (PLAY, "latents", 5e-4),
        (PLAY, "video_strided", 2e-3),
        (PLAY, "visual_context", 2e-3),
        (PLAY, "x0", 5e-4),
        (PLAY, "sigmas", 1e-5),
        (PLAY, "keyboard_cond", 1e-6),
        (["streaming_gta_drive", *PLAY], "block_mouse", 1e-6),
        (["dit_universal_fullgrid", "weights_dit_universal"], "flow_strided", 5e-4),
        (["scheduler"], "warped_1000_750_500_250", 1e-2),
        (["scheduler"], "x0", 1e-4),
        (["actions"], "templerun.seed42.keyboard", 1e-6),
        (["actions"], "window.latent_frame_to_pixel_frames", 1),
        (["preprocess"], "portrait.crop_box_int", 1),
        (["preprocess"], "tiny.out_352x640_strided", 1e-5),
    ],
)
def test_a_wrong_result_is_noticed_where_it_is(copy, names, key, by):
    folder = copy(*names)
    folder.edit(names[0], lambda t: t[key].flatten()[-1].add_(by))
    failures = folder.failures()
    assert list(failures.values()) and all(key in note for note in failures.values())


def nan(tensors, key):
    tensors[key].flatten()[3] = torch.nan


@pytest.mark.parametrize(
    ("names", "file", "change", "said"),
    [
        (DECODE, "vae_decode", lambda t: nan(t, "video"), "not finite in video"),
        (
            DECODE,
            "weights_vae",
            lambda t: nan(t, "encoder.conv1.weight"),
            "not finite in encoder.conv1.weight",
        ),
        (DECODE, "vae_decode", lambda t: t["block_frames"].add_(1), "split_sizes"),
        (CLIP, "clip", lambda t: t.update(extra=torch.ones(2)), "nothing checks its extra"),
        (CLIP, "clip", lambda t: t.pop("features"), "no tensor features"),
        (CLIP, "weights_clip_visual", lambda t: t.pop("visual.head"), "Missing key"),
        (CLIP, "weights_clip_visual", lambda t: t.update(more=torch.ones(2)), "Unexpected key"),
        (FORCED, "dit_gta_drive_blockwise", lambda t: t.update(x=t["x"][:4].clone()), "flow is [4, 3"),
        (
            TRACED,
            "dit_universal_blockwise",
            lambda t: t.update({"trace.b9c0.head_out": torch.ones(2)}),
            "b9c0",
        ),
        (["actions"], "actions", lambda t: t.update({"universal.speed": torch.ones(2)}), "universal.speed"),
        (["actions"], "actions", lambda t: t.update({"moon.seed1.keyboard": torch.ones(2, 4)}), "moon"),
    ],
)
def test_a_file_with_the_wrong_content_is_noticed(copy, names, file, change, said):
    folder = copy(*names)
    folder.edit(file, change)
    assert any(said in note for note in folder.failures().values())


def test_a_nan_in_our_result_is_no_match(copy):
    folder = copy(*DECODE)
    folder.edit("weights_vae", lambda t: t["decoder.conv1.weight"].fill_(3e38))
    row = next(row for row in folder.check() if row.case == "vae_decode whole")
    assert not row.ok and math.isnan(row.error) and row.note.startswith("video at")


@pytest.mark.parametrize("keep", [0, 7, 500, 150_000])
def test_a_truncated_file_is_noticed(copy, keep):
    folder = copy(*DECODE)
    file = folder.path / "vae_decode.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert list(folder.failures()) == ["vae_decode.safetensors (file)"]


def test_a_damaged_or_missing_picture_is_noticed(copy):
    folder = copy("preprocess")
    picture = folder.path / "preprocess_tiny.png"
    picture.write_bytes(picture.read_bytes()[:-20])
    assert "not the picture" in folder.failures()["preprocess.safetensors (file)"]
    picture.unlink()
    assert "preprocess_tiny.png" in folder.failures()["preprocess.safetensors (file)"]


@pytest.mark.parametrize("name", ["notes.bin", "more.safetensors", "stray.png", "deep/er/x.pt"])
def test_an_unknown_file_is_noticed(copy, name):
    folder = copy("scheduler")
    (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(GOLDENS / "scheduler.safetensors", folder.path / name)
    assert folder.failures() == {f"{name} (file)": f"{name} is not in index.json"}


def test_prose_is_no_golden_file(copy):
    folder = copy("scheduler")
    (folder.path / "README.md").write_text("What these are.")
    (folder.path / ".gitattributes").write_text("* binary")
    assert not folder.failures()


def test_an_unknown_kind_is_noticed(copy):
    folder = copy("scheduler")
    folder.index["scheduler.safetensors"] = folder.index["scheduler.safetensors"] | {"kind": "telepathy"}
    assert folder.failures() == {"scheduler.safetensors (file)": "its kind, 'telepathy', is not known"}


def test_a_file_that_differs_from_its_index_is_noticed(copy):
    folder = copy("scheduler")
    tensors = dict(folder.index["scheduler.safetensors"]["tensors"], sigmas=[[999], "float32"])
    folder.index["scheduler.safetensors"] = folder.index["scheduler.safetensors"] | {"tensors": tensors}
    assert "differ in sigmas" in folder.failures()["scheduler.safetensors (file)"]


@pytest.mark.parametrize("missing", [*NETS, "pipeline_gta_drive"])
def test_a_missing_dependency_is_named(copy, missing):
    folder = copy(*PLAY, "streaming_gta_drive")
    (folder.path / f"{missing}.safetensors").unlink()
    assert f"{missing}.safetensors is needed" in folder.failures()["streaming_gta_drive.safetensors (file)"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("manifests/dit_templerun.json", '"model.blocks.29.norm3.bias"', '"model.blocks.30.norm3.bias"'),
        ("manifests/dit_universal.json", '"total_parameters": 1619242304', '"total_parameters": 1619242305'),
        ("manifests/vae.json", "2.8184", "2.8185"),
        ("manifests/vae.json", '"encoder.conv1.bias"', '"encoder.conv1.bia"'),
        ("manifests/clip_visual.json", "1280", "1281"),
        ("manifests/clip_visual.json", '"keys"', '"kees"'),
        ("manifests/vae.json", "{", "{{"),
        ("actions.json", "-0.10000000149011612", "-0.11"),
        ("actions.json", '"i+w"', '"x+w"'),
        ("dit_gta_drive.config.json", '"ffn_dim": 104', '"ffn_dim": 105'),
    ],
)
def test_an_altered_json_file_is_noticed(copy, file, old, new):
    folder = copy("weights_dit_gta_drive")
    (folder.path / file).parent.mkdir(exist_ok=True)
    text = (GOLDENS / file).read_text()
    (folder.path / file).write_text(text)
    assert not folder.failures()
    assert old in text
    (folder.path / file).write_text(text.replace(old, new))
    assert all(file.removesuffix(".json") in case for case in folder.failures()) and folder.failures()


@pytest.mark.parametrize("index", [None, "", "[]", '{"a": 1}', '{"a": {"images": {"b": {}}}}'])
def test_without_an_index_nothing_passes(tmp_path, capsys, index):
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    assert parity.main(tmp_path) == 1
    assert "name a folder of golden files" in capsys.readouterr().out


def test_an_empty_folder_does_not_pass(tmp_path):
    (tmp_path / "index.json").write_text("{}")
    assert parity.main(tmp_path) == 1


def test_the_command_passes_its_options_on(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(parity, "main", lambda folder, **options: calls.append((folder, options)) or 1)
    for options in (
        ["--device", "cuda", "--dtype", "bfloat16"],
        ["--optimize", "--optimization", "no-kernels"],
        ["--optimize"],
    ):
        assert command([str(tmp_path), *options]) == 1
    plain = {"device": "cpu", "dtype": "float32", "optimization": None, "json_file": None}
    assert calls == [
        (tmp_path, plain | {"device": "cuda", "dtype": "bfloat16"}),
        (tmp_path, plain | {"optimization": "no-kernels"}),
        (tmp_path, plain | {"optimization": ""}),
    ]


def test_the_package_does_not_carry_it():
    import mgdemo

    assert not (Path(mgdemo.__file__).parent / "parity").exists()
