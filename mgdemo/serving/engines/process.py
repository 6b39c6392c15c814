"""An engine whose worker is a child process, with pipes."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

from mgdemo import messages as m
from mgdemo.serving.engines import EngineHealth, OnEvent, OnLost, stopped
from mgdemo.serving.engines.hearing import Hearing
from mgdemo.settings import Settings
from mgdemo.worker.threads import set_threads

PATIENCE = 2.0  # seconds that a process has to end by itself
WORKER = "from mgdemo.worker.process import main; main()"

log = logging.getLogger(__name__)


class ProcessEngine:
    """Carries commands to a worker process and its events back; see `Engine`.

    The process is a plain child with pipes, not a multiprocessing one: that would import the main module
    again, and so the whole app.
    """

    def __init__(self, settings: Settings, device: str, on_event: OnEvent, on_lost: OnLost):
        self.settings, self.device = settings, device
        self._on_event, self._on_lost = on_event, on_lost
        self._process: subprocess.Popen | None = None
        self._killed = ""  # why
        self._hearing = Hearing(on_event)
        self._commands: queue.SimpleQueue[m.Command | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def send(self, command: m.Command) -> None:
        self._commands.put(command)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="engine-write", daemon=True)
            self._writer.start()

    def health(self) -> EngineHealth:
        if self._process is None:
            return EngineHealth(self.device, False)
        return self._hearing.health(self.device)

    def kill(self, reason: str) -> None:
        if (process := self._process) is not None:
            self._killed = reason
            process.kill()

    def close(self) -> None:
        self._commands.put(None)
        if self._writer is not None:
            self._writer.join(PATIENCE)
            if self._writer.is_alive():  # the process does not even read
                self.kill("it had to be ended")
                self._writer.join()

    def _write(self) -> None:
        while (command := self._commands.get()) is not None:
            if self._process is None:
                if not isinstance(command, m.Open | m.Warm):
                    continue
                self._start()
            self._put(command)
        if (process := self._process) is not None:
            self._process = None  # on purpose: not a crash
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
            try:
                process.wait(PATIENCE)  # the worker leaves when its input ends
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _put(self, command: m.Command) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):  # it has just died: its reader tells
                process.stdin.write(m.encode(command))
                process.stdin.flush()

    def _start(self) -> None:
        self._hearing = hearing = Hearing(self._on_event)
        self._process = process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.settings),
        )
        threading.Thread(target=self._read, args=(process, hearing), name="engine-read", daemon=True).start()
        self._put(m.Configure(settings=self.settings, device=self.device))

    def _read(self, process: subprocess.Popen, hearing: Hearing) -> None:
        assert process.stdout is not None
        try:
            hearing.read(process.stdout)
        except OSError:
            pass
        except m.BadMessage as error:
            self.kill(f"it sent what cannot be read: {error}")
        code = process.wait()
        if self._process is process:
            self._process = None
            log.error("The worker of device %s stopped with exit code %d.", self.device, code)
            reason, self._killed = self._killed or _reason(code), ""
            self._on_lost(stopped(reason))


def environment(settings: Settings) -> dict[str, str]:
    """The variables of a process that computes as workers do."""
    found = dict(os.environ, PYTHONPATH=os.pathsep.join(str(Path(p).resolve()) for p in sys.path))
    set_threads(found, settings.threads)
    return found


def _reason(code: int) -> str:
    reason = f"exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            reason = signal.Signals(-code).name
        if -code == signal.SIGKILL:
            reason += ", often because memory ran out: a smaller checkpoint may help"
    return reason
