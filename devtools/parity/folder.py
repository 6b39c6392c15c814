"""A golden folder: its index, its files, the nets of its weights, and how close an answer comes."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mgdemo.config import ImageEncoderConfig, Optimization, VAEConfig
from mgdemo.config import from_reference as transformer_config
from mgdemo.errors import UserError
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE

# Bounds on the relative RMS of a play's latents; float32 is held to what the index asks of each tensor.
# bfloat16: twice the most that rounding alone makes of the golden nets (1.22e-2 in 72 plays, see `rounding`):
# other nets and other noise lose more. FP8: twice the most measured with e4m3 alone, 2.24e-2; int8 is nearer.
RELATIVE_RMS = {"bfloat16": 2.5e-2, "fp8": 5e-2}
EXACT = {"atol": 0, "rtol": 0}
# What a stage gives inside a pipeline is held to what the folder asks of that stage by itself.
STAGES = {"cond_concat": "vae_encode", "visual_context": "clip"}


class NotUnderstood(UserError):
    """A file that cannot be checked; the message says why."""


@dataclass
class Row:
    """One case: how many tensors were compared, the worst of them, and whether all are close enough."""

    case: str
    tensors: int = 0
    error: float = 0.0  # largest absolute difference
    relative: float = 0.0  # largest relative RMS of the difference
    tolerance: str = "exact"
    ok: bool = True
    note: str = ""  # what was wrong first


class Folder:
    """A golden folder, with the nets that its weights files have been loaded into."""

    def __init__(self, path: Path, device: str, dtype: str, optimization: Optimization | None = None):
        self.path, self.device, self.dtype = path, torch.device(device), getattr(torch, dtype)
        self.optimization = optimization
        eight_bits = optimization is not None and optimization.fp8
        self.low_precision = self.dtype != torch.float32 or eight_bits
        self.relative_rms = RELATIVE_RMS["fp8" if eight_bits else "bfloat16"]
        self.nets: dict[str, nn.Module] = {}
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise NotUnderstood(
                f"Device {device} cannot be used here; leave --device out for the CPU."
            ) from error
        try:
            self.index: dict[str, dict] = json.loads((path / "index.json").read_text())
            self.pictures = {i["png"] for e in self.index.values() for i in e.get("images", {}).values()}
        except (OSError, ValueError, AttributeError, KeyError) as error:
            reason = f"{path / 'index.json'} is missing or damaged; name a folder of golden files."
            raise NotUnderstood(reason) from error

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a file, all finite and as the index lists them."""
        if name not in self.index:
            raise NotUnderstood(f"{name} is not in index.json")
        if not (self.path / name).is_file():
            raise NotUnderstood(f"{name} is needed and not in the folder")
        tensors, listed = load_file(self.path / name, device=str(self.device)), self.index[name]["tensors"]
        found = {key: [list(t.shape), str(t.dtype).removeprefix("torch.")] for key, t in tensors.items()}
        if differ := [key for key in found.keys() | listed if found.get(key) != listed.get(key)]:
            raise NotUnderstood(f"{name} and index.json differ in {some(differ)}")
        if wrong := [key for key, t in tensors.items() if not t.isfinite().all()]:
            raise NotUnderstood(f"{name} has values that are not finite in {some(wrong)}")
        return tensors

    def net(self, name: str) -> nn.Module:
        """The net of a weights file, all keys and shapes agreeing."""
        if name not in self.nets:
            weights = {bare(key): value for key, value in self.tensors(name).items()}
            net = build(self.index[name]["config"], weights)
            net.load_state_dict(weights)
            self.nets[name] = net.eval().requires_grad_(False).to(self.device, self.dtype)
        return self.nets[name]


