"""What a run has cost: by stage, to start, in memory and in energy; for reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

STAGES = {"dit": "denoising a block", "vae": "decoding a block", "encode": "encoding a block"}


@dataclass(frozen=True)
class Cost:
    """A figure of a run's facts. column: its name in CSV files, with its unit; title, shown: for people."""

    column: str
    title: str
    value: Callable[[dict], float | None]
    shown: Callable[[float], str]


def _stage(name: str) -> Callable[[dict], float | None]:
    return lambda facts: facts["timings"].get("stages", {}).get(name)


def _time(name: str) -> Callable[[dict], float | None]:
    return lambda facts: facts["timings"].get(name)


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _joules(value: float) -> str:
    return f"{value:.2f} J"


def _bytes(value: float) -> str:
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


COSTS = (
    *(Cost(f"{name}_ms", title, _stage(name), _ms) for name, title in STAGES.items()),
    Cost("first_block_seconds", "first block", _time("first_block_seconds"), _seconds),
    Cost("load_seconds", "loading the checkpoint", _time("load_seconds"), _seconds),
    Cost("start_seconds", "starting the world", _time("start_seconds"), _seconds),
    Cost("peak_bytes", "memory at its peak", lambda facts: facts.get("peak_bytes"), _bytes),
    Cost(
        "joules_per_frame",
        "energy of a frame",
        lambda facts: facts.get("joules_per_frame"),
        _joules,
    ),
)


def values(facts: dict | None) -> list[float | None]:
    """Each of `COSTS`; None where it is not known, or the run is not there."""
    return [cost.value(facts) if facts else None for cost in COSTS]


def rows(runs: Sequence[dict | None]) -> list[tuple[str, list[str]]]:
    """A title, and what to show for each run, of the costs that are known of any; by the runs' facts."""
    table = zip(COSTS, zip(*map(values, runs), strict=True), strict=True)
    return [
        (cost.title, ["–" if value is None else cost.shown(value) for value in row])
        for cost, row in table
        if any(value is not None for value in row)
    ]
