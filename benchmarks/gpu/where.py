"""The parts `roofline` and `profile`: where a block's time goes, and what it could take at least."""

from __future__ import annotations

import json
import statistics

import torch

from benchmarks import roofline as limits
from benchmarks.gpu.bench import Bench, synchronize
from benchmarks.gpu.plays import Play


def roofline(bench: Bench) -> dict:
    measured = bench.report.setdefault("ceilings", {})  # by what measured them: files are continued elsewhere
    name = torch.cuda.get_device_name() if bench.device.type == "cuda" else "CPU"
    ceilings = measured.setdefault(f"{name}, {str(bench.dtype).removeprefix('torch.')}", {})
    found = limits.floors(bench.config, bench.device, bench.dtype, ceilings)
    speed = bench.report["runs"].get(bench.name, {}).get("speed", {})
    copy = bench.report.get("environment", {}).get("copy_gb_per_s")
    times = {"pass": len(bench.config.sampling.denoising_steps)}
    for row in found["stages"]:
        row["copy_ms"] = 1e3 * row["least_gb"] / copy if copy else None
        row["measured_ms"] = speed.get(f"{row['stage']}_ms")
    for what in ("floor_ms", "floor_fp8_ms"):
        found[f"block_{what}"] = sum(times.get(row["stage"], 1) * row[what] for row in found["stages"])
    missing = sum(row["by"] is None for row in found["products"])  # the floor is too low if there are any
    return found | {"block_measured_ms": speed.get("block_ms"), "products_not_measured": missing}


def profile(bench: Bench) -> dict:
    cuda = bench.device.type == "cuda"
    play = Play(bench.model).steady()
    alone = statistics.median(play.step() for _ in range(3))
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA] if cuda else [kinds.CPU]) as seen:
        play.step()
        synchronize(bench.device)
    ran = [event for event in seen.events() if event.device_type.name == ("CUDA" if cuda else "CPU")]
    ran = [event for event in ran if not getattr(event, "is_user_annotation", False)]
    spans = (event.time_range.elapsed_us() if cuda else event.self_cpu_time_total for event in ran)
    busy, time_of = sum(spans) / 1e3, f"self_{'device' if cuda else 'cpu'}_time_total"
    found = {"launches": len(ran), "busy_ms": busy, "block_ms": alone, "busy_share": busy / alone}
    table = seen.key_averages().table(sort_by=time_of, row_limit=40, max_name_column_width=90)
    with bench.args.profile.open("a") as file:
        file.write(f"{bench.name}: {json.dumps(found)}\n{table}\n")
    return found
