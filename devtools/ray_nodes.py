"""A Ray cluster on this machine, whose nodes can be added and killed, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SMALL = {"object_store_memory": 80 * 2**20, "include_dashboard": False, "node_ip_address": "127.0.0.1"}

PATIENCE = 10  # seconds for processes to end
# No usage reports; and the loopback stays: by default Ray puts the host's other address in its place.
ALONE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class Nodes:
    """The head has no room for workers; each other node has room for one. `ids` are those of the others."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
        self._nodes: dict[str, object] = {}
        self.address: str = self._cluster.address

    @property
    def ids(self) -> set[str]:
        return set(self._nodes)

    def add(self) -> str:
        """The id of a new node."""
        node = self._cluster.add_node(num_cpus=1, **SMALL)
        self._nodes[node.node_id] = node
        return node.node_id

    def kill(self, node: str) -> None:
        """All of its processes at once, as when a host loses its power."""
        self._cluster.remove_node(self._nodes.pop(node), allow_graceful=False)

    def kill_head(self) -> None:
        """The same with the host of the cluster's head."""
        self._cluster.remove_node(self._cluster.head_node, allow_graceful=False)

    def have(self, count: int) -> None:
        """Add nodes until there are so many."""
        while len(self._nodes) < count:
            self.add()

    def close(self) -> None:
        self._cluster.shutdown()


@contextlib.contextmanager
def ray_nodes() -> Iterator[Nodes]:
    """A cluster that RAY_ADDRESS names meanwhile. Nothing of it is left in the end."""
    folder = tempfile.mkdtemp(prefix="ray")  # a short name, for the sockets in it
    ours = {"RAY_TMPDIR": folder, "RAY_ADDRESS": "", **ALONE}
    before = {name: os.environ.get(name) for name in ours}
    with contextlib.ExitStack() as stack:
        stack.callback(_restore, before)
        stack.callback(_remove, folder)
        os.environ |= ours
        nodes = Nodes()
        stack.callback(nodes.close)
        os.environ["RAY_ADDRESS"] = nodes.address
        yield nodes


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _remove(folder: str) -> None:
    """Kill what still runs there, and delete it."""
    until = time.monotonic() + PATIENCE
    while (left := processes(folder)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def processes(text: str) -> list[int]:
    """Ids of the other processes whose command has a text in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in command and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found
