"""The parts `speed`, `endurance` and `reference`: a single play."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable

from torch import Tensor, nn

from benchmarks import reference as public_program
from benchmarks.energy import Energy
from benchmarks.gpu.bench import Bench, held, peak
from benchmarks.gpu.plays import FRAMES, Play, p95, rate, rolling
from benchmarks.roofline import Clock


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


def speed(bench: Bench) -> dict:
    starts, model = [], bench.model
    for seed in range(6):
        begin = time.perf_counter()
        play = Play(model, seed)
        started = 1e3 * (time.perf_counter() - begin)
        play.step()
        starts.append(started + play.first)
    warm = held(bench.device)
    play = Play(model)  # before its first step, so that the one before it is gone
    play.steady()
    firsts, blocks, stages = [], [], defaultdict(list)
    for _ in range(bench.args.blocks):
        blocks.append(play.step())
        firsts.append(play.first)
        for name, ms in play.world.timings.items():
            stages[name].append(ms)
    energy = Energy(bench.device)
    frames_per_second = rate(rolling([play], bench.args.blocks))
    return {
        **bench.startup,
        "very_first_start_ms": starts[0],
        "start_ms": statistics.median(starts[1:]),
        "block_ms": statistics.median(blocks),
        "block_p95_ms": p95(blocks),
        "frames_per_second": frames_per_second,
        **energy.per_frame(FRAMES * (bench.args.blocks + 1)),
        "plays_per_card": frames_per_second / model.fps,
        "first_frames_ms": statistics.median(firsts),
        "dit_ms": statistics.median(stages["dit"]),
        "decode_ms": statistics.median(stages["vae"]),
        **_passes(bench, play),
        "warm_gb": warm,
        **peak(bench.device),
    }


def _passes(bench: Bench, play: Play) -> dict[str, float | None]:
    """Medians in ms, from blocks of their own; None where passes are not made one by one."""
    clock = Clock(bench.device)
    bench.model.transformer = watched = Watched(bench.model.transformer, clock)
    try:
        for _ in range(max(3, bench.args.blocks // 4)):
            play.step()
    finally:
        bench.model.transformer = watched.net
    spans = {"pass_ms": watched.passes, "clean_ms": watched.clean}
    return {
        name: statistics.median(clock.ms(*span) for span in of) if of else None for name, of in spans.items()
    }


def endurance(bench: Bench) -> dict:
    play = Play(bench.model).steady()
    before = held(bench.device)
    times = rolling([play], bench.args.blocks_long)
    some = min(100, len(times))
    return {
        "blocks": len(times),
        "first_ms": statistics.median(times[:some]),
        "last_ms": statistics.median(times[-some:]),
        "frames_per_second": rate(times),
        "before_gb": before,
        "after_gb": held(bench.device),
    }


def reference(bench: Bench) -> dict:
    args = bench.args
    return public_program.beside(
        args.reference, bench.config, bench.device, args.blocks, args.reference_eager, lambda: _loops(bench)
    )


def _loops(bench: Bench) -> dict[str, dict[str, float]]:
    """What stands beside the loops of the public program."""
    play, found = Play(bench.model).steady(), {}
    for loop in ("batch", "streaming"):
        energy, blocks = Energy(bench.device), bench.args.blocks
        if loop == "batch":
            times, made = rolling([play], blocks), blocks + 1
        else:
            times, made = [play.step() for _ in range(blocks)], blocks
        found[loop] = {"frames_per_second": rate(times), "block_ms": statistics.median(times)}
        found[loop] |= energy.per_frame(FRAMES * made)
    return found
