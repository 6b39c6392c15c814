"""An engine whose worker is a child process, with pipes."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import subprocess
import sys
import threading

from mgdemo import apart
from mgdemo import messages as m
from mgdemo.serving.engines import EngineHealth, OnEvent, OnLost, stopped
from mgdemo.serving.engines.hearing import Hearing
from mgdemo.serving.engines.telling import encoded
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
        self._one_writer = threading.Lock()

    def send(self, command: m.Command) -> None:
        self._commands.put(command)
        with self._one_writer:
            if self._writer is None:
                writer = threading.Thread(target=self._write, name="engine-write", daemon=True)
                writer.start()
                self._writer = writer

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
            try:
                self._tell(command)
            except Exception:  # it must not be the last command
                log.exception("A command to the worker of device %s failed.", self.device)
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

    def _tell(self, command: m.Command) -> None:
        if self._process is None and not isinstance(command, m.Open | m.Warm):
            return
        data = encoded(command, self._on_event)
        if data and self._process is None:
            try:
                self._start()
            except Exception as error:
                log.exception("The worker of device %s could not be started.", self.device)
                self._on_lost(stopped(f"it could not be started: {error}"))
                return
        self._put(data)

    def _put(self, data: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it has just died: its reader tells
                process.stdin.write(data)
                process.stdin.flush()

    def _start(self) -> None:
        self._hearing = hearing = Hearing(self._on_event)
        self._process = process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(self.settings),
        )
        reader = threading.Thread(target=self._read, args=(process, hearing), name="engine-read", daemon=True)
        try:
            reader.start()
            self._put(m.encode(m.Configure(settings=self.settings, device=self.device)))
        except Exception:
            self._process = None  # whether or not it is read
            process.kill()
            raise

    def _read(self, process: subprocess.Popen, hearing: Hearing) -> None:
        assert process.stdout is not None
        try:
            hearing.read(process.stdout)
        except OSError:
            pass
        except m.BadMessage as error:
            self.kill(f"it sent what cannot be read: {error}")
        except Exception:
            log.exception("The worker of device %s cannot be heard.", self.device)
            self.kill("it cannot be heard")
        code = process.wait()
        if self._process is process:
            self._process = None
            log.error("The worker of device %s stopped with exit code %d.", self.device, code)
            reason, self._killed = self._killed or _reason(code), ""
            self._on_lost(stopped(reason))


def environment(settings: Settings) -> dict[str, str]:
    """The variables of a process that computes as workers do."""
    found = apart.environment()
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
