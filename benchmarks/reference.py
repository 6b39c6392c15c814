"""The public program beside ours: how fast its two inference loops are on the same device.

`benchmarks.gpu --reference DIR` measures ours, runs this module in a process of its own, and measures ours
again. DIR is the folder Matrix-Game-2 of your own checkout of the public program, whose pipelines run with
random weights of the size that its settings name, and with the actions of our plays:

- batch, as its inference.py does: block after block, and all frames are copied to the host at the end. Beside
  it stands our play whose next block begins before the last one's frames are taken.
- streaming, as its inference_streaming.py does: an action for each block, whose frames are on the host before
  the next one begins. Beside it stands our play of one block after the other.

A time runs from actions to uint8 frames on the host, of blocks with full caches. What is done once does not
count: encoding the start image (what comes of it is random here) and compiling the decoder. What the loops
ask at the keyboard is answered, and no film is drawn. As in the public program, the transformer is in
bfloat16, the decoder in float16 and compiled by max-autotune; --reference-eager does not compile it, which
saves minutes. Without flash-attn the program does not start, so where that is not installed, PyTorch's
attention takes its place, and the report says so.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from benchmarks.energy import Energy
from benchmarks.roofline import Clock
from mgdemo.blocks import LATENTS_PER_BLOCK, frames_in_blocks
from mgdemo.config import CheckpointConfig
from mgdemo.errors import UserError
from mgdemo.random_actions import random_actions

FILES = [
    "pipeline/causal_inference.py",
    "utils/wan_wrapper.py",
    "demo_utils/vae_block3.py",
    "wan/modules/causal_model.py",
]
PACKAGES = {"cv2": "opencv-python", "PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml"}
STEADY = 6  # blocks until all caches are full

Figures = dict[str, float]  # frames_per_second, block_ms, and joules_per_frame where they are counted


def checkout(text: str) -> Path:
    """The folder of the public program, as an argument."""
    folder = Path(text).resolve()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise argparse.ArgumentTypeError(
            f"{text} is not the public program: {missing[0]} is missing. Clone SkyworkAI/Matrix-Game "
            "and give its folder Matrix-Game-2."
        )
    return folder


def beside(
    folder: Path,
    config: CheckpointConfig,
    device: torch.device,
    blocks: int,
    eager: bool,
    ours: Callable[[], dict[str, Figures]],
) -> dict:
    """Both loops of the public program and of ours, which is measured before and after it."""
    before = ours()
    found = in_a_process(folder, config, device, blocks, eager)
    after, theirs = ours(), found.pop("loops")
    return found | {"loops": [compare(loop, theirs[loop], before[loop], after[loop]) for loop in theirs]}


def compare(loop: str, theirs: Figures, *ours: Figures) -> dict[str, str | float | None]:
    """A row: the public program's figures, the means of ours, and how many times as fast we are."""
    row: dict[str, str | float | None] = {"loop": loop}
    for name, short in (("frames_per_second", "fps"), ("block_ms", "ms"), ("joules_per_frame", "joules")):
        own = [figures[name] for figures in ours if name in figures]
        row[f"reference_{short}"] = theirs.get(name)
        row[f"ours_{short}"] = statistics.mean(own) if own else None
    return row | {"ratio": row["ours_fps"] / row["reference_fps"]}


