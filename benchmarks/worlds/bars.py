"""What is asked of a world, in one table for each mode: figures, their intervals, and whether they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks import controllability, quality
from benchmarks.controllability import Held
from benchmarks.runs import Starts
from benchmarks.worlds import still, walk
from benchmarks.worlds.speed import controls


class Found(NamedTuple):
    """What the parts found at one start; None where a part was not asked for."""

    still: dict[str, still.Stood] | None = None
    walk: walk.Found | None = None
    keys: controllability.Found | None = None
    true_speeds: dict[Held, list[float]] | None = None


Figure = Callable[[list[Found]], float | None]


class Bar(NamedTuple):
    """What is asked of a figure; its interval's lower end may be asked for, too."""

    part: str
    name: str
    figure: Figure
    least: float | None = None
    most: float | None = None
    least_low: float | None = None

    def judge(self, found: list[Found], times: int = 300) -> dict | None:
        """The figure, its 95 % interval over resampled starts, and whether it `holds`: None where nothing is
        asked of it. No row where the figure cannot be had."""
        value = self.figure(found)
        if value is None:
            return None
        generator = np.random.default_rng(0)
        drawn = [
            self.figure([found[i] for i in generator.integers(0, len(found), len(found))])
            for _ in range(times)
        ]
        low, high = np.quantile([v for v in drawn if v is not None], (0.025, 0.975))
        holds = None
        if self.least is not None or self.most is not None:
            holds = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
            holds = holds and (self.least_low is None or bool(low >= self.least_low))
        row = {"bar": self.name, "part": self.part, "value": value, "low": float(low), "high": float(high)}
        return row | {"least": self.least, "most": self.most, "least_low": self.least_low, "holds": holds}


def _mean(of: Callable[[Found], list]) -> Figure:
    def figure(found: list[Found]) -> float | None:
        values = [value for each in found for value in of(each)]
        return float(np.mean(values)) if values else None

    return figure


def _ratio(of: Callable[[Found], tuple], total: Callable = np.sum) -> Figure:
    """The sum of made values over that of true ones, or another total's."""

    def figure(found: list[Found]) -> float | None:
        made, true = (np.concatenate([np.ravel(pair[i]) for pair in map(of, found)]) for i in (0, 1))
        if not (len(made) and len(true)):
            return None
        below = float(total(true))
        return float(total(made)) / below if abs(below) > 1e-6 else None

    return figure


def _summed(starts: Starts, seconds: float, pick: Callable[[dict], float]) -> Figure:
    """A figure of `benchmarks.quality`."""

    def figure(found: list[Found]) -> float:
        return pick(quality.sum_up(starts, [each.walk.quality for each in found], seconds))

    return figure


def _frechet(second: int) -> Figure:
    def figure(found: list[Found]) -> float:
        return walk.frechet(
            *(np.concatenate([each.walk.features[second][i] for each in found]) for i in (0, 1))
        )

    return figure


def _floor(second: int) -> Figure:
    """Between the true frames of every other start: how far apart two sets of half the size are by chance."""

    def figure(found: list[Found]) -> float | None:
        true = [each.walk.features[second][1] for each in found]
        return walk.frechet(np.concatenate(true[::2]), np.concatenate(true[1::2])) if len(true) > 1 else None

    return figure


def table(starts: Starts, parts: list[str], seconds: float, base: dict[str, float]) -> list[Bar]:
    """All bars of a mode. base: earlier figures by name, of which distances should be a third."""
    makers = {"still": _still, "walk": _walk, "keys": _keys}
    return [bar for part in parts for bar in makers[part](starts, seconds, base)]


def _still(starts: Starts, _seconds: float, _base: dict) -> Iterator[Bar]:
    for held in still.HELD[starts.mode]:
        name = "+".join(held) or "nothing"
        yield Bar("still", f"still, {name} held", _mean(lambda f, n=name: [f.still[n].holds]), 0.95)


def _walk(starts: Starts, seconds: float, base: dict) -> Iterator[Bar]:
    mode = starts.mode
    yield Bar("walk", "detail at 0 s, VAE alone", _ratio(lambda f: f.walk.kept), 0.6)
    straight = lambda f: tuple(d[~f.walk.turning] for d in f.walk.detail)  # noqa: E731
    yield Bar("walk", "detail at 10 s", _ratio(straight), 0.5)
    if mode == "templerun":
        turns = lambda f: tuple(d[f.walk.turning] for d in f.walk.detail)  # noqa: E731
        yield Bar("walk", "detail at 10 s, in turns", _ratio(turns), 0.4)
    yield Bar("walk", "gradient energy, least", _summed(starts, seconds, lambda q: q["energy"][0]), 0.8)
    yield Bar(
        "walk", "gradient energy, greatest", _summed(starts, seconds, lambda q: q["energy"][1]), None, 1.2
    )
    for second in (s for s in walk.PLACES if s <= seconds):
        name = f"frechet at {second} s"
        yield Bar("walk", name, _frechet(second), None, base[name] / 3 if name in base else None)
        yield Bar("walk", f"frechet_floor at {second} s", _floor(second))
    if mode == "gta_drive" and seconds > 20:
        yield Bar("walk", "road and horizon from 20 s on", _mean(lambda f: list(f.walk.drivable)), 0.9)
    if mode == "universal" and seconds >= 20:
        yield Bar("walk", "houses at 20 s, over truth", _ratio(lambda f: f.walk.houses), 0.5)
    yield Bar("walk", "PSNR after 1 s", _mean(lambda f: [f.walk.quality.psnr]), 21.0, None, 20.5)
    yield Bar("walk", "collapsed", _collapsed(starts, seconds), None, 0.0)


def _collapsed(starts: Starts, seconds: float) -> Figure:
    """Share of runs that have collapsed by `benchmarks.quality`, or show no place most of the time from 20 s
    on: the energy of windows in the dark does not save a night in which nothing else is left."""

    def figure(found: list[Found]) -> float:
        gone = quality.sum_up(starts, [each.walk.quality for each in found], seconds)["collapsed_starts"]
        return float(np.mean([i in gone or each.walk.lost > 0.5 for i, each in enumerate(found)]))

    return figure


def _keys(starts: Starts, _seconds: float, _base: dict) -> Iterator[Bar]:
    mode = starts.mode
    for held in controls(mode):
        pair = lambda f, h=held: (f.keys.speeds.get(h, []), f.true_speeds.get(h, []))  # noqa: E731
        yield Bar("keys", f"speed, {'+'.join(held) or 'run'}", _ratio(pair, np.median), 0.85, 1.15)

    def summed(pick: Callable[[dict], float]) -> Figure:
        return lambda found: pick(controllability.sum_up(starts, [each.keys for each in found]))

    strict = {"universal": 0.85, "gta_drive": 0.95, "templerun": 0.99}[mode]
    yield Bar("keys", "right motion", summed(lambda c: c["overall"]), 0.99)
    yield Bar("keys", "blocks, strictly", summed(lambda c: c["strict"]["overall"]), strict)
    if mode != "templerun":
        yield Bar("keys", "stands still for 3 s", summed(lambda c: c["idle"]), 1.0)
