"""Which engines a service has: as many as there are devices, of the kind that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgdemo.apart import apart
from mgdemo.serving.engines import Engine, EngineFactory, Fleet, OnEvent, OnLost, Slot, T
from mgdemo.serving.engines.process import ProcessEngine
from mgdemo.serving.engines.zerogpu import leases
from mgdemo.settings import Settings


class Fixed:
    """A `Fleet` of one engine for each of `Settings.device`, for good."""

    def __init__(self, settings: Settings, engine: EngineFactory):
        self._settings, self._engine = settings, engine
        devices = settings.device.split(",")
        self._slots = [Slot(device.strip(), str(number)) for number, device in enumerate(devices)]

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def engine(self, slot: Slot, on_event: OnEvent, on_lost: OnLost) -> Engine:
        return self._engine(self._settings, slot.device, on_event, on_lost)

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        return apart(work, self._slots[0].device, patience=patience, once=True)

    def close(self) -> None:
        pass


def fleet_of(settings: Settings) -> Fleet:
    """The fleet that the settings ask for (`Settings.engine`). Raises UserError where it cannot be had."""
    match settings.engine:
        case "ray":
            from mgdemo.serving.engines.ray_cluster import RayCluster

            return RayCluster(settings)
        case "zerogpu":
            return leases(settings)
        case _:
            return Fixed(settings, ProcessEngine)
