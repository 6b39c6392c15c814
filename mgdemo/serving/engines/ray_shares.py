"""Which parts of a Ray cluster engines can have, and whether a node still answers."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mgdemo.serving.engines import Slot
from mgdemo.settings import Settings


@dataclass(frozen=True)
class Share(Slot):
    """Part of a node: `key` is the node's id, `address` where its own process of Ray listens, as "host:port".

    gpus, cpus: what is reserved. wanted: the worker's device, as in `Settings.device`; it sees one GPU only.
    """

    gpus: int = 0
    cpus: int = 0
    wanted: str = "cpu"
    address: str = ""


REACH = 5.0  # seconds that a host may take to accept a connection


def reach(address: str) -> None:
    """Raises OSError or ValueError if nothing listens at "host:port"."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=REACH).close()


def address_of(node: dict[str, Any]) -> str:
    """Where the node's own process listens; node: as Ray describes it."""
    return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


def answers(address: str) -> bool:
    """Whether a node is there: its kernel accepts connections, however busy it is."""
    try:
        reach(address)
    except OSError:
        return False
    return True


def shares(nodes: Iterable[dict[str, Any]], settings: Settings) -> list[Share]:
    """The slots of the nodes that live, as Ray describes them: one for each GPU; without a GPU, or with the
    device "cpu", one for every `threads` CPUs, or for all of them if that is 0."""
    return [share for node in nodes if node["Alive"] for share in _shares(node, settings)]


def _shares(node: dict[str, Any], settings: Settings) -> Iterator[Share]:
    gpus, cpus = (int(node["Resources"].get(name, 0)) for name in ("GPU", "CPU"))
    name, key, wanted = node["NodeManagerAddress"], node["NodeID"], settings.device
    address = address_of(node)
    if wanted != "cpu":
        for number in range(gpus):
            yield Share(f"{name} GPU {number}", key, 1, cpus // gpus, "cuda", address)
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        each = settings.threads or cpus
        for number in range(cpus // each if each else 0):
            yield Share(f"{name} CPU {number}", key, 0, each, wanted, address)
