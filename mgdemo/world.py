"""Worlds: the one loop that turns actions into video frames, block after block.

model = load_world_model("universal-tiny")
world = model.start(image, seed=7)
frames = world.step(ActionTrack.hold("universal", ["forward"], frames=world.frames_next))
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames
from mgdemo.checkpoints import Located, resolve
from mgdemo.config import CheckpointConfig, Optimization
from mgdemo.devices import OUT_OF_MEMORY, DeviceError, choose_device, precision
from mgdemo.model.action import window_rows
from mgdemo.model.flow import Schedule, add_noise, predict_x0
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.optimize import Decoding, optimise, reserve_without_gaps
from mgdemo.model.transfer import Moment, OnDemand, Piece, staged
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE, State
from mgdemo.picture import pixel_values, prepare_image
from mgdemo.weight_files.load import load_weights
from mgdemo.weight_files.recognize import expected
from mgdemo.weight_files.tables import weight_size

READ = 0.6  # share of loading on a GPU that is reading weights; the rest is warming up
WARM_BLOCKS = 5  # until the caches are full and the start condition is steady
SPREAD = 3  # blocks after the first over which the start condition is encoded

# Read when a GPU is first used. Segments that grow leave no gaps: a published checkpoint needs that on 12 GB.
ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # the older name is that of PyTorch before 2.9
if not any(name in os.environ for name in ALLOCATOR):
    os.environ.update(dict.fromkeys(ALLOCATOR, "expandable_segments:True"))

log = logging.getLogger(__name__)

Noise = Callable[[int, int], Tensor]
Progress = Callable[[float, str], None]


def seeded_noise(seed: int, shape: tuple[int, ...]) -> Noise:
    """Gaussian noise [1, 16, F, h, w] as a pure function of (seed, block, step).

    A counter-based generator (Philox) draws it on the host: whatever the device, and whatever else the server
    does, the same play gets the same noise. Step 0 is the noise a block begins with, step s the one that is
    mixed in after denoising step s - 1.
    """

    def draw(block: int, step: int) -> Tensor:
        key = np.array([seed % 2**64, block << 8 | step], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))

    return draw


class Condition:
    """Latents of the start image followed by grey frames for ever, encoded only as far as needed.

    The encoder looks back a bounded number of frames: once that span holds nothing but grey, its output
    stays the same, so the last latent stands for all later ones. The work until then is spread over blocks
    1 to 3: the first picture comes at once, and from block 4 on every block costs the same.
    """

    def __init__(self, vae: VAE, image: Tensor):
        self.vae = vae
        self.image = image
        self.steady = vae.encoder.look_back // vae.config.temporal_factor + 1
        self.state = State()
        self.latents = vae.encode(image, self.state)
        self._last: Tensor | None = None  # the condition of all blocks after the steady latent

    def block(self, start: int, frames: int) -> Tensor:
        """Condition [1, 20, frames, h, w] of latent frames from `start`: mask (1 = given), then latents."""
        if self._last is not None and start >= self.steady and frames == self._last.shape[2]:
            return self._last
        end = self.steady + 1
        stride = max(frames, -(-(end - frames) // SPREAD))
        needed = min(frames + stride * (start // frames), end)
        size = (*self.image.shape[:2], self.vae.config.temporal_factor, *self.image.shape[3:])
        while self.latents.shape[2] < needed:
            # One by one: it takes the least memory, and a restored play is exact whatever is asked for first.
            grey = self.vae.encode(self.image.new_zeros(size), self.state)
            self.latents = torch.cat((self.latents, grey), dim=2)
        if self.latents.shape[2] == end:
            self.state.clear()  # nothing is left to encode
        steady = [self.latents[:, :, self.steady :]] * min(frames, max(0, start + frames - end))
        latents = torch.cat((self.latents[:, :, min(start, end) : min(start + frames, end)], *steady), dim=2)
        mask = torch.zeros_like(latents[:, :4])
        if start == 0:
            mask[:, :, 0] = 1
        condition = torch.cat((mask, latents), dim=1)
        if start >= self.steady:
            self._last = condition
        return condition


@dataclass
class Snapshot:
    """A world's state between two blocks, on the host; exact, and good for any number of restores."""

    block: int
    rows: tuple[Tensor, Tensor | None] | None
    memory: list[Tensor]
    decoder: State


