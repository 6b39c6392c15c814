"""Far beyond real time? How fast, how large and how many: worlds on one GPU.

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --json gpu.json --append --modes universal+fp8 --parts speed precision endurance
    python -m benchmarks.gpu --json gpu.json --append --modes universal+low-vram --fraction 11.5 --parts speed
    python -m benchmarks.gpu --modes universal-tiny --device cpu --blocks 12

A mode is a checkpoint of the catalog, by default the three published ones; after a + stands how it is
optimized, in the words of `Optimization.parse`: +fp8, +low-vram, +no-kernels,no-graphs, +none. Several modes
get a process each. The weights are random, which speed does not mind; --load takes the checkpoint's own.
Without --parts, the first mode has environment, speed, sessions and roofline, the others speed and roofline.
The file is written after each part; with --append, what it holds stays.

- environment: the machine, and the rate of a copy on the device (bytes read plus written).
- speed: seconds until the process is ready (Python and device, optimizing, warming up; not the weights), ms
  from Start to the first frames on the host, and ms of a block with full caches: all of it, from its actions
  to uint8 frames on the host, then until the first of them, then the stages on the device. `dit` is all that
  the transformer does, `pass` one denoising step, `clean` the pass that fills the caches. Frames a second are
  those of a play whose next block begins before the last one's frames are taken, as are all times between
  blocks in sessions and endurance. Joules a frame meanwhile, by the driver's counter (the whole card's, idle
  draw included), and how many plays that rate is enough for. Memory when ready and at its peak.
- sessions: worlds that take turns, whether they make the frames that they make alone, what each one more
  takes, and how many at once get a block every 480 ms with 95 % of the blocks ready less than 40 ms late.
- endurance: the first 100 blocks of a long play against the last 100.
- precision: error of latents and frames against the same weights in float32, the worst of 8 blocks. Each
  block begins with the caches of the float32 play, so errors don't add up. "plain" is not optimized.
- roofline: the least that operations and bytes allow; see benchmarks/roofline.py.
- profile (by --profile FILE): what runs in a block, written as text.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import roofline
from benchmarks.energy import Energy
from benchmarks.roofline import Clock
from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames, frames_in_blocks
from mgdemo.checkpoints import config_named
from mgdemo.config import CheckpointConfig, Optimization
from mgdemo.loading import load_world_model, places, use_expandable_segments, warm_up
from mgdemo.model.action import Actions
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.random_actions import random_actions
from mgdemo.world import WorldModel

MODES = ["universal", "gta_drive", "templerun"]
PARTS = ["environment", "speed", "sessions", "endurance", "precision", "roofline", "profile"]
FIRST, OTHERS = ["environment", "speed", "sessions", "roofline"], ["speed", "roofline"]
STEADY = 6  # blocks after which caches are full and the start condition is encoded
WALK = 256  # blocks until the actions repeat
FRAMES = block_frames(1)
LATE = 40.0  # ms
MARGIN = 0.015  # seconds by which the server means a block to be early


def random_model(config: CheckpointConfig, device: torch.device, dtype: torch.dtype) -> WorldModel:
    """A model with PyTorch's initial weights, made on the device; the same ones each time."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            nets = Transformer(config.transformer), VAE(config.vae), ImageEncoder(config.image_encoder)
    finally:
        torch.set_default_dtype(torch.float32)
    return WorldModel(config, *nets)


@cache
def walk(mode: str) -> ActionTrack:
    return random_actions(mode, frames_in_blocks(WALK), seed=1)


