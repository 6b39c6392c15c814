"""Structured configuration of a checkpoint: architecture, sampling, picture and files.

Every size the model uses comes from here. The field names of `TransformerConfig` and `ActionConfig` are
those of the published `config.json` files, so such a file can be read as it is (`from_reference`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mgdemo.actions import MODES
from mgdemo.blocks import FPS, FRAMES_PER_LATENT, LATENTS_PER_BLOCK
from mgdemo.errors import UserError
from mgdemo.paths import CONFIGS


@dataclass
class ActionConfig:
    """The action modules: keyboard (and, where `enable_mouse`, mouse) injection in the layers `blocks`."""

    blocks: list[int] = MISSING
    keyboard_dim_in: int = MISSING
    enable_mouse: bool = True
    mouse_dim_in: int = 2
    heads_num: int = 16
    hidden_size: int = 128  # width of one embedded keyboard frame
    img_hidden_size: int = 1536  # the transformer's width
    keyboard_hidden_dim: int = 1024
    mouse_hidden_dim: int = 1024
    rope_dim_list: list[int] = field(default_factory=lambda: [8, 28, 28])
    mouse_qk_dim_list: list[int] = field(default_factory=lambda: [8, 28, 28])
    rope_theta: float = 256.0
    windows_size: int = 3  # latent frames of actions that one latent frame reads
    vae_time_compression_ratio: int = 4
    patch_size: list[int] = field(default_factory=lambda: [1, 2, 2])
    qk_norm: bool = True
    qkv_bias: bool = False


@dataclass
class TransformerConfig:
    """The causal diffusion transformer."""

    action_config: ActionConfig = field(default_factory=ActionConfig)
    dim: int = 1536
    ffn_dim: int = 8960
    freq_dim: int = 256
    in_dim: int = 36
    out_dim: int = 16
    num_heads: int = 12
    num_layers: int = 30
    local_attn_size: int = 6  # latent frames that attention sees, the block itself included
    img_dim: int = 1280  # width of the image encoder's tokens
    eps: float = 1e-6
    patch_size: list[int] = field(default_factory=lambda: [1, 2, 2])
    frames_per_block: int = LATENTS_PER_BLOCK


@dataclass
class VAEConfig:
    """The causal 3D VAE. `dim_mult` has one entry per resolution, `temporal_downsample` one per halving."""

    dim: int = 96
    z_dim: int = 16
    dim_mult: list[int] = field(default_factory=lambda: [1, 2, 4, 4])
    num_res_blocks: int = 2
    temporal_downsample: list[bool] = field(default_factory=lambda: [False, True, True])
    pixel_shuffle: int = 1  # side of the pixel squares folded into channels at the image end
    latent_mean: list[float] = field(
        default_factory=lambda: [
            -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
            0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
        ]
    )  # fmt: skip
    latent_std: list[float] = field(
        default_factory=lambda: [
            2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
            3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
        ]
    )  # fmt: skip

    @property
    def spatial_factor(self) -> int:
        return self.pixel_shuffle * 2 ** len(self.temporal_downsample)

    @property
    def temporal_factor(self) -> int:
        return 2 ** sum(self.temporal_downsample)


@dataclass
class ImageEncoderConfig:
    """The CLIP vision transformer."""

    image_size: int = 224
    patch_size: int = 14
    dim: int = 1280
    mlp_ratio: int = 4
    out_dim: int = 1024
    num_heads: int = 16
    num_layers: int = 32
    norm_eps: float = 1e-5


@dataclass
class SamplingConfig:
    """How blocks are sampled; `denoising_steps` index a table of 1000 shifted timesteps."""

    denoising_steps: list[int] = field(default_factory=lambda: [1000, 666, 333])
    timestep_shift: float = 5.0
    noise_scale: float = 1.0  # of the noise mixed in between steps (S_noise, Karras et al., 2022)
    # Blocks without keys that change by less are not remembered (`mgdemo.model.moment`): root mean square, in
    # standard deviations of the latents; 0: all are remembered.
    still: float = 0.0


@dataclass
class FilesConfig:
    """Where the weights are: paths relative to the checkpoint's folder or repository."""

    repo: str = ""  # Hub repository; empty for an embedded checkpoint
    folder: str = ""  # for an embedded checkpoint: folder relative to the repository's root
    transformer: str = MISSING
    vae: str = MISSING
    image_encoder: str = MISSING
    revision: str = "main"  # the commit of the repository that is fetched
    sha256: dict[str, str] = field(default_factory=dict)  # of the published files, by part


