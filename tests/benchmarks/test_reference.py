"""The public program beside ours, with a stand-in for it that the tests write."""

import json
import sys
from textwrap import dedent

import pytest
import torch

from benchmarks import reference
from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import bench
from devtools.tiny import tiny_config
from mgdemo.blocks import frames_in_blocks
from mgdemo.errors import UserError
from mgdemo.random_actions import random_actions

BLOCKS = reference.STEADY + 2
OWN = ("diffusers", "flash_attn", "utils", "demo_utils", "wan", "pipeline")  # what it imports
PROGRAM = {
    "diffusers.py": "",
    "utils/visualize.py": """
        def process_video(*args, **kwargs):
            raise AssertionError("draws a film")
    """,
    "utils/wan_wrapper.py": """
        import torch
        from flash_attn import flash_attn_func, flash_attn_varlen_func

        class WanDiffusionWrapper(torch.nn.Module):
            def __init__(self, model_config, is_causal):
                super().__init__()
                assert (model_config, is_causal) == ("configs/universal", True)
                self.model = torch.nn.Linear(3, 4)
                torch.nn.init.zeros_(self.model.weight)
    """,
    "demo_utils/vae_block3.py": """
        import torch

        class VAEDecoderWrapper(torch.nn.Module):
            def compile(self, mode):
                assert mode == "max-autotune-no-cudagraphs"
                open("compiled", "w").close()

            def forward(self, latents, first):
                frames = torch.zeros(1, 4 * latents.shape[2] - 3 * first, 3, 16, 16)
                return frames.to(latents.device), None
    """,
    "wan/modules/causal_model.py": "",
    "pipeline/causal_inference.py": """
        import json
        import numpy as np
        import torch
        from utils.visualize import process_video

        def get_current_action(mode):
            raise AssertionError("asks at the keyboard")

        class CausalInferencePipeline(torch.nn.Module):
            def __init__(self, settings, generator, vae_decoder):
                super().__init__()
                assert generator.model.weight.any() and settings.context_noise == 0
                self.generator, self.vae_decoder = generator, vae_decoder

            def blocks(self, noise):
                for i, part in enumerate(noise.split(3, dim=2)):
                    yield i, self.vae_decoder(part, i == 0)[0]

            def inference(self, noise, conditional_dict, mode):
                assert mode == "universal" and noise.shape[3:] == (4, 6) and noise.dtype == torch.bfloat16
                assert conditional_dict["cond_concat"].shape == (1, 20, *noise.shape[2:])
                acts = {name: conditional_dict[name].tolist() for name in ("keyboard_cond", "mouse_cond")}
                with open("batch.json", "w") as file:
                    json.dump(acts, file)
                return [video for _, video in self.blocks(noise)]

        class CausalInferenceStreamingPipeline(CausalInferencePipeline):
            def inference(self, noise, conditional_dict, output_folder, name, mode):
                acts, film = [], []
                for i, video in self.blocks(noise):
                    action = get_current_action(mode=mode)
                    acts.append([action["keyboard"].tolist(), action["mouse"].tolist()])
                    film.append(video[0].permute(0, 2, 3, 1).byte().numpy())
                    process_video(film[-1], output_folder + f"/{name}_current.mp4", process_icon=False)
                    if input("Go on?") == "n":
                        break
                with open("streaming.json", "w") as file:
                    json.dump(acts, file)
                for name in ("icon", "plain"):
                    process_video(np.concatenate(film), name)
    """,
    "configs/inference_yaml/inference_universal.yaml": """
        context_noise: 0
        model_kwargs: {model_config: configs/universal}
    """,
}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The folder of a stand-in, beside which our tiny model is measured; a function that runs the command."""
    monkeypatch.setattr(bench, "config_named", lambda name: tiny_config(name.removesuffix("-tiny")))
    folder, file = tmp_path / "Matrix-Game-2", tmp_path / "gpu.json"
    for name, text in PROGRAM.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))

    def measure(*more, parts=("roofline",)):
        options = ["--device", "cpu", "--blocks", "2", "--modes", "universal-tiny+none", "--json", str(file)]
        failed = gpu.main([*options, "--parts", *parts, "--reference", str(folder), *more])
        return failed, json.loads(file.read_text())["runs"]["universal-tiny+none"]

    return folder, measure


def test_both_loops_stand_beside_ours_with_the_same_actions(program, capsys):
    folder, measure = program
    failed, run = measure()
    assert failed == 0 and set(run) == {"roofline", "reference"}
    found = run["reference"]
    assert "flash-attn is not installed" in found["attention"]
    assert "compiled" in found["decoder"] and (folder / "compiled").exists()
    assert found["transformer_weights"] == 16
    assert [row["loop"] for row in found["loops"]] == ["batch", "streaming"]
    for row in found["loops"]:
        assert row["ratio"] == pytest.approx(row["ours_fps"] / row["reference_fps"])
        assert min(row["ours_ms"], row["reference_ms"], row["ratio"]) > 0
        assert row["ours_joules"] is row["reference_joules"] is None  # on a CPU
    track = random_actions("universal", frames_in_blocks(BLOCKS), seed=1)
    batch = json.loads((folder / "batch.json").read_text())
    assert batch["keyboard_cond"] == [track.keyboard.tolist()]
    assert torch.tensor(batch["mouse_cond"][0]).allclose(torch.tensor(track.mouse), atol=1e-3)
    acts = json.loads((folder / "streaming.json").read_text())
    blocks = [track.block(i) for i in range(BLOCKS)]
    assert acts == [[block.keyboard[0].tolist(), block.mouse[0].tolist()] for block in blocks]
    printed = capsys.readouterr().out
    assert "universal-tiny+none: reference" in printed and "ratio" in printed


def test_a_row_has_the_means_of_ours_before_and_after():
    theirs = {"frames_per_second": 10.0, "block_ms": 1200.0, "joules_per_frame": 40.0}
    before = {"frames_per_second": 50.0, "block_ms": 240.0, "joules_per_frame": 8.0}
    after = {"frames_per_second": 70.0, "block_ms": 200.0, "joules_per_frame": 6.0}
    row = reference.compare("batch", theirs, before, after)
    assert row["ratio"] == 6 and (row["ours_fps"], row["ours_ms"], row["ours_joules"]) == (60, 220, 7)
    assert (row["reference_fps"], row["reference_ms"], row["reference_joules"]) == (10, 1200, 40)


def test_a_folder_that_is_no_checkout_is_refused_before_anything_is_measured(tmp_path, capsys):
    with pytest.raises(SystemExit):
        gpu.parse(["--reference", str(tmp_path)])
    said = capsys.readouterr().err
    assert "pipeline/causal_inference.py is missing" in said and "Matrix-Game-2" in said


def test_a_program_that_fails_stops_no_other_part(program):
    folder, measure = program
    (folder / "utils/visualize.py").write_text("import no_such.package")
    failed, run = measure("--reference-eager")
    cure = "The public program needs the package no_such: python -m pip install no_such"
    assert failed == 1 and run["reference"] == {"error": f"UserError: {cure}"} and run["roofline"]["stages"]
    (folder / "utils/visualize.py").write_text("raise RuntimeError('no kernel image')")
    with pytest.raises(UserError, match="what it said last stands above"):
        reference.in_a_process(folder, tiny_config(), torch.device("cpu"), 1, eager=True)


@pytest.mark.parametrize(
    ("name", "before", "after", "cure"),
    [
        ("utils/wan_wrapper.py", "import torch", "import torch, cv2", "pip install opencv-python"),
        (
            "utils/wan_wrapper.py",
            "import torch",
            "import torch, wan.modules.t5",
            "lacks its module wan.modules.t5",
        ),
        (
            "pipeline/causal_inference.py",
            "process_video(film",
            "film[99:] and process_video(film",
            "use a newer",
        ),
        ("configs/inference_yaml/inference_universal.yaml", "", None, "lacks .*inference_universal.yaml"),
    ],
)
def test_what_a_checkout_lacks_is_named_with_the_cure(program, monkeypatch, name, before, after, cure):
    folder, _ = program
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    if after is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text((folder / name).read_text().replace(before, after, 1))
    asked = {
        "folder": folder,
        "mode": "universal",
        "device": "cpu",
        "grid": (4, 6),
        "blocks": 1,
        "eager": True,
    }
    try:
        with pytest.raises(UserError, match=cure):
            reference.measure(asked)
    finally:
        for module in [found for found in sys.modules if found.partition(".")[0] in OWN]:
            del sys.modules[module]


def test_attention_without_flash_attn_is_attention():
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 4, 8), torch.randn(2, 5, 4, 8), torch.randn(2, 5, 4, 8)
    weights = torch.einsum("blhd,bmhd->bhlm", q, k).div(8**0.5).softmax(-1)
    expected = torch.einsum("bhlm,bmhd->blhd", weights, v)
    assert torch.allclose(reference.flash_attn_func(q, k, v), expected, atol=1e-5)
    assert torch.allclose(reference.flash_attn_varlen_func(q[0], k[0], v[0]), expected[0], atol=1e-5)
