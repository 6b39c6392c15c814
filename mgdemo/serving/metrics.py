"""What Prometheus reads of the service: counts and histograms since the start, and its present state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # a second number for each, of no use here

LATE = (0.0, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)  # seconds
LATENCY = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
WAIT = (0.1, 1, 5, 15, 30, 60, 120, 300, 600, 1200)


class Metrics:
    """Names begin with mgdemo_; those of counters end in _total. May be used from any thread.

    state: returns what is known of the moment, see `state_families`.
    """

    def __init__(self, state: Callable[[], Iterable[Metric]]):
        registry = self._registry = CollectorRegistry()

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"mgdemo_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"mgdemo_{name}_seconds", about, buckets=buckets, registry=registry)

        self.sessions = counter("sessions", "Sessions that got a place.")
        self.ended = counter("ended", "Sessions that ended.")
        self.errors = counter("errors", "Sessions that ended with an error.")
        self.moves = counter("moves", "Sessions that went on after their worker was lost.")
        self.crashes = counter("crashes", "Workers lost, to be started again.", "engine", "device")
        self.blocks = counter("blocks", "Blocks made, regenerated ones left out.")
        self.regenerated = counter("regenerated_blocks", "Blocks made again with newer input.")
        self.frames = counter("frames", "Video frames made, those of regenerated blocks included.")
        self.refusals = counter("refusals", "What visitors were refused, by the reason.", "reason")
        self.wait = histogram("wait", "From Start to a place.", WAIT)
        self.lateness = histogram("block_lateness", "By how much a block missed its moment.", LATE)
        self.latency = histogram("input_latency", "From an input to the block that obeys it.", LATENCY)
        registry.register(_State(state))

    def refused(self, reason: str) -> None:
        """reason: one of few fixed words."""
        self.refusals.labels(reason).inc()

    def refused_so_far(self) -> dict[str, int]:
        """How often, by the reason."""
        samples = (sample for family in self.refusals.collect() for sample in family.samples)
        return {sample.labels["reason"]: int(sample.value) for sample in samples}

    def text(self) -> bytes:
        """In the format of Prometheus. Looks at the disk, so it may take a while."""
        return generate_latest(self._registry)

    def values(self) -> dict[str, float]:
        """The same without histograms, by names without mgdemo_; what has labels is summed up."""
        sums: defaultdict[str, float] = defaultdict(float)
        for family in self._registry.collect():
            if family.type == "counter":  # there from the start: one with labels has no sample yet
                sums[f"{family.name.removeprefix('mgdemo_')}_total"] += 0.0
            for sample in family.samples if family.type in ("counter", "gauge") else ():
                sums[sample.name.removeprefix("mgdemo_")] += sample.value
        return dict(sums)


class _State(Collector):
    def __init__(self, state: Callable[[], Iterable[Metric]]):
        self._state = state

    def collect(self) -> Iterable[Metric]:
        return self._state()

    def describe(self) -> Iterable[Metric]:
        return ()  # so that registering does not collect


STATES = ("idle", "running", "stuck", "aside")  # of an engine; idle: its worker has not been needed yet


def state_families(
    playing: int, queued: int, places: int, workers: Iterable[dict], disk: dict[str, int]
) -> Iterator[Metric]:
    """workers: as in the service's health. disk: bytes by what they are."""
    yield GaugeMetricFamily("mgdemo_playing", "Sessions that have a place.", value=playing)
    yield GaugeMetricFamily("mgdemo_queued", "Sessions that wait for a place.", value=queued)
    yield GaugeMetricFamily("mgdemo_places", "How many sessions may have one at once.", value=places)
    labels = ("engine", "device")
    state = GaugeMetricFamily("mgdemo_engine_state", "1: it is in this state.", labels=(*labels, "state"))
    memory = GaugeMetricFamily("mgdemo_engine_memory_bytes", "Used on its device.", labels=labels)
    for worker in workers:
        engine = (str(worker["engine"]), worker["device"])
        for name in STATES:
            state.add_metric((*engine, name), float(name == state_of(worker)))
        if worker["memory_bytes"] is not None:
            memory.add_metric(engine, worker["memory_bytes"])
    yield state
    yield memory
    kept = GaugeMetricFamily("mgdemo_disk_bytes", "What is kept on the disk.", labels=("kind",))
    for kind, size in disk.items():
        kept.add_metric((kind,), size)
    yield kept


def state_of(worker: dict) -> str:
    """One of STATES. worker: as in the service's health."""
    if worker["aside_seconds"]:
        return "aside"
    if worker["trouble"]:
        return "stuck"
    return "running" if worker["running"] else "idle"
