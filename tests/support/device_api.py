"""A stand-in for the service that lends GPUs on ZeroGPU: the HTTP calls that the package `spaces` makes."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class DeviceApi:
    """gpus: that there are. left: seconds of each visitor's quota, or None for as many as one likes.
    names: of real GPUs, as CUDA_VISIBLE_DEVICES takes them."""

    gpus: int = 2
    left: int | None = None
    names: tuple[str, ...] = ("GPU-0", "GPU-1")
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _held: dict[str, int] = field(default_factory=dict)  # GPUs by token
    _pids: dict[str, int] = field(default_factory=dict)  # processes by token
    _used: set[int] = field(default_factory=set)  # GPUs whose last process is idle
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a web process has to have in its environment to ask here."""
        return {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": self.url}

    def made(self, name: str) -> list[dict[str, str]]:
        """The parameters of all calls of a name, in order."""
        with self.changed:
            return [parameters for each, parameters in self.calls if each == name]

    def wait(self, condition, seconds: float = 60) -> None:
        """Until a condition holds, which is looked at after each call."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), self.calls

    @property
    def held(self) -> dict[str, int]:
        """The processes that have a GPU now, by token."""
        with self.changed:
            return {token: self._pids.get(token, 0) for token in self._held}

    def forget(self) -> None:
        """No process is idle any more: the next lease has a new one."""
        with self.changed:
            self._used.clear()

    def answer(self, name: str, parameters: dict[str, str]) -> tuple[int, object]:
        """A status and a JSON value."""
        with self.changed:
            self.calls.append((name, parameters))
            self.changed.notify_all()
            match name:
                case "schedule":
                    return self._schedule(int(parameters.get("durationSeconds", 60)))
                case "allow":
                    self._pids[parameters["allowToken"]] = int(parameters["pid"])
                case "release":
                    gpu = self._held.pop(parameters["allowToken"], None)
                    if gpu is None:
                        return 404, None
                    if parameters.get("fail") == "true":
                        self._used.discard(gpu)
                case "queue-size":
                    return 200, 0
            return 200, None

    def _schedule(self, seconds: int) -> tuple[int, object]:
        if self.left is not None and seconds > self.left:
            return 429, {"left": self.left, "wait": 3600}
        free = [gpu for gpu in range(self.gpus) if gpu not in self._held.values()]
        if not free:
            return 503, None
        token = f"token-{len(self.calls)}"
        self._held[token] = free[0]
        idle = free[0] in self._used
        self._used.add(free[0])
        return 200, {
            "idle": idle,
            "nvidiaIndex": free[0],
            "nvidiaUUID": self.names[free[0]],
            "allowToken": token,
        }


@contextlib.contextmanager
def device_api(**options) -> Iterator[DeviceApi]:
    """One that answers as long as this lasts."""
    api = DeviceApi(**options)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            status, value = api.answer(url.path.strip("/"), dict(parse_qsl(url.query)))
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def visitor_token(name: str = "ann") -> str:
    """What the Hub's proxy sends with a visitor's requests, in the header X-IP-Token."""
    part = base64.urlsafe_b64encode(json.dumps({"user": name}).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"
