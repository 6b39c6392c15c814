"""The part `sessions`: several plays of one model."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.energy import Energy
from benchmarks.gpu.bench import Bench, held
from benchmarks.gpu.plays import FRAMES, STEADY, Play, exhaust, p95, paced, rate, rolling

LATE = 40.0  # ms


def sessions(bench: Bench) -> dict:
    same = _same_in_turns(bench)
    plays: list[Play] = []
    turns, paces, most = [], [], 0
    for worlds in sorted(set(bench.args.sessions)):
        before, new = held(bench.device), range(len(plays), worlds)
        plays += [Play(bench.model, seed).steady() for seed in new]
        rolling(plays, worlds)  # where it waits, a decoder's state takes memory once, which takes time
        each = (held(bench.device) - before) / len(new)
        blocks, energy = worlds * max(2, bench.args.blocks // worlds), Energy(bench.device)
        times = rolling(plays, blocks)
        row = {"worlds": worlds, "frames_per_second": rate(times), "p95_ms": p95(times)}
        turns.append(row | energy.per_frame(FRAMES * (blocks + 1)) | {"gb_each_more": each})
    alone = p95([play.step() for play in plays * max(2, 16 // len(plays))]) / 1e3
    cost, period = turns[-1]["p95_ms"] / 1e3, FRAMES / bench.model.fps
    possible = int(max(row["frames_per_second"] for row in turns) / bench.model.fps)
    phases = [random.Random(i).random() for i in range(len(plays))]  # visitors come when they like
    for worlds in range(max(1, min(possible, len(plays))), 0, -1):
        rounds = max(2, bench.args.blocks // 3)
        late = paced(lambda i: plays[i].begin(), phases[:worlds], rounds, alone, cost, period)
        row = {"worlds": worlds, "late_p95_ms": 1e3 * p95(late), "late_max_ms": 1e3 * max(late)}
        paces.append(row)
        if row["late_p95_ms"] < LATE:
            most = worlds
            break
    return {"same_frames": same, "turns": turns, "paced": paces, "most_in_real_time": most}


def _same_in_turns(bench: Bench) -> bool:
    """Whether a play makes the same frames beside another one as alone."""
    blocks = range(STEADY + 2)
    play = Play(bench.model, 1)
    alone = [np.concatenate(list(play.begin())) for _ in blocks]
    play, other, same = Play(bench.model, 1), Play(bench.model, 2), []
    for block in blocks:
        frames, others = play.begin(), other.begin()
        same.append(np.array_equal(np.concatenate(list(frames)), alone[block]))
        exhaust(others)
    return all(same)
