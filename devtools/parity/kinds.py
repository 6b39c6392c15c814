"""One function for each kind of golden file: compute what the reference computed, and compare."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from devtools.parity.folder import EXACT, Case, NotUnderstood, bare, build, some
from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import LATENTS_PER_BLOCK, block_frames, block_of_frame, frames_in_blocks
from mgdemo.config import ActionConfig, CheckpointConfig, SamplingConfig
from mgdemo.config import from_reference as transformer_config
from mgdemo.console import typed_action
from mgdemo.model.action import Actions, action_windows, window_rows
from mgdemo.model.cache import Memory, Ring
from mgdemo.model.condition import Condition
from mgdemo.model.flow import TABLE, Schedule, add_noise, predict_x0, sigma_of, sigma_table
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE, State
from mgdemo.picture import crop_box, pixel_values, prepare_image
from mgdemo.random_actions import random_actions
from mgdemo.world import World, WorldModel

SHIFT = SamplingConfig().timestep_shift
SCHEDULE = {"atol": 1e-6, "rtol": 1e-6}
TRACES = {  # what a trace is called -> the module whose output it is
    "self_attn_out": "self_attn.o",
    "cross_attn_out": "cross_attn.o",
    "after_action": "action_model",
    "ffn_out": "ffn",
    "head_out": "head",
}
KINDS: dict[str, Callable[[Case], None]] = {}


def kind(name: str) -> Callable:
    """Register the function that checks the files of one kind."""
    return lambda check: KINDS.setdefault(name, check)


@contextmanager
def watched(modules: dict[str, nn.Module]) -> Iterator[dict[str, list]]:
    """Collect (arguments, output) of every call of some modules."""
    seen: dict[str, list] = {name: [] for name in modules}
    hooks = [
        module.register_forward_hook(lambda _, args, out, name=name: seen[name].append((args, out)))
        for name, module in modules.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@kind("weights")
def check_weights(case: Case) -> None:
    _check_keys(
        case, case.folder.net(case.name), {key: case[key] for key in case.tensors}, case.entry["parameters"]
    )


def _check_keys(case: Case, net: nn.Module, listed: dict[str, Tensor], parameters: int) -> None:
    row, ours = case.row("names and shapes"), net.state_dict()
    theirs = {bare(key): value.shape for key, value in listed.items()}
    row.tensors = len(theirs)
    if differ := [k for k in ours.keys() | theirs if k not in ours or ours[k].shape != theirs.get(k)]:
        case.fail("names and shapes", f"{len(differ)} differ: {some(differ)}")
    if (counted := sum(value.numel() for value in ours.values())) != parameters:
        case.fail("names and shapes", f"{counted} parameters, not {parameters}")


@kind("vae_encode")
def check_vae_encode(case: Case) -> None:
    vae: VAE = case.folder.net(case.entry["weights"])
    case.compare("clip.latents", vae.encode(case["clip.video"]))
    image, given = case["image.pixels"], case["image.latents"].shape[2]
    condition = Condition(vae, image)
    count = max(given, condition.steady + 4)
    grey = image.new_zeros(*image.shape[:2], vae.config.temporal_factor * (count - 1), *image.shape[3:])
    long_way = vae.encode(torch.cat((image, grey), dim=2))
    short_way = torch.cat([condition.block(j, 1) for j in range(count)], dim=2)
    case.compare("image.latents", long_way[:, :, :given])
    case.compare("image.cond_concat", short_way[:, :, :given])
    # The golden clip may end before the steady state, so the short way is also held to our own long way.
    short_way = short_way[:, -long_way.shape[1] :]
    case.compare("image.latents", short_way, "condition, short way = long way", long_way)
    mean, std = (torch.tensor(v) for v in (vae.config.latent_mean, vae.config.latent_std))
    for name, ours in (("mean", mean), ("std", std), ("inv_std", 1 / std)):
        case.compare(name, ours, "statistics")


@kind("vae_decode")
def check_vae_decode(case: Case) -> None:
    vae, latents, frames = case.folder.net(case.entry["weights"]), case["latents"], case["block_frames"]
    case.compare("video", vae.decode(latents), "whole")
    counts, state = [math.ceil(n / vae.config.temporal_factor) for n in frames.tolist()], State()
    blocks = [vae.decode(part, state) for part in latents.split(counts, dim=2)]
    case.compare("video", torch.cat(blocks, dim=2), "streamed")
    case.compare("block_frames", [block.shape[2] for block in blocks], "streamed: frames", tolerance=EXACT)


@kind("clip")
def check_clip(case: Case) -> None:
    encoder, image = case.folder.net(case.entry["weights"]), case["image"][:, :, 0]
    case.compare("preprocessed", encoder.preprocess(image))
    case.compare("features", features := encoder(image))
    case.compare("features_all_blocks", encoder.transformer[-1](features))


def forced(
    case: Case, x: Tensor, condition: Tensor, keyboard: Tensor, mouse: Tensor | None, blocks: int
) -> Iterator[tuple[int, int, Tensor, Tensor, Memory]]:
    """Teacher-forced passes; yields (block, call, noisy latents, flow, memory) after each.

    x [block, call, 1, 16, F, h, w]; condition [1, C, latent frame, h, w], image latents with or without their
    mask; keyboard and mouse [1, video frame, K]. Whatever is shorter than the play repeats.
    """
    net: Transformer = case.folder.net(case.entry["weights"])
    actions, frames, timesteps = net.config.action_config, x.shape[4], case["timesteps"]
    memory = net.memory(case["visual_context"], *x.shape[-2:])
    for block in range(blocks):
        latent = torch.arange(block * frames, (block + 1) * frames)
        end = actions.vae_time_compression_ratio * int(latent[-1]) + 1
        video = torch.arange(end - window_rows(actions, frames), end).clamp(min=0)
        given = condition[:, :, latent % condition.shape[2]]
        if missing := net.config.in_dim - x.shape[3] - given.shape[1]:
            mask = given.new_zeros(1, missing, *given.shape[2:])
            mask[:, :, latent == 0] = 1
            given = torch.cat((mask, given), dim=1)
        rows = Actions(keyboard, mouse).map(lambda a, video=video: a[:, video % a.shape[1]])
        inputs = net.block_inputs(block * frames, given, rows)
        memory.begin_block(block * frames, frames)
        for call, timestep in enumerate(timesteps):
            noisy = x[block % len(x), call]
            yield block, call, noisy, net(noisy, timestep.expand(1, frames), inputs, memory), memory


@kind("dit_blockwise")
def check_dit_blockwise(case: Case) -> None:
    net, x, timesteps = case.folder.net(case.entry["weights"]), case["x"], case["timesteps"]
    given = (x, case["cond_concat"], case["keyboard_cond"], case.get("mouse_cond"), len(x))
    traces = {name.split(".", 2)[2] for name in case.named("trace.")}
    flows, x0s = [], []
    with watched({trace: _traced(net, trace) for trace in traces}) as seen:
        for block, call, noisy, flow, memory in forced(case, *given):
            flows.append(flow)
            x0s.append(predict_x0(noisy, flow, sigma_of(timesteps[call], SHIFT)))
            for name in case.named(f"trace.b{block}c{call}."):
                _, output = seen[name.split(".", 2)[2]][-1]
                case.compare(name, output.reshape(case[name].shape), "traces")
            if call == len(timesteps) - 1:
                golden = case["cache_end_indices"][block]
                ends = _ends(memory, (block + 1) * x.shape[4], golden.tolist())
                case.compare("cache_end_indices", ends, "cache ends", golden, EXACT)
    for name, ours in (("flow", flows), ("x0", x0s)):
        case.compare(name, torch.stack(ours).unflatten(0, x.shape[:2]))
    for name in case.named("cache."):
        layer, of, which = re.fullmatch(r"cache\.layer(\d+)\.(self|keyboard|mouse)_(k|v)", name).groups()
        ring = getattr(memory.layers[int(layer)], {"self": "video"}.get(of, of))
        ours = torch.zeros_like(case[name])  # the reference leaves zeros where nothing was written
        if ring is not None:
            kept = _oldest_first(ring)[which == "v"]
            ours[:, : kept.shape[1]] = kept
        case.compare(name, ours, "caches")


def _oldest_first(ring: Ring) -> tuple[Tensor, Tensor]:
    """A ring's keys and values, after its last block."""
    newest = int(ring.slots[-1]) + 1
    order = torch.arange(newest - ring.filled, newest, device=ring.k.device) % ring.filled
    return ring.k[:, order], ring.v[:, order]