class World:
    """One play: position, caches, noise and decoder state. `step` makes exactly one block."""

    def __init__(self, model: WorldModel, image: Tensor, noise: Noise):
        """image: [1, 3, 1, H, W] in [-1, 1] on the model's device."""
        self.model = model
        self.noise = noise
        self.block = 0
        self.timings: dict[str, float] = {}
        with model.present(model.vae.encoder, model.vae.conv1):
            self.condition = Condition(model.vae, image.to(model.vae_dtype))
            if model.low_vram:  # the encoder is here now
                self.condition.block(self.condition.steady, model.transformer.config.frames_per_block)
        with model.present(model.image_encoder):
            tokens = model.image_encoder(image[:, :, 0])
        self._memory = model.transformer.memory(tokens, *self.condition.latents.shape[3:])
        self._rows: tuple[Tensor, Tensor | None] | None = None  # action rows of the windows before
        self._decoder = State()
        self._before: tuple | None = None  # block, rows and decoder state before the last block
        self._pieces: list[Piece] = []  # of the last block
        self._ahead: tuple[int, Tensor] | None = None  # a block and its noise, drawn before it is asked for

    @property
    def frames_next(self) -> int:
        """Video frames of the next block."""
        return block_frames(self.block)

    def step(self, actions: ActionTrack) -> np.ndarray:
        """Make the next block under `frames_next` rows of actions; uint8 frames [T, H, W, 3].

        Raises ValueError, and changes nothing, if the actions are too many, too few or of another mode.
        """
        return np.concatenate(list(self.stream(actions)))

    @torch.inference_mode()
    def stream(self, actions: ActionTrack) -> Iterator[np.ndarray]:
        """As `step`, but those of the first latent frame are given as soon as they exist, then the others.

        On a GPU the block is under way when this returns; it is waited for only as its frames are taken. So
        the next block, of this world or another, can be asked for before: the GPU makes its latents while it
        decodes these. On a CPU frames are decoded when they are taken. Whatever else is asked of the world
        meanwhile, frames can be taken later, and are the same.
        """
        self._check(self.block, actions)
        self._finish()
        device, begin = self.model.device, Moment(self.model.device)
        with self.model.decoding():
            self._remember()
            self.model.expect(self, self._decoder)
        latents = self.step_latents(
            torch.tensor(actions.keyboard), None if actions.mouse is None else torch.tensor(actions.mouse)
        )
        made = Moment(device)
        # Somebody waits for the first ones; the others are decoded faster together.
        parts = latents.split((1, latents.shape[2] - 1), dim=2)
        self._pieces = [Piece(lambda part=part: self.decode(part), device) for part in parts]
        if device.type == "cuda":
            with self.model.decoding() as stream:
                latents.record_stream(stream)
                self._finish()
            self._ahead = self.block, self._noise()
        return self._take(self._pieces, begin, made)

    def _take(self, pieces: list[Piece], begin: Moment, made: Moment) -> Iterator[np.ndarray]:
        for piece in pieces:
            yield piece.frames()
        self.timings = {"dit": begin.until(made), "vae": sum(piece.ms for piece in pieces)}

    def _finish(self) -> None:
        """Make what is left to be made of the last block, so that the decoder's state is that after it."""
        for piece in self._pieces:
            piece.make()

    def _remember(self) -> None:
        """Keep what `regenerate` goes back to."""
        if not self.model.low_vram:
            self._before = self.block, self._rows, State(self._decoder)

    def give_way(self, decoding: Decoding) -> None:
        """Another world is decoded next: what is needed to make the last block again may be lost."""
        self._finish()
        if self._before is not None and decoding.holds(self._before[2]):
            self._before = None

    def regenerate(self, actions: ActionTrack) -> np.ndarray:
        """Make the last block again under other actions, as if those of before had never been.

        Takes and gives what `step` did. Raises ValueError, and changes nothing, for actions that don't fit
        and where there is nothing to go back to (see `can_regenerate`).
        """
        if not self.can_regenerate:
            raise ValueError("There is no block to make again: step first.")
        self._check(self._before[0], actions)
        self._finish()
        # The caches need no way back: the block's slots are written anew, and nothing else was changed.
        self.block, self._rows, self._decoder = self._before
        return self.step(actions)

    @property
    def can_regenerate(self) -> bool:
        """Whether the last block can be made again: not at the start, nor after `restore`, never with low
        VRAM, and not when what it takes was where another world of the model is decoded by now.
        """
        return self._before is not None

    def _check(self, block: int, actions: ActionTrack) -> None:
        mode, frames = self.model.config.mode, block_frames(block)
        if actions.mode != mode or len(actions) != frames:
            raise ValueError(
                f"Block {block} takes {frames} rows of {mode} actions, not {len(actions)} of {actions.mode}."
            )

    @torch.inference_mode()
    def step_latents(self, keyboard: Tensor, mouse: Tensor | None) -> Tensor:
        """Denoise the next block's latents [1, 16, F, h, w] and fill the caches with them."""
        transformer, schedule = self.model.transformer, self.model.schedule
        frames = transformer.config.frames_per_block
        start = self.block * frames
        rows = (self._extend(0, keyboard), self._extend(1, mouse))
        given = (None if row is None else staged(row, self.model.device) for row in rows)
        inputs = transformer.block_inputs(start, self.condition.block(start, frames), *given)
        self._memory.begin_block(start, frames)

        def flow(x: Tensor, timestep: Tensor) -> Tensor:
            return transformer(x, timestep.expand(1, frames), inputs, self._memory)

        ahead, self._ahead = self._ahead, None
        x, *others = ahead[1] if ahead and ahead[0] == self.block else self._noise()
        for step, sigma in enumerate(schedule.sigmas):
            if step:
                x = add_noise(x, schedule.noise_scale * others[step - 1], sigma)
            x = predict_x0(x, flow(x, self.model.timesteps[step]), sigma)
        transformer.remember(x, inputs, self._memory)
        self.block, self._rows = self.block + 1, rows
        return x

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Video [1, 3, T, H, W] of the next latents of the stream."""
        return self.model.vae.decode(latents.to(self.model.vae_dtype), self._decoder)

    @property
    def snapshot_bytes(self) -> int:
        """The memory that a snapshot takes."""
        self._finish()
        return sum(tensor.nbytes for tensor in (*self._memory.held(), *self._decoder.tensors))

    @torch.inference_mode()
    def snapshot(self) -> Snapshot:
        self._finish()
        with self.model.decoding() as stream:
            if stream is not None:  # which may be bringing the state to the host
                stream.synchronize()
            decoder = self._decoder.to("cpu")
        return Snapshot(self.block, self._rows, self._memory.snapshot(), decoder)

    @torch.inference_mode()
    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this play, or of another of the same image and model."""
        self._finish()
        self.block, self._rows = snapshot.block, snapshot.rows
        self._memory.restore(snapshot.memory)
        with self.model.decoding():
            self._decoder = snapshot.decoder.to(self.model.device)
        self._before = None

    def _noise(self) -> Tensor:
        """The next block's noise [step, 1, 16, F, h, w]; one copy for all steps."""
        steps = range(len(self.model.schedule.sigmas))
        return staged(torch.stack([self.noise(self.block, step) for step in steps]), self.model.device)

    def _extend(self, which: int, rows: Tensor | None) -> Tensor | None:
        """The last `window_rows` action rows, the new ones included; the first stands for all before it."""
        if rows is None:
            return None
        before = self._rows[which] if self._rows else rows[None, :1].expand(1, self.model.window_rows, -1)
        return torch.cat((before, rows[None]), dim=1)[:, -self.model.window_rows :]


