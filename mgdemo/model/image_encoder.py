"""The CLIP vision transformer that describes the start image (open_clip ViT-H/14, `clip.py`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.config import ImageEncoderConfig
from mgdemo.model.constants import constant
from mgdemo.model.initial import normal_parameter

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, config: ImageEncoderConfig):
        super().__init__()
        dim, hidden = config.dim, config.dim * config.mlp_ratio
        self.norm1 = nn.LayerNorm(dim, config.norm_eps)
        self.attn = SelfAttention(dim, config.num_heads)
        self.norm2 = nn.LayerNorm(dim, config.norm_eps)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ImageEncoder(nn.Module):
    """Images [B, 3, H, W] in [-1, 1] -> tokens [B, 1 + patches, dim], the class token first.

    As Matrix-Game uses it: the last layer, the last norm and the head are in the file but do not run.
    """

    def __init__(self, config: ImageEncoderConfig):
        super().__init__()
        self.config = config
        dim = config.dim
        patches = (config.image_size // config.patch_size) ** 2
        self.patch_embedding = nn.Conv2d(3, dim, config.patch_size, config.patch_size, bias=False)
        self.cls_embedding = normal_parameter(1, 1, dim, std=dim**-0.5)
        self.pos_embedding = normal_parameter(1, 1 + patches, dim, std=dim**-0.5)
        self.pre_norm = nn.LayerNorm(dim, config.norm_eps)
        self.transformer = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.post_norm = nn.LayerNorm(dim, config.norm_eps)
        self.head = normal_parameter(dim, config.out_dim, std=dim**-0.5)

    def preprocess(self, images: Tensor) -> Tensor:
        """Squash to a square (bicubic, no antialias, overshoot kept) and normalize as CLIP does."""
        side = (self.config.image_size,) * 2
        images = F.interpolate(images.float(), side, mode="bicubic", align_corners=False) * 0.5 + 0.5
        mean, std = (constant(v, 2, images.device, images.dtype) for v in (CLIP_MEAN, CLIP_STD))
        return (images - mean) / std

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embedding(self.preprocess(images).to(self.patch_embedding.weight.dtype))
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_embedding.expand(len(x), -1, -1), x), dim=1) + self.pos_embedding
        x = self.pre_norm(x)
        for layer in self.transformer[:-1]:
            x = layer(x)
        return x