def _traced(net: Transformer, trace: str) -> nn.Module:
    """The module of a trace like patch_embedding, block1.ffn_out or block1.out."""
    if inner := re.fullmatch(r"block(\d+)\.(\w+)", trace):
        block = net.blocks[int(inner[1])]
        return block if inner[2] == "out" else block.get_submodule(TRACES[inner[2]])
    return net.get_submodule(TRACES.get(trace, trace))


def _ends(memory: Memory, frames: int, golden: list[int]) -> list[int]:
    """Global and local end of the video, keyboard and mouse caches after each number of latent frames.

    The reference keeps action caches in every layer. Where layer 0 has no action module, it may have recorded
    layer 0's, which stay at 0, or those of the first layer that acts.
    """
    ends: list[int] = []
    for name in ("video", "keyboard", "mouse"):
        rings = [ring for layer in memory.layers if (ring := getattr(layer, name)) is not None]
        idle = getattr(memory.layers[0], name) is None and not any(golden[len(ends) : len(ends) + 2])
        ends += [0, 0] if idle or not rings else [frames * rings[0].tokens_per_frame, rings[0].filled]
    return ends


@kind("dit_long")
def check_dit_long(case: Case) -> None:
    """Every input repeats with a period of its own; only some blocks' flows are kept."""

    def periodic(what: str) -> Tensor | None:
        return next((case[name] for name in case.named(f"{what}_period")), None)

    rows = (None if (a := periodic(what)) is None else a[None] for what in ("keyboard", "mouse"))
    kept = case["kept_blocks"].tolist()
    passes = forced(case, periodic("x"), periodic("latents"), *rows, case.entry["blocks"])
    flows = torch.stack([flow for block, _, _, flow, _ in passes if block in kept])
    case.compare("flow_kept", flows.unflatten(0, (len(kept), -1)))


