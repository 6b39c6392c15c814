"""A lease: a session's worker in a process that `spaces` forks, as long as a visitor's request holds it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal
from weakref import WeakSet

from mgdemo import messages as m
from mgdemo.serving.engines import EngineHealth, OnEvent
from mgdemo.serving.engines.hearing import Hearing
from mgdemo.serving.engines.telling import encoded

MARGIN = 3.0  # seconds before its end in which a lease is given back
CONNECT_SECONDS = 10.0  # that a fork has to connect, once its generator runs
PATIENCE = 2.0  # seconds that the last commands have to be read
CREDENTIALS = struct.Struct("3i")  # process, user, group

Rent = Callable[[str, float], Generator[None]]  # from a socket's address and seconds: `worker.lease.serve`
Reason = Literal["over", "gone", "refused", "died"]
First = Callable[[], Sequence[m.Command]]

_here: WeakSet[socket.socket] = WeakSet()  # which a fork of this process must not keep open

log = logging.getLogger(__name__)


def _close_in_fork() -> None:
    for each in list(_here):
        each.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)


class Lease:
    """on_event: called from a thread of its own, heartbeats left out."""

    def __init__(self, device: str, session: str, on_event: OnEvent):
        self.device, self.session = device, session
        self.left = m.Left(session=session, reason="gone")
        self._on_event = on_event
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None
        self._commands: queue.SimpleQueue[m.Command | None] = queue.SimpleQueue()
        self._ended = threading.Event()  # on purpose, or because the other end is gone
        self._process, self._killed = 0, ""  # and why it was
        self._hearing = Hearing(on_event)

    def hold(self, rent: Rent, seconds: float, first: First) -> Iterator[None]:
        """Have it while this is iterated, or until `end`; then `left` says why it is over. Nothing is raised.

        first: called once, when there is a worker: the commands that it begins with.
        """
        try:
            yield from self._connected(rent, seconds, first)
            self.left = self._left("over" if self._socket is not None and not self._killed else "died")
        except Exception as error:
            log.info("There is no GPU, or it was taken away.", exc_info=True)
            text = str(getattr(error, "message", "") or error).strip()
            self.left = self._left("refused" if self._socket is None else "died", text)

    def _left(self, reason: Reason, text: str = "") -> m.Left:
        return m.Left(session=self.session, reason=reason, text=self._killed or text)

    def send(self, command: m.Command) -> None:
        """Never blocks."""
        self._commands.put(command)

    def end(self) -> None:
        """Give it back, after what was sent; from any thread."""
        self._ended.set()
        self._commands.put(None)

    def health(self) -> EngineHealth:
        if self._socket is None:
            return EngineHealth(self.device, False)
        return self._hearing.health(self.device)

    def kill(self, reason: str) -> None:
        if self._process:
            self._killed = reason
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

    def _connected(self, rent: Rent, seconds: float, first: First) -> Iterator[None]:
        folder, until = Path(tempfile.mkdtemp(prefix="mgdemo-")), 0.0  # which nobody else may enter
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                _here.add(listener)
                listener.bind(str(folder / "worker"))
                listener.listen(1)
                fork = rent(str(folder / "worker"), seconds)
                try:
                    for _ in fork:
                        if self._socket is None:  # now it has a GPU, and has connected
                            until = time.monotonic() + seconds - MARGIN
                            self._begin(listener, first, until)
                        elif self._ended.is_set() or time.monotonic() >= until:
                            break
                        yield
                finally:
                    self._hang_up()  # the fork ends by that, sooner than by the end of its generator
                    fork.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _begin(self, listener: socket.socket, first: First, until: float) -> None:
        listener.settimeout(CONNECT_SECONDS)
        connection, _ = listener.accept()
        connection.settimeout(None)
        _here.add(connection)
        self._process, *_ = CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        )
        self._hearing, self._socket = Hearing(self._on_event), connection
        threading.Thread(target=self._write, args=(connection,), name="lease-write", daemon=True).start()
        self._reader = threading.Thread(target=self._read, args=(connection,), name="lease-read", daemon=True)
        self._reader.start()
        self._on_event(m.Leased(session=self.session, seconds=until - time.monotonic()))
        for command in first():
            self.send(command)

    def _write(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it has just died: its reader tells
            while (command := self._commands.get()) is not None:
                connection.sendall(encoded(command, self._on_event))
            connection.shutdown(socket.SHUT_WR)

    def _read(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                self._hearing.read(stream)
        except OSError:
            pass
        except m.BadMessage as error:
            self._killed = self._killed or f"it sent what cannot be read: {error}"
        except Exception:
            log.exception("The worker on %s cannot be heard.", self.device)
            self._killed = self._killed or "it cannot be heard"
        self._ended.set()

    def _hang_up(self) -> None:
        """Take what still comes from the worker, which ends by that."""
        self.end()
        if self._socket is None or self._reader is None:
            return
        self._reader.join(PATIENCE)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()