class WorldModel:
    """The weights of one checkpoint on one device, shared by all its worlds."""

    def __init__(
        self, config: CheckpointConfig, transformer: Transformer, vae: VAE, image_encoder: ImageEncoder
    ):
        self.config = config
        self.transformer = transformer.eval().requires_grad_(False)
        self.vae = vae.eval().requires_grad_(False)
        self.image_encoder = image_encoder.eval().requires_grad_(False)
        channels_last(self.vae)
        self.schedule = Schedule.of(config.sampling)
        self.timesteps = self.schedule.timesteps.to(self.device)
        self._starters: dict[nn.Module, OnDemand] = {}  # nets that wait on the host until a play begins
        # Of high priority: somebody waits for frames, while the next block's latents have time.
        self._decoding = torch.cuda.Stream(self.device, priority=-1) if self.device.type == "cuda" else None
        self._decoded: weakref.ref | None = None  # the world whose decoder's state came last
        self.window_rows = window_rows(config.transformer.action_config, config.transformer.frames_per_block)

    @property
    def device(self) -> torch.device:
        return self.transformer.device

    def optimize(self, options: Optimization) -> None:
        """Make it faster, before its first play; but for FP8 it makes the same within rounding."""
        optimise(self.transformer, self.vae, options)
        if options.low_vram:
            starters = (self.image_encoder, self.vae.encoder, self.vae.conv1)
            self._starters = {net: OnDemand(net) for net in starters}

    def warm_up(self, progress: Progress | None = None) -> None:
        """Play a little, so that everything is compiled and captured that a play will need."""
        world, mode = self.start(Image.new("RGB", self.size[::-1])), self.config.mode
        for block in range(WARM_BLOCKS):
            if progress:
                progress(block / WARM_BLOCKS, "Preparing the engine")
            world.step(ActionTrack.hold(mode, [], frames=world.frames_next))
        del world
        if self.device.type == "cuda":
            torch.cuda.empty_cache()  # compiling and capturing took more than playing will

    @contextmanager
    def decoding(self) -> Iterator[torch.cuda.Stream | None]:
        """Where blocks are decoded: on a GPU beside the making of the next one. Gives its stream there."""
        if self._decoding is None:
            yield None
            return
        self._decoding.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._decoding):
            yield self._decoding

    def expect(self, world: World, decoder: State) -> None:
        """Bring the state of a world's decoder to where it is decoded; it is wanted soon."""
        decoding, last = self.vae.decode, self._decoded and self._decoded()
        if not isinstance(decoding, Decoding):
            return
        if last is not None and last is not world:
            last.give_way(decoding)
        self._decoded = weakref.ref(world)
        decoding.bring(decoder)

    @contextmanager
    def present(self, *nets: nn.Module) -> Iterator[None]:
        """While these nets are on the device; with low VRAM they wait on the host otherwise."""
        with ExitStack() as stack:
            for net in nets:
                if net in self._starters:
                    stack.enter_context(self._starters[net])
            yield

    @property
    def pipelined(self) -> bool:
        """Whether it makes a block's latents while it decodes another's, if it is asked early enough."""
        return self._decoding is not None

    @property
    def low_vram(self) -> bool:
        return bool(self._starters)

    @property
    def vae_dtype(self) -> torch.dtype:
        return self.vae.conv2.weight.dtype

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def fps(self) -> int:
        return self.config.fps

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.config.height, self.config.width

    @torch.inference_mode()
    def start(self, image: Image.Image, seed: int = 0) -> World:
        """Begin a play at an image of any size; it is cropped to the picture's aspect."""
        pixels = torch.from_numpy(pixel_values(prepare_image(image, *self.size))).to(self.device)
        factor = self.vae.config.spatial_factor
        shape = (self.vae.config.z_dim, self.transformer.config.frames_per_block)
        noise = seeded_noise(seed, (1, *shape, self.size[0] // factor, self.size[1] // factor))
        return World(self, pixels[None, :, None], noise)


def load_world_model(
    checkpoint: str | Located,
    *,
    device: str = "auto",
    optimization: Optimization | str = "",
    progress: Progress | None = None,
) -> WorldModel:
    """Load a checkpoint: a name of the catalogue, a path, or what `resolve` found, ready to play.

    device: see `choose_device`. optimization: what makes it fast on a GPU, or the words of `Optimization.of`;
    what fails is left out. `progress` is told the share done (0 to 1) and what is being done.
    Raises CheckpointError, ConfigError or DeviceError with a cure.
    """
    if isinstance(optimization, str):
        optimization = Optimization.of(optimization)
    located = resolve(checkpoint)
    parameters = sum(tensor.numel() for tensor in expected("transformer", located.config).values())
    target = choose_device(device, located.config.title, parameters)
    dtype = precision(target)
    if target.type != "cuda":
        return _load(located, target, dtype, progress)
    if dtype == torch.float32:
        optimization = replace(optimization, kernels=False, fp8=False)  # those are for bfloat16
    try:
        return _load_on_gpu(located, target, dtype, optimization, progress)
    except torch.OutOfMemoryError as error:
        raise DeviceError(OUT_OF_MEMORY) from error


def _load_on_gpu(
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    optimization: Optimization,
    progress: Progress | None,
) -> WorldModel:
    if optimization.low_vram:
        reserve_without_gaps()
    model = _load(located, device, dtype, progress, until=READ)
    try:
        model.optimize(optimization)
        model.warm_up(progress and (lambda share, text: progress(READ + (1 - READ) * share, text)))
        return model
    except torch.OutOfMemoryError:
        raise
    except Exception:  # compilers and drivers fail in ways of their own
        log.warning(
            "%s cannot be made fast on %s; it plays, slower. MGDEMO_OPTIMIZATION says what is tried.",
            located.config.name,
            device,
            exc_info=True,
        )
    del model  # before there are two
    return _load(located, device, dtype, progress)


def _load(
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress | None = None,
    until: float = 1.0,
) -> WorldModel:
    """Read the weights; `progress` goes on to `until`."""
    config = located.config
    with torch.device("meta"):
        nets = {
            "transformer": Transformer(config.transformer),
            "vae": VAE(config.vae),
            "image_encoder": ImageEncoder(config.image_encoder),
        }
    sizes = {part: weight_size(getattr(located, part)) for part in nets}
    done = 0
    for part, net in nets.items():

        def tell(share: float, text: str, before: int = done, size: int = sizes[part]) -> None:
            if progress:
                progress(until * (before + share * size) / sum(sizes.values()), text)

        load_weights(
            net,
            getattr(located, part),
            part,
            dtype=dtype,
            device=device,
            progress=tell,
        )
        done += sizes[part]
    return WorldModel(config, **nets)


def channels_last(net: torch.nn.Module) -> None:
    """Lay the kernels out channels last, as the fast convolutions of CPUs and GPUs want them."""
    for module in net.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)
        elif isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)
