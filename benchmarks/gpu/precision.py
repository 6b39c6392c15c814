"""The part `precision`: errors beside the same weights in float32."""

from __future__ import annotations

import math
from collections import defaultdict

import torch

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.plays import Play


@torch.inference_mode()
def precision(bench: Bench) -> dict:
    models = {"float32": bench.bare_model(), "plain": bench.bare_model(), bench.name: bench.model}
    pairs = [("plain", "float32"), (bench.name, "float32"), (bench.name, "plain")]
    exact, errors = models["float32"], defaultdict(list)
    for net in (exact.transformer, exact.vae, exact.image_encoder):
        net.float()
    plays = {name: Play(model) for name, model in models.items()}
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for _ in range(min(8, bench.args.blocks)):
            theirs = plays["float32"].world.memory.held()
            for name in models:
                for own, exact in zip(plays[name].world.memory.held(), theirs, strict=True):
                    own.copy_(exact)
            latents = {name: play.latents().float() for name, play in plays.items()}
            video = {name: plays[name].video(made) for name, made in latents.items()}
            for pair in pairs:
                (ours, truth), (seen, right) = ([of[name] for name in pair] for of in (latents, video))
                relative = ((ours - truth).norm() / truth.norm()).item()
                square = (seen - right).square().mean().item()  # of values in [-1, 1]
                errors[pair].append((relative, 10 * math.log10(4 / max(square, 1e-12))))
    rows = []
    for (ours, truth), found in errors.items():
        relative, psnr = zip(*found, strict=True)
        row = {"model": ours, "against": truth, "relative_error": max(relative), "psnr_db": min(psnr)}
        rows.append(row)
    return {"worst": rows}