def in_a_process(
    folder: Path, config: CheckpointConfig, device: torch.device, blocks: int, eager: bool
) -> dict:
    """What `measure` finds. Raises UserError."""
    grid = [side // config.vae.spatial_factor for side in (config.height, config.width)]
    asked = {"folder": str(folder), "mode": config.mode, "device": device.type, "eager": eager}
    asked |= {"blocks": blocks, "grid": grid}
    command = [sys.executable, "-m", "benchmarks.reference", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError("The public program failed; what it said last stands above.")
    found = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise UserError(found["error"])
    return found


class Marked(nn.Module):
    """A decoder that says when it has decoded a block."""

    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder, self.done = decoder, lambda: None

    def forward(self, *args):
        made = self.decoder(*args)
        self.done()
        return made


class Program:
    """The public program, imported from the current folder, with random weights."""

    def __init__(self, mode: str, device: torch.device, eager: bool):
        settings = Path(f"configs/inference_yaml/inference_{mode}.yaml")
        if not settings.is_file():
            raise UserError(
                f"The public program lacks {settings}; choose another mode, or complete the checkout."
            )
        self.mode, self.device = mode, device
        self.settings = SimpleNamespace(**yaml.safe_load(settings.read_text()))
        sys.path.insert(0, str(Path.cwd()))
        self.attention = self._attention()
        self.loops = self._import("pipeline.causal_inference")
        wrapper, decoder = self._import("utils.wan_wrapper"), self._import("demo_utils.vae_block3")
        torch.manual_seed(0)
        with device:
            self.generator = wrapper.WanDiffusionWrapper(**self.settings.model_kwargs, is_causal=True)
        self.decoder = decoder.VAEDecoderWrapper()
        for net in (self.generator, self.decoder):
            for weight in net.requires_grad_(False).eval().parameters():
                if weight.dim() > 1 and not weight.any():  # zeros would take less power
                    weight.normal_(std=0.02)
        self.decoder.to(device, torch.float16)
        if not eager:
            self.decoder.compile(mode="max-autotune-no-cudagraphs")

    def _import(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("pipeline", "utils", "demo_utils", "wan"):
                raise UserError(
                    f"The public program lacks its module {error.name}; complete the checkout."
                ) from error
            wanted = PACKAGES.get(package, package)
            raise UserError(
                f"The public program needs the package {wanted}: python -m pip install {wanted}"
            ) from error

    def _attention(self) -> str:
        """What computes attention."""
        if find_spec("flash_attn"):
            newer = " and flash_attn_interface" if find_spec("flash_attn_interface") else ""
            return f"flash-attn {version('flash_attn')}{newer}"
        self._import("diffusers")  # before it can ask for the version of what takes the package's place
        sys.modules["flash_attn"] = module = ModuleType("flash_attn")
        module.__spec__ = ModuleSpec("flash_attn", None)
        module.flash_attn_func = flash_attn_func
        module.flash_attn_varlen_func = flash_attn_varlen_func
        return "scaled_dot_product_attention, since flash-attn is not installed"

    def pipeline(self, name: str) -> nn.Module:
        made = getattr(self.loops, name)(
            self.settings, generator=self.generator, vae_decoder=Marked(self.decoder)
        )
        made.to(device=self.device, dtype=torch.bfloat16)
        made.vae_decoder.to(torch.float16)
        return made

    def inputs(self, blocks: int, grid: Sequence[int]) -> dict:
        """Noise, and as conditions: the actions of the walk, and random numbers for the start image."""
        latents = LATENTS_PER_BLOCK * blocks
        track = random_actions(self.mode, frames_in_blocks(blocks), seed=1)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, device=self.device, dtype=torch.bfloat16)

        def actions(values: np.ndarray) -> Tensor:
            return torch.tensor(values, device=self.device, dtype=torch.bfloat16)[None]

        condition = {"cond_concat": random(1, 20, latents, *grid), "visual_context": random(1, 257, 1280)}
        condition["keyboard_cond"] = actions(track.keyboard)
        if track.mouse is not None:
            condition["mouse_cond"] = actions(track.mouse)
        return {"noise": random(1, 16, latents, *grid), "conditional_dict": condition, "mode": self.mode}

    def batch(self, blocks: int, grid: Sequence[int]) -> Figures:
        pipeline, clock, marks = self.pipeline("CausalInferencePipeline"), Clock(self.device), []
        energy, begin = Energy(self.device), 0.0

        def done() -> None:
            nonlocal energy, begin
            marks.append(clock.mark())
            if len(marks) == STEADY:
                clock.ms(marks[0], marks[-1])  # waits
                energy, begin = Energy(self.device), time.perf_counter()

        pipeline.vae_decoder.done = done
        videos = pipeline.inference(**self.inputs(STEADY + blocks, grid))
        pixels = torch.cat(videos[STEADY:], dim=1).movedim(2, -1).float().add(1).mul(127.5).clip(0, 255)
        frames = pixels.cpu().numpy().astype(np.uint8)[0]
        seconds = time.perf_counter() - begin
        times = [clock.ms(*pair) for pair in pairwise(marks[STEADY - 1 :])]
        return figures(len(frames), seconds, times) | energy.per_frame(len(frames))

    def streaming(self, blocks: int, grid: Sequence[int]) -> Figures:
        inputs = self.inputs(STEADY + blocks, grid)
        track = random_actions(self.mode, frames_in_blocks(STEADY + blocks), seed=1)
        energy, used, begins, ends, frames = Energy(self.device), {}, [], [], 0

        def act(*_, **__) -> dict[str, Tensor]:
            nonlocal energy
            if len(begins) == STEADY:
                energy = Energy(self.device)
            action = track.block(len(begins))
            begins.append(time.perf_counter())
            found = {"keyboard": torch.tensor(action.keyboard[0], device=self.device)}
            if action.mouse is not None:
                found["mouse"] = torch.tensor(action.mouse[0], device=self.device)
            return found

        def show(video: np.ndarray, *_, **__) -> None:
            nonlocal frames, used
            if len(ends) < len(begins):  # at the end comes the whole film, twice
                ends.append(time.perf_counter())
                if len(ends) > STEADY:
                    frames += len(video)
                    used = energy.per_frame(frames)

        self.loops.get_current_action, self.loops.process_video = act, show
        self.loops.input = lambda *_: ""  # go on
        pipeline = self.pipeline("CausalInferenceStreamingPipeline")
        pipeline.inference(**inputs, output_folder="", name="reference")
        if len(ends) < STEADY + blocks:
            raise UserError(
                "The public program's streaming loop does not show its blocks; use a newer checkout."
            )
        times = [1e3 * (end - begin) for begin, end in zip(begins, ends, strict=True)][STEADY:]
        return figures(frames, ends[-1] - begins[STEADY], times) | used


def figures(frames: int, seconds: float, times: Sequence[float]) -> Figures:
    """`times` are those of the blocks, in ms."""
    return {"frames_per_second": frames / seconds, "block_ms": statistics.median(times)}


def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, *_, **__) -> Tensor:
    """[B, L, H, D], as flash-attn takes them."""
    return F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in (q, k, v))).transpose(1, 2)


def flash_attn_varlen_func(q: Tensor, k: Tensor, v: Tensor, *_, **__) -> Tensor:
    """[L, H, D] of one sequence; the loops have no more."""
    return flash_attn_func(q[None], k[None], v[None])[0]


@torch.no_grad()
def measure(asked: dict) -> dict:
    os.chdir(asked["folder"])  # where the program looks for its settings
    program = Program(asked["mode"], torch.device(asked["device"]), asked["eager"])
    size = asked["blocks"], asked["grid"]
    loops = {"batch": program.batch(*size), "streaming": program.streaming(*size)}
    decoder = "as it is written" if asked["eager"] else "compiled by max-autotune, as the program does"
    weights = sum(weight.numel() for weight in program.generator.parameters())
    found = {"attention": program.attention, "decoder": decoder, "transformer_weights": weights}
    return found | {"loops": loops}


def main(text: str) -> None:
    try:
        found = measure(json.loads(text))
    except UserError as error:
        found = {"error": str(error)}
    print(f"\n{json.dumps(found)}")


if __name__ == "__main__":
    main(sys.argv[1])