@kind("dit_fullgrid")
def check_dit_fullgrid(case: Case) -> None:
    """Inputs are tiles that fill a large grid; the first call's flow is kept, with strides."""
    height, width = case.entry["grid"]
    x, latents = (
        tile.repeat(*(1,) * (tile.dim() - 2), height // tile.shape[-2], width // tile.shape[-1])
        for tile in (case["x_tile"], case["latents_tile"])
    )
    passes = forced(case, x, latents, case["keyboard_cond"], case.get("mouse_cond"), len(x))
    flows = torch.stack([flow for _, call, _, flow, _ in passes if call == 0])
    case.compare("flow_strided", _strided(case, "flow_strided", flows, start=0))


def _strided(case: Case, name: str, whole: Tensor, start: int) -> Tensor:
    """The rows and columns that a golden tensor keeps, as its layout says or else as its size tells."""
    said = re.search(r"(\d*)::(\d+), (\d*)::(\d+)\]", case.entry.get("layout", ""))
    starts, steps = ([int(n or 0) for n in said.groups()[i::2]] if said else [] for i in (0, 1))
    for size, kept in zip(whole.shape[-2:], case[name].shape[-2:], strict=True) if not said else ():
        starts.append(start)
        steps.append(next(step for step in range(1, size + 1) if len(range(start, size, step)) <= kept))
    return whole[..., starts[0] :: steps[0], starts[1] :: steps[1]]


def play(given: Case, keyboard: Tensor, mouse: Tensor | None) -> dict[str, Tensor]:
    """Play the inputs of a pipeline file through `World`, with its noise, under the actions [1, T, ...]."""
    nets = {type(net): net for net in map(given.folder.net, given.entry["weights"])}
    if given.folder.optimization:
        nets = copy.deepcopy(nets)  # whose modules are replaced
    image, noise, renoise = given["image"], given["noise"], given["renoise"]
    transformer, vae, frames = nets[Transformer], nets[VAE], renoise.shape[2]
    if frames != LATENTS_PER_BLOCK:
        raise NotUnderstood(f"its blocks are of {frames} latent frames, not {LATENTS_PER_BLOCK}")
    config = CheckpointConfig(
        mode=given.entry["mode"],
        height=image.shape[-2],
        width=image.shape[-1],
        transformer=transformer.config,
        vae=vae.config,
        image_encoder=nets[ImageEncoder].config,
        sampling=SamplingConfig(given.entry["denoising_step_list"], SHIFT),
    )
    model = WorldModel(config, transformer, vae, nets[ImageEncoder])
    if given.folder.optimization:
        model.optimize(given.folder.optimization)

    def recorded(block: int, step: int) -> Tensor:
        if step:
            return renoise[block, step - 1].transpose(0, 1)[None]
        return noise[:, :, frames * block : frames * (block + 1)]

    latents, video, condition = [], [], []
    with watched({"transformer": model.transformer, "image_encoder": model.image_encoder}) as seen:
        world = World(model, image, recorded)
        for block in range(given.entry["blocks"]):
            first, stop = (vae.config.temporal_factor * (frames * b - 1) + 1 for b in (block, block + 1))
            rows = Actions(keyboard, mouse).map(lambda a, to=stop, since=first: a[:, max(since, 0) : to])
            latents.append(world.step_latents(rows))
            # A world leaves out the clean pass's flow, and its memory stays as that pass has left it.
            (_, timestep, inputs, memory), _ = seen["transformer"][-1]
            kept = memory.snapshot()
            model.transformer(latents[-1], torch.zeros_like(timestep), inputs, memory)
            memory.restore(kept)
            video.append(world.frames.video(latents[-1]))
            condition.append(world.condition.block(block * frames))
    noisy, flows = (
        torch.stack(each).unflatten(0, (len(latents), -1))
        for each in zip(*((args[0], flow) for args, flow in seen["transformer"]), strict=True)
    )
    sigmas = model.schedule.sigmas.to(flows).reshape(-1, *(1,) * (flows.dim() - 2))
    return {
        "latents": torch.cat(latents, dim=2),
        "video": torch.cat(video, dim=2).transpose(1, 2),
        "cond_concat": torch.cat(condition, dim=2),
        "visual_context": seen["image_encoder"][0][1],
        "x0": predict_x0(noisy[:, :-1], flows[:, :-1], sigmas),
        "context_flow": flows[:, -1],
        "timesteps": model.schedule.timesteps,
        "sigmas": model.schedule.sigmas,
    }


@kind("pipeline")
def check_pipeline(case: Case) -> None:
    played = play(case, case["keyboard_cond"], case.get("mouse_cond"))
    case.compare("latents", played["latents"])
    if case.folder.low_precision:
        return
    case.compare("video_strided", _strided(case, "video_strided", played["video"], start=1))
    for name in ("cond_concat", "visual_context", "x0", "context_flow"):
        case.compare(name, played[name])
    for name in ("timesteps", "sigmas"):
        case.compare(name, played[name], "schedule", tolerance=SCHEDULE)
    if "bench_actions_seed" in case.entry:
        frames = case["keyboard_cond"].shape[1]
        _compare_track(case, random_actions(case.entry["mode"], frames, case.entry["bench_actions_seed"]))


@kind("streaming")
def check_streaming(case: Case) -> None:
    """One console word a block, on the inputs of a pipeline file."""
    mode = MODES[case.entry["mode"]]
    typed = [typed_action(mode, word) for word in case.entry["script"]]
    blocks = [
        [None if row is None else row[None].repeat(block_frames(i), 0) for row in rows]
        for i, rows in enumerate(typed)
    ]
    track = ActionTrack.concat([ActionTrack(mode.name, *rows) for rows in blocks])
    given = Case(case.folder, case.entry["same_inputs_as"])
    rows = (None if a is None else torch.tensor(a)[None] for a in (track.keyboard, track.mouse))
    case.compare("latents", play(given, *rows)["latents"])
    if case.folder.low_precision:
        return
    _compare_track(case, track)
    for i, name in enumerate(["block_keyboard", "block_mouse"][: 1 + mode.has_mouse]):
        case.compare(name, np.stack([rows[i] for rows in typed]), "actions", tolerance=EXACT)


def _compare_track(case: Case, track: ActionTrack) -> None:
    for name, ours in (("keyboard_cond", track.keyboard), ("mouse_cond", track.mouse)):
        if ours is not None:
            case.compare(name, torch.tensor(ours)[None], "actions", tolerance=EXACT)


@kind("scheduler")
def check_scheduler(case: Case) -> None:
    case.compare("sigmas", sigma_table(SHIFT))
    case.compare("timesteps", sigma_table(SHIFT) * TABLE)
    for name in case.named("warped_"):
        steps = [int(step) for step in name.split("_")[1:]]
        case.compare(name, Schedule.from_config(SamplingConfig(steps, SHIFT)).timesteps, "warped")
    sigma = sigma_of(case["t"], SHIFT)
    case.compare("t_index", sigma, "nearest timestep", case["sigmas"][case["t_index"]])
    sigma = sigma.to(case["clean"]).reshape(-1, *(1,) * (case["clean"].dim() - 1))
    case.compare("add_noise", add_noise(case["clean"], case["noise"], sigma))
    case.compare("x0", predict_x0(case["xt"], case["flow"], sigma))


@kind("actions")
def check_actions(case: Case) -> None:
    for name in case.tensors:
        if seeded := re.fullmatch(r"(\w+)\.seed(\d+)\.(keyboard|mouse)", name):
            ours = np.array(getattr(random_actions(seeded[1], len(case[name]), int(seeded[2])), seeded[3]))
        elif name.endswith(".block_of_pixel_frame"):
            ours = [block_of_frame(frame) + 1 for frame in range(len(case[name]))]
        elif name.endswith(".frames_given_per_block"):
            ours = [frames_in_blocks(block + 1) for block in range(len(case[name]))]
        elif name == "window.latent_frame_to_pixel_frames":
            config, count = ActionConfig(), len(case[name])
            rows = (
                torch.arange(window_rows(config, count))
                - config.vae_time_compression_ratio * config.windows_size
            )
            ours = action_windows(rows.clamp(min=0)[None, :, None], config, count)[0, :, :, 0]
        else:
            continue  # stays unread, and so is reported
        case.compare(name, ours, "benchmark walk" if seeded else "blocks and windows")


@kind("preprocess")
def check_preprocess(case: Case) -> None:
    aspect = [int(n) for n in re.search(r"aspect (\d+):(\d+)", case.entry["note"]).groups()]
    for label, about in case.entry["images"].items():
        path = case.folder.path / about["png"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != about["sha256"]:
            raise NotUnderstood(f"{about['png']} is not the picture that index.json describes")
        image = ImageOps.exif_transpose(Image.open(path))
        box = crop_box(*image.size, *aspect)
        left, top, right, bottom = whole = [round(side) for side in box]
        case.compare(f"{label} size", image.size, "crop", about["size_wh"], EXACT)
        case.compare(f"{label} size", [right - left, bottom - top], "crop", about["cropped_size_wh"], EXACT)
        case.compare(f"{label}.crop_box_float", box, "crop", tolerance=EXACT)
        case.compare(f"{label}.crop_box_int", whole, "crop", tolerance=EXACT)
        for name in case.named(f"{label}.out_"):
            height, width = (int(n) for n in re.search(r"out_(\d+)x(\d+)", name).groups())
            step = math.ceil(height / case[name].shape[1])
            pixels = pixel_values(prepare_image(image, height, width))[:, ::step, ::step]
            case.compare(name, pixels.copy(), "resized")


def check_json(case: Case) -> None:
    """The files beside the index: manifests of the full-size models, configurations, console actions."""
    content = json.loads((case.folder.path / case.name).read_text())
    if "keys" in content:
        listed = {k: torch.empty(shape, device="meta") for k, (shape, _) in content["keys"].items()}
        with torch.device("meta"):
            net = build(content.get("config", {}), {bare(key): value for key, value in listed.items()})
        _check_keys(case, net, listed, content.get("visual", content)["total_parameters"])
        for name in content.keys() & {"latent_mean", "latent_std"}:
            case.compare(name, getattr(net.config, name), "statistics", content[name], EXACT)
    elif "modes" in content:
        for name, mode in content["modes"].items():
            for word, golden in mode["interactive"].items():
                for what, ours in zip(("keyboard", "mouse"), typed_action(MODES[name], word), strict=True):
                    if ours is not None or what in golden:
                        case.compare(f"{word} {what}", ours, f"console {name}", golden[what], EXACT)
    elif "action_config" in content:
        case.row("config").tensors = 0
        configs = [entry.get("config", {}) for entry in case.folder.index.values()]
        own = transformer_config(content)
        if not any("action_config" in c and transformer_config(c) == own for c in configs):
            case.fail("config", "no weights file in index.json has this configuration")
    else:
        raise NotUnderstood("it is neither a manifest nor a configuration nor a list of console actions")
