"""Worlds: the one loop that turns actions into video frames, block after block.

model = load_world_model("universal-tiny")
world = model.start(image, seed=7)
frames = world.step(ActionTrack.hold("universal", ["forward"], frames=world.frames_next))
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mgdemo import interfaces
from mgdemo.actions import ActionTrack
from mgdemo.blocks import FPS, LATENTS_PER_BLOCK, block_frames
from mgdemo.config import CheckpointConfig, Optimization
from mgdemo.devices import make_current
from mgdemo.model.action import Actions, window_rows
from mgdemo.model.condition import Condition
from mgdemo.model.device_io import StreamEvent, to_device_async, to_host_async
from mgdemo.model.fast.decoder import GraphedDecoder
from mgdemo.model.fast.kernels import check_kernels, replace_layers
from mgdemo.model.fast.library_convolutions import use_fast_convolutions
from mgdemo.model.fast.offload import Offloaded
from mgdemo.model.fast.overlap import DecodeStream, FrameStream, PendingFrames
from mgdemo.model.fast.transformer import GraphedTransformer
from mgdemo.model.flow import Schedule, add_noise, predict_x0
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.layers import BlockInputs
from mgdemo.model.moment import Moment, RegeneratePoint, Snapshot
from mgdemo.model.noise import BlockNoise, Noise, seeded_noise
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.picture import pixel_values, prepare_image


class World:
    """One session: its moment, caches, noise and decoder. `interfaces.World` says what its methods do."""

    def __init__(self, model: WorldModel, image: Tensor, noise: Noise):
        """image: [1, 3, 1, H, W] in [-1, 1] on the model's device."""
        self.model = model
        self.timings: dict[str, float] = {}
        self.condition, tokens = model.look_at(image)
        self.memory = model.transformer.memory(tokens, *self.condition.size)
        self.noise = BlockNoise(noise, len(model.schedule.sigmas), model.device)
        self.frames = FrameStream(model.vae, model.decoding)
        self._now = Moment()
        self._point: RegeneratePoint | None = None
        self._latents: Tensor | None = None  # the last block's, on the host once its frames are there

    @property
    def block(self) -> int:
        return self._now.block

    @property
    def frames_next(self) -> int:
        """Video frames of the next block."""
        return block_frames(self.block)

    def step(self, actions: ActionTrack) -> np.ndarray:
        """Make the next block under `frames_next` rows of actions; uint8 frames [T, H, W, 3]."""
        return np.concatenate(list(self.stream(actions)))

    @torch.inference_mode()
    def stream(self, actions: ActionTrack) -> Iterator[np.ndarray]:
        """As `step`, but the first latent frame's video frames come as soon as they exist, then the rest.

        On a GPU this returns without waiting, so the next block's latents can be made while this one is
        decoded (unless the picture may be standing still, see `_remember`). On a CPU, frames are decoded when
        they are taken.
        """
        self._check(self.block, actions)
        begin = StreamEvent(self.model.device)
        before, decoder = self._now, self.frames.point()
        latents = self.step_latents(Actions.from_track(actions))
        made = StreamEvent(self.model.device)
        self._point = None if decoder is None else RegeneratePoint(before, decoder)
        pending = self.frames.decode(latents)
        self.noise.draw_ahead(self.block)
        return self._take(pending, begin, made)

    @property
    def latents(self) -> bytes:
        return b"" if self._latents is None else self._latents.numpy().tobytes()

    @torch.inference_mode()
    def repeat(self, actions: ActionTrack, latents: bytes, shown: bool) -> np.ndarray | None:
        self._check(self.block, actions)
        shape = self.model.block_shape
        known = torch.frombuffer(bytearray(latents), dtype=torch.float32)
        if known.numel() != shape.numel():
            raise ValueError("These latents are of another world.")
        shown = shown or not self.block  # what the decoder remembers begins there
        if shown:
            self.frames.point()
        self._point = None
        inputs, rows = self._inputs(Actions.from_track(actions))
        x = to_device_async(known.view(shape), self.model.device)
        self._remember(x, inputs, rows)
        return np.concatenate([frames.wait() for frames in self.frames.decode(x)]) if shown else None

    @property
    def reach(self) -> int:
        return self.model.reach

    @torch.inference_mode()
    def step_latents(self, actions: Actions) -> Tensor:
        """Denoise the next block's latents [1, 16, F, h, w] and fill the caches with them."""
        transformer, schedule = self.model.transformer, self.model.schedule
        inputs, rows = self._inputs(actions)
        x, *others = self.noise(self.block)
        for step, sigma in enumerate(schedule.sigmas):
            if step:
                x = add_noise(x, schedule.noise_scale * others[step - 1], sigma)
            timestep = self.model.timesteps[step].expand(1, LATENTS_PER_BLOCK)
            x = predict_x0(x, transformer(x, timestep, inputs, self.memory), sigma)
        self._remember(x, inputs, rows)
        return x

    def _inputs(self, actions: Actions) -> tuple[BlockInputs, Actions]:
        """What all passes over the next block read; its actions after those that it looks back to."""
        start, device = self._now.position * LATENTS_PER_BLOCK, self.model.device
        rows = actions.after(self._now.actions, self.model.window_rows)
        inputs = self.model.transformer.block_inputs(
            start, self.condition.block(start), rows.map(lambda each: to_device_async(each, device))
        )
        self.memory.begin_block(start, LATENTS_PER_BLOCK)
        return inputs, rows

    def _remember(self, x: Tensor, inputs: BlockInputs, rows: Actions) -> None:
        """Run the clean pass over a finished block, so that the next one can attend to it.

        Where the configuration says so, a block that only shows what the one before showed is not written
        into the caches: copies of copies would wear the picture out. What moves, however slowly, is always
        written, or the motion would begin at the same place again and again.
        """
        still = self.model.config.sampling.still
        remembered = not (still and rows.may_stand and self._now.stands(x, still))
        if remembered:
            self.model.transformer.remember(x, inputs, self.memory)
        self._now = self._now.after(x, rows, remembered=remembered, keep=still > 0)
        self._latents = to_host_async(x) if x.is_cuda else x

    def _take(
        self, pending: list[PendingFrames], begin: StreamEvent, made: StreamEvent
    ) -> Iterator[np.ndarray]:
        for frames in pending:
            yield frames.wait()
        self.timings = {"dit": begin.ms_until(made), "vae": sum(frames.ms for frames in pending)}

    def _check(self, block: int, actions: ActionTrack) -> None:
        mode, frames = self.model.mode, block_frames(block)
        if actions.mode != mode or len(actions) != frames:
            raise ValueError(
                f"Block {block} takes {frames} rows of {mode} actions, not {len(actions)} of {actions.mode}."
            )

    @property
    def can_regenerate(self) -> bool:
        """Not at the start, after `restore` or `repeat`, or with low VRAM, nor once another world of the
        model has used the decoder's static buffers."""
        return self._point is not None and self.model.decoding.holds(self._point.decoder)

    def regenerate(self, actions: ActionTrack) -> np.ndarray:
        """Make the last block again under other actions, as if the earlier ones had never been given."""
        point = self._point
        if point is None or not self.can_regenerate:
            raise ValueError("There is no block to regenerate: step first.")
        self._check(point.moment.block, actions)
        self._now = point.moment
        self.frames.return_to(point.decoder)
        return self.step(actions)

    @property
    def snapshot_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.memory.held()) + self._now.nbytes + self.frames.nbytes

    @torch.inference_mode()
    def snapshot(self) -> Snapshot:
        return Snapshot(self._now.on_host(), self.memory.snapshot(), self.frames.snapshot())

    @torch.inference_mode()
    def restore(self, snapshot: interfaces.Snapshot) -> None:
        assert isinstance(snapshot, Snapshot)
        self._now, self._point = snapshot.moment, None
        self.memory.restore(snapshot.memory)
        self.frames.restore(snapshot.decoder, self.model.device)