class Play:
    """A world from a picture of random colors, and its walk."""

    def __init__(self, model: WorldModel, seed: int = 0):
        colors = np.random.default_rng(seed).integers(0, 256, (6, 10, 3), dtype=np.uint8)
        picture = Image.fromarray(colors).resize(model.size[::-1], Image.Resampling.BICUBIC)
        self.world = model.start(picture, seed)
        self.first = 0.0  # ms of the last block, until its first frames were on the host

    @property
    def actions(self) -> ActionTrack:
        block = self.world.block
        return walk(self.world.model.mode).block(block and 1 + block % (WALK - 1))

    def begin(self) -> Iterator[np.ndarray]:
        """Begin a block, whose frames come as they are taken."""
        return self.world.stream(self.actions)

    def step(self) -> float:
        """Make a block; milliseconds until all its frames are on the host."""
        begin = time.perf_counter()
        frames = self.begin()
        next(frames)
        self.first = 1e3 * (time.perf_counter() - begin)
        exhaust(frames)
        return 1e3 * (time.perf_counter() - begin)

    def latents(self) -> Tensor:
        """Make a block's latents [1, 16, F, h, w], which `video` decodes."""
        return self.world.step_latents(Actions.from_track(self.actions))

    def video(self, latents: Tensor) -> Tensor:
        """[1, 3, T, H, W], decoded in pieces as in play."""
        pieces = latents.split((1, latents.shape[2] - 1), dim=2)
        return torch.cat([self.world.frames.video(part).float() for part in pieces], dim=2)

    def steady(self) -> Play:
        """Itself, when every block costs the same."""
        while self.world.block < STEADY:
            self.step()
        return self


class Watched(nn.Module):
    """Replaces a transformer and notes when its passes begin and end."""

    def __init__(self, net: nn.Module, clock: Clock):
        super().__init__()
        self.net, self.clock = net, clock
        self.passes: list[tuple] = []
        self.clean: list[tuple] = []
        self.block_inputs = net.block_inputs

    def forward(self, *args) -> Tensor:
        return self._note(self.passes, self.net, args)

    def remember(self, *args) -> None:
        self._note(self.clean, self.net.remember, args)

    def _note(self, notes: list[tuple], function: Callable, args: tuple):
        begin = self.clock.mark()
        result = function(*args)
        notes.append((begin, self.clock.mark()))
        return result


def exhaust(frames: Iterable[np.ndarray]) -> None:
    for _ in frames:
        pass


def rolling(plays: Sequence[Play], blocks: int) -> list[float]:
    """Milliseconds from block to block, of plays that take turns. Each block begins before the frames of the
    one before it are taken."""
    ends, under_way = [], plays[-1].begin()
    for i in range(blocks + 1):
        following = plays[i % len(plays)].begin()
        exhaust(under_way)
        ends.append(time.perf_counter())
        under_way = following
    exhaust(under_way)
    return [1e3 * (end - begin) for begin, end in pairwise(ends)]


def paced(
    begin: Callable[[int], Iterable[np.ndarray]],
    phases: Sequence[float],
    rounds: int,
    alone: float,
    cost: float,
    period: float,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> list[float]:
    """Seconds by which blocks of several worlds are late, in the order of making.

    World i is due a block every `period`, at phases[i] (0 to 1) of it. Like the server's worker, the one that
    is due first comes first, and begins as late as all can be in time if a block takes `alone` seconds and
    each one behind another takes `cost`; if it is time for one, it begins before the last one's frames are
    taken.
    """
    first = clock() + alone + len(phases) * cost + MARGIN
    due, late = [first + phase * period for phase in phases], []
    blocks, under_way = rounds * len(phases), deque()
    while len(late) < blocks:
        start = math.inf
        for moment in sorted(due, reverse=True):
            start = min(moment - MARGIN - alone, start - cost)
        if len(under_way) < min(2, blocks - len(late)) and start <= clock():
            world = due.index(min(due))
            under_way.append((due[world], begin(world)))
            due[world] += period
        elif under_way:
            moment, frames = under_way.popleft()
            exhaust(frames)
            late.append(max(0.0, clock() - moment))
        else:
            sleep(start - clock())
    return late


def held(device: torch.device) -> float:
    """GB in use: on the GPU, or by the process (Linux)."""
    gc.collect()
    if device.type == "cuda":
        return torch.cuda.memory_allocated() / 1e9
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9


def peak(device: torch.device) -> dict[str, float]:
    if device.type == "cpu":
        return {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}
    return {
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
        "reserved_gb": torch.cuda.max_memory_reserved() / 1e9,
    }


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def process_age() -> float:
    """Seconds since this process began (Linux)."""
    began = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def rate(times: Sequence[float]) -> float:
    """Frames a second of blocks of so many ms."""
    return 1e3 * FRAMES * len(times) / sum(times)


def show(title: str, found: dict) -> None:
    """Print figures a line each, and lists of rows (dicts of the same keys) as tables of at most 16."""

    def text(cell: object) -> str:
        return f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell)

    print(f"\n{title}")
    for name, value in found.items():
        if isinstance(value, list) and value:
            lines = [list(value[0]), *(list(map(text, row.values())) for row in value[:16])]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                print("   ", *(cell.rjust(width + 1) for cell, width in zip(line, widths, strict=True)))
        else:
            print(f"  {name:22}", text(value))
    sys.stdout.flush()


