"""What the blocks of a session have cost: kept while it runs, reported at the end of a scenario."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mgdemo import messages as m
from mgdemo.worker.meter import Meter


class Account:
    """What one session has cost. `timings`: milliseconds of the last block's stages."""

    def __init__(self, load_seconds: float | None = None, start_seconds: float | None = None):
        self.timings: dict[str, float] = {}
        self._load, self._start = load_seconds, start_seconds
        self._seconds: list[float] = []  # of each block
        self._frames = 0  # of those after the first
        self._stages: defaultdict[str, float] = defaultdict(float)  # milliseconds of those, together
        self._joules: float | None = None  # the counter as the session began
        self._alone = True
        self._peak = 0  # bytes, before the meter forgot them for another session

    def begin(self, meter: Meter, others: Iterable[Account] = ()) -> None:
        """others: of the sessions that have begun already; the meter's peak is theirs until now."""
        for other in others:
            other._peak = max(other._peak, meter.peak_bytes or 0)
        meter.reset_peak()
        self._joules = meter.joules

    def disturbed(self) -> None:
        """The device does something else, too, so that its energy is not the session's."""
        self._alone = False

    def add(self, timings: dict[str, float], frames: int, seconds: float) -> None:
        """A block, and how long the device worked on it."""
        self.timings = {name: round(float(ms), 1) for name, ms in timings.items()}
        if self._seconds:
            self._frames += frames
            for name, ms in timings.items():
                self._stages[name] += float(ms)
        self._seconds.append(seconds)

    def report(self, meter: Meter) -> m.Report:
        first, *rest = self._seconds or [0.0]
        now = meter.joules if self._alone else None
        return m.Report(
            fps=self._frames / max(sum(rest), 1e-6) if rest else None,
            stages={name: round(ms / len(rest), 2) for name, ms in self._stages.items()},
            load_seconds=self._load,
            start_seconds=self._start,
            first_block_seconds=first or None,
            peak_bytes=max(self._peak, meter.peak_bytes or 0) or None,
            joules=None if now is None or self._joules is None else now - self._joules,
            versions=meter.versions(),
            hardware=meter.hardware(),
        )
