"""What there is to choose from, as programs read it."""

from typing import TypedDict

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.compare.device import Device
from mgdemo.scenario import Scenario
from mgdemo.ui.compare.choice import OPTIMIZATIONS, PLAIN
from mgdemo.ui.compare.planner import key_of
from mgdemo.ui.library import Library


class CheckpointEntry(TypedDict):
    """controls: what can be held in its mode. available: whether its weights are here."""

    name: str
    title: str
    mode: str
    embedded: bool
    available: bool
    controls: list[str]
    images: list[str]


class Catalog(TypedDict):
    """optimizations: those that can be computed here; the empty one is what the server is set to."""

    checkpoints: list[CheckpointEntry]
    optimizations: list[str]


class MarkEntry(TypedDict):
    """A named moment; frame counts from 0."""

    name: str
    frame: int


class ScenarioEntry(TypedDict):
    """frames at 25 a second."""

    name: str
    mode: str
    title: str
    description: str
    seconds: float
    frames: int
    marks: list[MarkEntry]
    yaml: str


def optimizations_on(device: Device) -> list[str]:
    """Those that a device can compute."""
    others = [words for words in OPTIMIZATIONS if words != PLAIN and (device.fp8 or words != "fp8")]
    return ["", *(others if device.gpu else ())]


def checkpoint_entries(library: Library) -> list[CheckpointEntry]:
    return [
        CheckpointEntry(
            name=entry.name,
            title=entry.title,
            mode=entry.mode,
            embedded=entry.embedded,
            available=entry.available,
            controls=[control.name for control in MODES[entry.mode].controls],
            images=[path.stem for path in library.start_images(entry.name)],
        )
        for entry in library.catalog()
    ]


def scenario_entry(scenario: Scenario) -> ScenarioEntry:
    return ScenarioEntry(
        name=key_of(scenario) if scenario.path else "",
        mode=scenario.mode,
        title=scenario.title,
        description=scenario.description,
        seconds=round(len(scenario.track) / FPS, 2),
        frames=len(scenario.track),
        marks=[MarkEntry(name=mark.name, frame=mark.frame) for mark in scenario.marks],
        yaml=scenario.text,
    )