class Bench:
    """The parts of one mode; each gives its figures in JSON types."""

    def __init__(self, name: str, args: argparse.Namespace, report: dict):
        self.name, self.args, self.report = name, args, report
        checkpoint, _, words = name.partition("+")
        self.optimization = Optimization.parse(words)
        self.config, self.device = config_named(checkpoint), torch.device(args.device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        torch.empty(1, device=self.device)
        self.startup = {"process_s": process_age()}

    def bare_model(self) -> WorldModel:
        if self.args.load:
            return load_world_model(self.config.name, device=self.args.device, optimization="none")
        return random_model(self.config, self.device, self.dtype)

    @cached_property
    def model(self) -> WorldModel:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        model, times = self.bare_model(), [0.0, 0.0]
        self.startup["weights_gb"] = held(self.device)
        pictures = places(self.config.mode) if self.optimization.int8 else ()
        steps = (lambda: model.optimize(self.optimization, pictures), lambda: warm_up(model))
        for i, step in enumerate(steps):
            begin = time.perf_counter()
            step()
            synchronize(self.device)
            times[i] = time.perf_counter() - begin
        self.startup |= {"optimize_s": times[0], "warm_up_s": times[1]}
        self.startup["ready_s"] = self.startup["process_s"] + sum(times)
        return model

    def environment(self) -> dict:
        cuda = self.device.type == "cuda"
        found = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
        found["flash_attn"] = find_spec("flash_attn") is not None
        if cuda:
            found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
            found["cudnn"] = torch.backends.cudnn.version()
        if cuda and shutil.which("nvidia-smi"):
            query = "--query-gpu=driver_version,power.limit,clocks.max.sm"
            asked = subprocess.run(
                ["nvidia-smi", query, "--format=csv,noheader"], capture_output=True, text=True
            )
            found["driver_power_clock"] = asked.stdout.strip()
        source, target = (torch.randn(2**28 if cuda else 2**24, device=self.device) for _ in range(2))
        ms = roofline.timed([lambda: target.copy_(source)], self.device)
        return found | {"copy_gb_per_s": 2 * source.nbytes / 1e6 / ms}

    def speed(self) -> dict:
        starts, model = [], self.model
        for seed in range(6):
            begin = time.perf_counter()
            play = Play(model, seed)
            started = 1e3 * (time.perf_counter() - begin)
            play.step()
            starts.append(started + play.first)
        warm = held(self.device)
        play = Play(model)  # before its first step, so that the one before it is gone
        play.steady()
        firsts, blocks, stages = [], [], defaultdict(list)
        for _ in range(self.args.blocks):
            blocks.append(play.step())
            firsts.append(play.first)
            for name, ms in play.world.timings.items():
                stages[name].append(ms)
        energy = Energy(self.device)
        frames_per_second = rate(rolling([play], self.args.blocks))
        return {
            **self.startup,
            "very_first_start_ms": starts[0],
            "start_ms": statistics.median(starts[1:]),
            "block_ms": statistics.median(blocks),
            "block_p95_ms": p95(blocks),
            "frames_per_second": frames_per_second,
            **energy.per_frame(FRAMES * (self.args.blocks + 1)),
            "plays_per_card": frames_per_second / model.fps,
            "first_frames_ms": statistics.median(firsts),
            "dit_ms": statistics.median(stages["dit"]),
            "decode_ms": statistics.median(stages["vae"]),
            **self._passes(play),
            "warm_gb": warm,
            **peak(self.device),
        }

    def _passes(self, play: Play) -> dict[str, float | None]:
        """Medians in ms, from blocks of their own; None where passes are not made one by one."""
        clock = Clock(self.device)
        self.model.transformer = watched = Watched(self.model.transformer, clock)
        try:
            for _ in range(max(3, self.args.blocks // 4)):
                play.step()
        finally:
            self.model.transformer = watched.net
        spans = {"pass_ms": watched.passes, "clean_ms": watched.clean}
        return {
            name: statistics.median(clock.ms(*span) for span in of) if of else None
            for name, of in spans.items()
        }

    def sessions(self) -> dict:
        same = self._same_in_turns()
        plays: list[Play] = []
        turns, paces, most = [], [], 0
        for worlds in sorted(set(self.args.sessions)):
            before, new = held(self.device), range(len(plays), worlds)
            plays += [Play(self.model, seed).steady() for seed in new]
            rolling(plays, worlds)  # where it waits, a decoder's state takes memory once, which takes time
            each = (held(self.device) - before) / len(new)
            blocks, energy = worlds * max(2, self.args.blocks // worlds), Energy(self.device)
            times = rolling(plays, blocks)
            row = {"worlds": worlds, "frames_per_second": rate(times), "p95_ms": p95(times)}
            turns.append(row | energy.per_frame(FRAMES * (blocks + 1)) | {"gb_each_more": each})
        alone = p95([play.step() for play in plays * max(2, 16 // len(plays))]) / 1e3
        cost, period = turns[-1]["p95_ms"] / 1e3, FRAMES / self.model.fps
        possible = int(max(row["frames_per_second"] for row in turns) / self.model.fps)
        phases = [random.Random(i).random() for i in range(len(plays))]  # visitors come when they like
        for worlds in range(max(1, min(possible, len(plays))), 0, -1):
            rounds = max(2, self.args.blocks // 3)
            late = paced(lambda i: plays[i].begin(), phases[:worlds], rounds, alone, cost, period)
            row = {"worlds": worlds, "late_p95_ms": 1e3 * p95(late), "late_max_ms": 1e3 * max(late)}
            paces.append(row)
            if row["late_p95_ms"] < LATE:
                most = worlds
                break
        return {"same_frames": same, "turns": turns, "paced": paces, "most_in_real_time": most}

    def _same_in_turns(self) -> bool:
        """Whether a play makes the same frames beside another one as alone."""
        blocks = range(STEADY + 2)
        play = Play(self.model, 1)
        alone = [np.concatenate(list(play.begin())) for _ in blocks]
        play, other, same = Play(self.model, 1), Play(self.model, 2), []
        for block in blocks:
            frames, others = play.begin(), other.begin()
            same.append(np.array_equal(np.concatenate(list(frames)), alone[block]))
            exhaust(others)
        return all(same)

    def endurance(self) -> dict:
        play = Play(self.model).steady()
        before = held(self.device)
        times = rolling([play], self.args.blocks_long)
        some = min(100, len(times))
        return {
            "blocks": len(times),
            "first_ms": statistics.median(times[:some]),
            "last_ms": statistics.median(times[-some:]),
            "frames_per_second": rate(times),
            "before_gb": before,
            "after_gb": held(self.device),
        }

    @torch.inference_mode()
    def precision(self) -> dict:
        models = {"float32": self.bare_model(), "plain": self.bare_model(), self.name: self.model}
        pairs = [("plain", "float32"), (self.name, "float32"), (self.name, "plain")]
        exact, errors = models["float32"], defaultdict(list)
        for net in (exact.transformer, exact.vae, exact.image_encoder):
            net.float()
        plays = {name: Play(model) for name, model in models.items()}
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for _ in range(min(8, self.args.blocks)):
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

    def roofline(self) -> dict:
        ceilings = self.report.setdefault("ceilings", {})
        found = roofline.floors(self.config, self.device, self.dtype, ceilings)
        speed = self.report["runs"].get(self.name, {}).get("speed", {})
        copy = self.report.get("environment", {}).get("copy_gb_per_s")
        times = {"pass": len(self.config.sampling.denoising_steps)}
        for row in found["stages"]:
            row["copy_ms"] = 1e3 * row["least_gb"] / copy if copy else None
            row["measured_ms"] = speed.get(f"{row['stage']}_ms")
        for what in ("floor_ms", "floor_fp8_ms"):
            found[f"block_{what}"] = sum(times.get(row["stage"], 1) * row[what] for row in found["stages"])
        missing = sum(row["by"] is None for row in found["products"])  # the floor is too low if there are any
        return found | {"block_measured_ms": speed.get("block_ms"), "products_not_measured": missing}

    def profile(self) -> dict:
        cuda = self.device.type == "cuda"
        play = Play(self.model).steady()
        alone = statistics.median(play.step() for _ in range(3))
        kinds = torch.profiler.ProfilerActivity
        with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA] if cuda else [kinds.CPU]) as seen:
            play.step()
            synchronize(self.device)
        ran = [event for event in seen.events() if event.device_type.name == ("CUDA" if cuda else "CPU")]
        ran = [event for event in ran if not getattr(event, "is_user_annotation", False)]
        spans = (event.time_range.elapsed_us() if cuda else event.self_cpu_time_total for event in ran)
        busy, time_of = sum(spans) / 1e3, f"self_{'device' if cuda else 'cpu'}_time_total"
        found = {"launches": len(ran), "busy_ms": busy, "block_ms": alone, "busy_share": busy / alone}
        table = seen.key_averages().table(sort_by=time_of, row_limit=40, max_name_column_width=90)
        with self.args.profile.open("a") as file:
            file.write(f"{self.name}: {json.dumps(found)}\n{table}\n")
        return found


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--modes", "--checkpoint", nargs="+", default=MODES, metavar="NAME")
    parser.add_argument("--parts", nargs="+", choices=PARTS[:-1])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--blocks", type=int, default=60, help="measured for a figure (default 60)")
    parser.add_argument("--blocks-long", type=int, default=2000, help="of endurance (default 2000)")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument(
        "--fraction", type=float, metavar="GB", help="of the GPU's memory, all that PyTorch gets"
    )
    parser.add_argument("--load", action="store_true", help="the checkpoint's weights, not random ones")
    parser.add_argument("--profile", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--append", action="store_true", help="keep what the files hold")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The number of parts that failed, or of modes where there are several."""
    args = parse(argv)
    for path in (args.json, args.profile):
        if path and not args.append:
            path.unlink(missing_ok=True)
    if len(args.modes) > 1:
        failed = 0
        for name in args.modes:
            parts = args.parts or (FIRST if name == args.modes[0] else OTHERS)
            own = [*argv, "--append", "--modes", name, "--parts", *parts]
            failed += subprocess.run([sys.executable, "-m", "benchmarks.gpu", *own]).returncode != 0
        return failed
    if args.device != "cpu":
        use_expandable_segments()  # before the GPU is first used
    if args.fraction:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(args.fraction * 1e9 / total)
    report = json.loads(args.json.read_text()) if args.json and args.json.exists() else {"runs": {}}
    bench, failed = Bench(args.modes[0], args, report), 0
    parts = {*(args.parts or FIRST), *(["profile"] if args.profile else [])}
    for part in sorted(parts, key=PARTS.index):
        begin = time.perf_counter()
        try:
            found = getattr(bench, part)()
        except Exception as error:  # the other parts may do
            traceback.print_exc()
            found, failed = {"error": f"{type(error).__name__}: {error}"}, failed + 1
        show(f"{bench.name}: {part} ({time.perf_counter() - begin:.0f} s)", found)
        (report if part == "environment" else report["runs"].setdefault(bench.name, {}))[part] = found
        if args.json:
            unfinished = args.json.with_suffix(".part")
            unfinished.write_text(json.dumps(report, indent=1) + "\n")
            unfinished.replace(args.json)
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