class Case:
    """One file: its index entry, its tensors (noting which are read), and the rows it gives."""

    def __init__(self, folder: Folder, name: str):
        self.folder, self.name, self.entry = folder, name, folder.index.get(name, {})
        self.tensors = {} if name.endswith(".json") else folder.tensors(name)
        self.unread = set(self.tensors)
        self.rows: dict[str, Row] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise NotUnderstood(f"{self.name} has no tensor {name}")
        self.unread.discard(name)
        return self.tensors[name]

    def get(self, name: str) -> Tensor | None:
        return self[name] if name in self.tensors else None

    def named(self, prefix: str) -> list[str]:
        return [name for name in self.tensors if name.startswith(prefix)]

    def row(self, part: str) -> Row:
        return self.rows.setdefault(part, Row(f"{self.name.removesuffix('.safetensors')} {part}"))

    def fail(self, part: str, note: str) -> None:
        row = self.row(part)
        row.ok, row.error, row.relative, row.note = False, math.inf, math.inf, row.note or note

    def compare(self, name: str, ours, part: str = "", golden=None, tolerance: dict | None = None) -> None:
        """Hold our value of tensor `name` against the golden one, as one more tensor of row `part`."""
        ours, golden = (
            torch.as_tensor(value).detach().cpu().double()
            for value in (ours, self[name] if golden is None else golden)
        )
        row = self.row(part or name)
        row.tensors += 1
        if ours.shape != golden.shape or not golden.numel():
            return self.fail(part or name, f"{name} is {list(ours.shape)}, not {list(golden.shape)}")
        difference, scale = (ours - golden).abs(), golden.square().mean().sqrt().item() or 1.0
        error, relative = difference.max().item(), difference.square().mean().sqrt().item() / scale
        if self.folder.low_precision:
            row.tolerance, ok = f"rms {self.folder.relative_rms:g}", relative <= self.folder.relative_rms
        else:
            allowed = tolerance or self.tolerance(name)
            atol, rtol = allowed["atol"], allowed.get("rtol", 0)
            row.tolerance = f"{atol:g}" + (f" + {rtol:g} rel" if rtol else "") if atol or rtol else "exact"
            ok = bool((difference <= atol + rtol * golden.abs()).all())
        # A NaN is never close enough, and it stays in the table.
        row.error, row.relative = (
            float(np.maximum(*pair)) for pair in ((row.error, error), (row.relative, relative))
        )
        if not ok:
            where = difference.nan_to_num(math.inf, math.inf).argmax()
            place = [int(i) for i in torch.unravel_index(where, difference.shape)]
            row.ok, row.note = False, row.note or f"{name} at {place}"
        return None

    def tolerance(self, name: str) -> dict:
        """What the index asks of a tensor, or else of its stage, or else of the file's main result."""
        given = self.entry["tolerance"]
        if given == "exact" or "atol" in given:
            return EXACT if given == "exact" else given
        stage = STAGES.get(name, name)
        stages = [e["tolerance"] for e in self.folder.index.values() if e.get("kind") == stage]
        return given.get(name) or (stages or [given["latents"]])[0]


def some(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def bare(key: str) -> str:
    """A parameter's name without the prefix that its published file gives it."""
    return key.removeprefix("model.").removeprefix("visual.")


def build(config: dict, parameters: dict[str, Tensor]) -> nn.Module:
    """The net with these parameters; sizes come from `config`, the published ones where it is silent."""

    def sizes(of: type) -> dict:
        return {f.name: config[f.name] for f in fields(of) if f.name in config}

    if "img_emb.proj.0.weight" in parameters:
        return Transformer(transformer_config(config, img_dim=len(parameters["img_emb.proj.0.weight"])))
    if "cls_embedding" in parameters:
        return ImageEncoder(ImageEncoderConfig(**sizes(ImageEncoderConfig)))
    if "encoder.conv1.weight" not in parameters or config.get("attn_scales"):
        raise NotUnderstood("its parameters are those of no known net")
    halved = {"temporal_downsample": config["temperal_downsample"]} if config else {}
    return VAE(VAEConfig(**sizes(VAEConfig), **halved))
