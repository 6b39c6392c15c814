"""How quickly the columns of a grid will be made: as measured here, and before that, about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean

from mgdemo import probe
from mgdemo.compare.device import Device
from mgdemo.compare.plan import Grid, Speeds, Variant
from mgdemo.compare.store import RunStore
from mgdemo.serving.engines.process import environment
from mgdemo.settings import Settings

# Frames a second of published worlds on an H100, which multiplies matrices at so many TFLOP/s
# (docs/performance.md).
PUBLISHED_FPS, PUBLISHED_TFLOPS = 90.0, 700.0


def expected(
    columns: Sequence[Variant], measured: Speeds, device: Device, probed: float | None = None
) -> Speeds:
    """Frames a second by `Variant.made_with`, for all columns of which something is known.

    measured: those of finished runs, which count first; then those of other columns of the same size. probed:
    of an embedded world (see `mgdemo.probe`). Published worlds are judged by the GPU.
    """
    found = {column.made_with: fps for column in columns if (fps := measured.get(column.made_with))}
    of_size = defaultdict(list)
    for column in columns:
        if column.made_with in found:
            of_size[column.size].append(found[column.made_with])
    for column in columns:
        alike, guess = of_size[column.size], probed if column.known else _published(device)
        if fps := mean(alike) if alike else guess:
            found.setdefault(column.made_with, fps)
    return found


def _published(device: Device) -> float | None:
    return PUBLISHED_FPS * device.tflops / PUBLISHED_TFLOPS if device.tflops else None


def speeds(planned: Grid, store: RunStore, device: Device, settings: Settings) -> Speeds:
    """As `expected`, of what is in a store; a world is probed if that is needed, which takes seconds."""
    columns, measured = planned.columns, store.speeds()
    embedded = [column for column in columns if column.known]
    probed = None
    if embedded and not any(column.made_with in measured for column in embedded):
        probed = probe.ask(embedded[0].checkpoint, settings, environment(settings))
    return expected(columns, measured, device, probed)