@dataclass
class CheckpointConfig:
    """Everything needed to build, find and play one checkpoint."""

    name: str = MISSING
    title: str = MISSING
    mode: str = MISSING
    note: str = ""  # one sentence for the page, e.g. that it is a preview
    needs: str = ""  # what it takes to get and to play it
    height: int = 352
    width: int = 640
    fps: int = FPS
    files: FilesConfig = field(default_factory=FilesConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    image_encoder: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def embedded(self) -> bool:
        return not self.files.repo


@dataclass(frozen=True)
class Optimization:
    """What makes a model faster or smaller."""

    kernels: bool = True  # of our own, in Triton, on an NVIDIA GPU
    graphs: bool = True  # passes and decoding captured as CUDA graphs
    fp8: bool = False  # the transformer's large linear layers in 8 bits; needs compute capability 8.9
    int8: bool = False  # the decoder's large convolutions in 8 bits
    low_vram: bool = False  # what only the start needs waits on the host; no block is regenerated

    @property
    def eight_bits(self) -> bool:
        """Whether frames differ by more than rounding: only where that was asked for."""
        return self.fp8 or self.int8

    @classmethod
    def parse(cls, text: str) -> Optimization:
        """The defaults, changed by words joined with commas: "fp8", "low-vram", "no-graphs"; "none" first
        leaves out all. Raises ConfigError."""
        names = [field.name.replace("_", "-") for field in fields(cls)]
        chosen: dict[str, bool] = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            name = word.removeprefix("no-")
            if word == "none":
                chosen |= {name.replace("-", "_"): False for name in names}
            elif name in names:
                chosen[name.replace("-", "_")] = name == word
            else:
                raise ConfigError(
                    f'"{word}" is not an optimization; there are {", ".join(names)}, each also with '
                    "no- before it, and none."
                )
        return cls(**chosen)


class ConfigError(UserError):
    """A configuration file that cannot be used; the message names the file and the cure."""


def load_config(path: str | Path) -> CheckpointConfig:
    """Read a checkpoint's YAML. Only for files of the operator's own: OmegaConf resolves interpolations."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(CheckpointConfig), OmegaConf.load(path))
        config = cast(CheckpointConfig, OmegaConf.to_object(merged))
    except (OSError, YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: {reason}; compare it with the files in {CONFIGS.name}/.") from error
    if problem := _problem(config):
        raise ConfigError(f"{path}: {problem}.")
    return config


def _problem(config: CheckpointConfig) -> str | None:
    """What the types cannot say."""
    steps, net = config.sampling.denoising_steps, config.transformer
    cell = config.vae.spatial_factor * net.patch_size[-1]
    if config.mode not in MODES:
        return f"mode is {config.mode!r}; it must be one of {', '.join(MODES)}"
    if not steps or any(not 1 <= step <= 1000 for step in steps) or sorted(steps, reverse=True) != steps:
        return f"sampling.denoising_steps is {steps}; it must be a falling list of numbers from 1 to 1000"
    if config.height % cell or config.width % cell:
        return f"the picture is {config.width}x{config.height}; both sides must be multiples of {cell}"
    sizes = net.frames_per_block, config.vae.temporal_factor, config.fps
    if sizes != (LATENTS_PER_BLOCK, FRAMES_PER_LATENT, FPS):
        return (
            f"frames_per_block, the VAE's temporal factor and fps are {sizes}; they must be "
            f"{LATENTS_PER_BLOCK}, {FRAMES_PER_LATENT} and {FPS}, as in all published checkpoints"
        )
    if net.in_dim != 2 * config.vae.z_dim + config.vae.temporal_factor or net.out_dim != config.vae.z_dim:
        return "the transformer's in_dim and out_dim do not fit the VAE's z_dim"
    return None


def from_reference(values: dict[str, Any], *, img_dim: int = 1280) -> TransformerConfig:
    """Build the transformer's config from a published `config.json` (unused keys are ignored)."""
    known = {f.name for f in fields(TransformerConfig)} - {"action_config"}
    actions = {f.name for f in fields(ActionConfig)}
    return TransformerConfig(
        action_config=ActionConfig(**{k: v for k, v in values["action_config"].items() if k in actions}),
        img_dim=img_dim,
        **{k: v for k, v in values.items() if k in known},
    )
