"""What is measured: one mode's model, optimized, and what it takes to get it ready."""

from __future__ import annotations

import argparse
import gc
import os
import resource
import time
from functools import cached_property
from pathlib import Path

import torch

from devtools.random_weights import random_model
from mgdemo.checkpoints import config_named
from mgdemo.config import Optimization
from mgdemo.loading import load_world_model, places, warm_up
from mgdemo.world import WorldModel


class Bench:
    """One mode under the command's arguments; report: what is known already."""

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
