"""Work in a separate process at lower priority: those who play keep the cores."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast
from weakref import WeakSet

from mgdemo.errors import UserError

NICE = 10  # levels of priority below the caller: beside busy cores, about a tenth of one is left
AT_ONCE = 4  # processes
MEMORY_GIB = 8  # for one of them
RESERVED = 256 * 2**20  # bytes of addresses that its threads take beside that on each core, unused
IDLE_SECONDS = 60.0  # for which one waits for more: starting one takes longer than drawing a short film
LENGTH = struct.Struct("<Q")  # of a pickled value, before it
OVER = "it is given up, since the program ends."
CHILD = "from mgdemo.apart import main; main()"

T = TypeVar("T")


class ApartError(OSError):
    """A process has ended without an answer, or took too long; what it wrote is on stderr."""


class _Helper:
    """A process that does one thing after another, and ends when it has waited long for more."""

    def __init__(self):
        command, pipe = [sys.executable, "-c", CHILD], subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment())
        _helpers.add(self)
        if _over.is_set():
            self.kill()

    def ask(self, order: object, until: float) -> object:
        """What an order gives. Raises EOFError if the process ends instead, as at the moment `until`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        clock = threading.Timer(max(0.0, until - time.monotonic()), self.kill)
        clock.start()
        try:
            _write(self._process.stdin, order)
            return _read(self._process.stdout)
        except OSError as error:  # a broken pipe
            raise EOFError from error
        finally:
            clock.cancel()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Wait for its end; the exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()


_slots = threading.BoundedSemaphore(AT_ONCE)
_resting: list[_Helper] = []
_helpers: WeakSet[_Helper] = WeakSet()
_over = threading.Event()


def apart(work: Callable[..., T], *arguments: object, patience: float, once: bool = False) -> T:
    """What a function gives, which another process finds by its name.

    It, its arguments and its result can be pickled; what it prints goes to stderr. patience: seconds, also to
    wait for others. once: the process ends afterwards, as one should that has taken hold of a GPU, and has no
    limit of memory, since GPUs take address space without end. Raises the function's UserError, OSError or
    ValueError, UserError where it needs more than `MEMORY_GIB`, and ApartError.
    """
    until = time.monotonic() + patience
    if not _slots.acquire(timeout=patience):
        raise ApartError(f"{work.__name__} has waited too long for others.")
    try:
        if _over.is_set():
            raise ApartError(f"{work.__name__}: {OVER}")
        answer = _ask((Path.cwd(), None if once else MEMORY_GIB, work, arguments), work.__name__, until, once)
    finally:
        _slots.release()
    if isinstance(answer, Exception):
        raise answer
    return cast(T, answer)


def give_up() -> None:
    """The program ends: kill the processes. Whoever waits for one, or asks later, gets ApartError."""
    _over.set()
    for helper in list(_helpers):
        helper.kill()


def _ask(order: object, name: str, until: float, once: bool) -> object:
    while True:
        try:
            helper = _resting.pop()
        except IndexError:
            helper = _Helper()
        try:
            answer = helper.ask(order, until)
        except EOFError:
            code = helper.end()
            if _over.is_set():
                raise ApartError(f"{name}: {OVER}") from None
            if code == 0:
                continue  # it has ended because nobody wanted anything
            if time.monotonic() >= until:
                raise ApartError(f"{name} took too long.") from None
            raise ApartError(str(subprocess.CalledProcessError(code, name))) from None
        if once or _resting:
            helper.end()
        else:
            _resting.append(helper)
        return answer


def environment() -> dict[str, str]:
    """The variables of a Python process that finds the same packages."""
    return dict(os.environ, PYTHONPATH=os.pathsep.join(str(Path(each).resolve()) for each in sys.path))


def _write(file: IO[bytes], value: object) -> None:
    data = pickle.dumps(value)
    file.write(LENGTH.pack(len(data)) + data)
    file.flush()


def _read(file: IO[bytes]) -> object:
    """Raises EOFError at the end."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(file.read(*LENGTH.unpack(head)))  # which raises EOFError, too


# In the process


def main() -> None:
    """Functions with their arguments come by stdin, what they give or raise leaves by stdout."""
    with contextlib.suppress(AttributeError, OSError):  # not everywhere
        os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends what it began
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    while True:
        rest = threading.Timer(IDLE_SECONDS, os._exit, (0,))
        rest.daemon = True
        rest.start()
        try:
            order = _read(orders)
        except EOFError:
            return
        rest.cancel()
        folder, memory, work, arguments = cast(tuple[Path, float | None, Callable[..., object], tuple], order)
        try:
            _limit_memory(memory)
            os.chdir(folder)  # of whoever asks, which may have changed
            answer = work(*arguments)
        except (UserError, OSError, ValueError) as error:
            answer = error
        except MemoryError:
            answer = UserError(f"This needs more than {memory} GiB of memory: ask for less at once.")
        _write(answers, answer)


def _limit_memory(gib: float | None) -> None:
    """Of this process and of each one that it starts, such as FFmpeg; None: as it was given to us."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not everywhere
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        asked = most if gib is None else round(gib * 2**30) + RESERVED * (os.cpu_count() or 1)
        resource.setrlimit(resource.RLIMIT_AS, (asked if most < 0 else min(asked, most), most))