class WorldModel(nn.Module):
    """The networks of one checkpoint on one device, shared by all its worlds."""

    def __init__(
        self, config: CheckpointConfig, transformer: Transformer, vae: VAE, image_encoder: ImageEncoder
    ):
        super().__init__()
        self.config = config
        self.transformer, self.vae, self.image_encoder = transformer, vae, image_encoder
        self.eval().requires_grad_(False)
        self.reach = 1 + math.ceil(vae.decoder.look_back / LATENTS_PER_BLOCK)  # see `interfaces.World`
        use_fast_convolutions(vae)
        self.decoding = DecodeStream(self.device)
        self.schedule = Schedule.from_config(config.sampling)
        self.timesteps = self.schedule.timesteps.to(self.device)
        self.window_rows = window_rows(config.transformer.action_config, LATENTS_PER_BLOCK)
        self.low_vram = False
        self.notice = ""

    def optimize(self, options: Optimization, pictures: Sequence[Image.Image] = ()) -> None:
        """Replace modules by faster ones, once and before the first session.

        Except with FP8 and INT8, results stay the same within rounding. pictures: for INT8, what worlds may
        look like. Raises OptimizationError.
        """
        transformer = cast(Transformer, self.transformer)
        wanted = options.kernels or options.fp8 or options.int8
        if wanted and check_kernels(self.device, fp8=options.fp8, int8=options.int8):
            seen = [self._pixels(picture).to(self.vae.conv2.weight.dtype) for picture in pictures]
            replace_layers(transformer, self.vae, fp8=options.fp8, int8=options.int8, pictures=seen)
        if options.graphs:
            self.transformer = GraphedTransformer(transformer)
            decoder = GraphedDecoder(self.vae.decoder, sets=2 if options.low_vram else 3)
            self.vae.set_submodule("decoder", decoder)
            self.decoding = DecodeStream(self.device, decoder)
        if options.low_vram:
            self.low_vram = True
            self.vae.set_submodule("encoder", Offloaded(self.vae.encoder))
            self.image_encoder = Offloaded(self.image_encoder)
        self.decoding.keeps_points = not options.low_vram

    @torch.inference_mode()
    def start(self, image: Image.Image, seed: int = 0) -> World:
        """Begin a session at an image of any size; it is cropped to the picture's aspect.

        The model's device becomes the current one of this thread, in which the world is to be used.
        """
        make_current(self.device)
        return World(self, self._pixels(image), seeded_noise(seed, self.block_shape))

    @property
    def block_shape(self) -> torch.Size:
        """Of a block's latents, [1, 16, F, h, w]."""
        factor = self.vae.config.spatial_factor
        height, width = self.size[0] // factor, self.size[1] // factor
        return torch.Size((1, self.vae.config.z_dim, LATENTS_PER_BLOCK, height, width))

    def _pixels(self, image: Image.Image) -> Tensor:
        """[1, 3, 1, H, W] in [-1, 1]."""
        pixels = torch.from_numpy(pixel_values(prepare_image(image, *self.size)))
        return pixels.to(self.device)[None, :, None]

    def look_at(self, image: Tensor) -> tuple[Condition, Tensor]:
        """The start condition of an image [1, 3, 1, H, W], and its tokens for cross-attention."""
        with cast(Offloaded, self.vae.encoder) if self.low_vram else nullcontext():
            condition = Condition(self.vae, image.to(self.vae.conv2.weight.dtype))
            if self.low_vram:
                condition.complete()
        return condition, self.image_encoder(image[:, :, 0])

    @property
    def device(self) -> torch.device:
        return self.vae.conv2.weight.device

    @property
    def pipelined(self) -> bool:
        """Whether it makes a block's latents while it decodes another's, if it is asked early enough."""
        return self.decoding.stream is not None

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def fps(self) -> int:
        return FPS

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.config.height, self.config.width
