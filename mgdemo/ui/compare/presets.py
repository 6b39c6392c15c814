"""Comparisons that many people want, ready to run; each that cannot be run here says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mgdemo.actions import MODES
from mgdemo.checkpoints import Entry
from mgdemo.compare.device import Device
from mgdemo.ui.compare.choice import PLAIN, Choice
from mgdemo.ui.compare.planner import key_of
from mgdemo.ui.library import Library

SEEDS = "0..3"


@dataclass(frozen=True)
class Preset:
    """choice: gives what it compares here, or why it cannot be run, with a cure. It is called with the
    library and with a function that gives the device, which takes a while at first."""

    name: str
    title: str
    choice: Callable[[Library, Callable[[], Device]], Choice | str]


def _three_worlds(library: Library, _device: object) -> Choice | str:
    worlds = [entry for mode in MODES if (entry := _first(library, mode, embedded=True))]
    worlds = worlds or [entry for mode in MODES if (entry := _first(library, mode, embedded=False))]
    if len(worlds) < 2:
        return "Only one world is on this machine: `git checkout worlds` restores those that ship."
    return Choice(_scenario(library, worlds[0].mode), checkpoints=tuple(entry.name for entry in worlds))


def _embedded_against_published(library: Library, device: Callable[[], Device]) -> Choice | str:
    for mode in MODES:
        embedded = _first(library, mode, embedded=True)
        published = _first(library, mode, embedded=False)
        if embedded and published:
            if not device().gpu:
                return (
                    f"{published.title} needs an NVIDIA GPU. This machine computes on {device().kind}: "
                    "each half second of video would take minutes."
                )
            return Choice(_scenario(library, mode), checkpoints=(embedded.name, published.name))
    mode = library.first().mode
    return (
        "No published world is on this machine. “python -m mgdemo download "
        f"--mode {mode}” fetches one; it needs an NVIDIA GPU."
    )


def _four_seeds(library: Library, _device: object) -> Choice | str:
    entry = library.first()
    if not entry.available:
        return "No world is on this machine: `git checkout worlds` restores those that ship."
    return Choice(_scenario(library, entry.mode), checkpoints=(entry.name,), column_seeds=SEEDS)


def _fp8(library: Library, device: Callable[[], Device]) -> Choice | str:
    if not device().fp8:
        return (
            "FP8 needs an NVIDIA GPU with 8-bit floats (GeForce 40 series, L4, H100 or newer). This machine "
            f"computes on {device().kind}."
        )
    entry = max(library.catalog(), key=lambda entry: (entry.available, not entry.embedded))
    return Choice(_scenario(library, entry.mode), checkpoints=(entry.name,), optimizations=(PLAIN, "fp8"))


def _first(library: Library, mode: str, *, embedded: bool) -> Entry | None:
    found = (entry for entry in library.of_mode(mode) if entry.available and entry.embedded == embedded)
    return next(found, None)


def _scenario(library: Library, mode: str) -> tuple[str, ...]:
    """A scenario of a mode that moves ahead and turns, so that it means something in the others."""
    listed = library.scenarios().get(mode) or next(filter(None, library.scenarios().values()), [])
    return tuple(key_of(scenario) for scenario in listed[:1])


PRESETS = (
    Preset("three worlds", "Three worlds", _three_worlds),
    Preset("embedded against published", "Embedded against published", _embedded_against_published),
    Preset("four seeds", "Four seeds", _four_seeds),
    Preset("fp8 against bf16", "FP8 against bf16", _fp8),
)
