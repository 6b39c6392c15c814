"""The hosts of a Ray cluster as a fleet: an engine for each GPU, or for each share of their CPUs."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from mgdemo.errors import UserError, first_line
from mgdemo.serving.engines import Engine, OnEvent, OnLost, Slot, T
from mgdemo.serving.engines.ray_actor import RayEngine
from mgdemo.serving.engines.ray_asking import ask_there
from mgdemo.serving.engines.ray_shares import Share, address_of, answers, reach, shares
from mgdemo.settings import Settings

LOOK = 1.0  # seconds between looks at the cluster
HEAD_SECONDS = 20.0  # without the head node; after 60, Ray ends this process without a word
CURE = "start one with `ray start --head`, and join it on other hosts with `ray start --address=HOST:6379`"

log = logging.getLogger(__name__)


class ClusterError(UserError):
    """A cluster that cannot be used; the message says why and what to do."""


class RayCluster:
    """A `Fleet` on the cluster that RAY_ADDRESS names, or on the one that this host belongs to.

    Raises UserError where there is none. Looks again and again which nodes there are.
    """

    def __init__(self, settings: Settings):
        if settings.device not in ("auto", "cpu", "cuda"):
            raise ClusterError(
                f"MGDEMO_DEVICE is {settings.device!r}, but the engine ray finds devices itself: give auto, "
                "cpu or cuda."
            )
        if find_spec("ray") is None:
            raise ClusterError("The engine ray needs the package ray: pip install 'ray>=2.52,<3'.")
        self._settings, self._closed, self._lock = settings, threading.Event(), threading.Lock()
        self._seen: set[str] = set()  # nodes that lived at the last look
        self._silent: set[str] = set()  # of those, the ones that don't answer: Ray notices it later
        self._slots: Sequence[Share] = ()
        self._connect()
        self._look()
        for name, target in {"cluster": self._watch, "head": self._mind_head}.items():
            threading.Thread(target=target, name=name, daemon=True).start()

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def engine(self, slot: Slot, on_event: OnEvent, on_lost: OnLost) -> Engine:
        assert isinstance(slot, Share)

        def lost(reason: str) -> None:
            if not answers(slot.address):
                with self._lock:
                    self._silent.add(slot.key)
            self._refresh()  # nobody should go to a node that is gone
            on_lost(reason)

        return RayEngine(self._settings, slot, on_event, lost)

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        if not self._slots:
            raise ClusterError("The Ray cluster has no room for workers: join a host with GPUs or CPUs.")
        return ask_there(self._slots[0], work, patience)

    def close(self) -> None:
        import ray

        self._closed.set()
        if answers(self._head):  # else Ray would wait for it
            ray.shutdown()

    def _refresh(self) -> None:
        if self._closed.is_set():
            return  # else Ray would start again
        try:
            self._look()
        except Exception as error:  # of several kinds, while the head node is away
            log.warning("The cluster does not answer: %s", error)

    def _watch(self) -> None:
        while not self._closed.wait(LOOK):
            self._refresh()

    def _mind_head(self) -> None:
        """End this program in good order, with words for the pages and their recordings, when the head node
        is gone."""
        heard = time.monotonic()
        while not self._closed.wait(LOOK):
            if answers(self._head):
                heard = time.monotonic()
            elif time.monotonic() - heard > HEAD_SECONDS:
                log.error("The head node of the Ray cluster is gone, so this server ends: start both again.")
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _look(self) -> None:
        import ray

        nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        with self._lock:
            unsure = self._silent | (nodes.keys() - self._seen)
            self._silent = {name for name in unsure & nodes.keys() if not answers(address_of(nodes[name]))}
            self._seen = set(nodes)
            there = [node for name, node in nodes.items() if name not in self._silent]
            self._slots = shares(there, self._settings)

    def _connect(self) -> None:
        import ray

        address = os.environ.get("RAY_ADDRESS") or "auto"
        if address.startswith("ray://"):
            raise ClusterError(
                "RAY_ADDRESS names a port for Ray's client: make this host a node of the cluster, with "
                "`ray start --num-cpus=0 --address=HOST:6379`, and unset it."
            )
        # Logs for programs stay as they are, in the files that Ray keeps on each host.
        options = {"log_to_driver": self._settings.log == "text", "logging_level": logging.WARNING}
        try:
            if ":" in address:
                reach(address)  # Ray tries for long
            ray.init(address=address, **options)
            self._head = ray.get_runtime_context().gcs_address
        except (OSError, ValueError, RuntimeError) as error:
            raise _nowhere(address, error) from error


def _nowhere(address: str, error: Exception) -> ClusterError:
    reason = first_line(error)
    place = "on this host" if address == "auto" else f"at {address}"
    return ClusterError(f"There is no Ray cluster {place} ({reason[:200]}): {CURE}.")
