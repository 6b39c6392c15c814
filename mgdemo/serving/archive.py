"""The recordings of ended sessions: written one after the other, and found again by token.

The film as it was shown is written first, which is quick; the one with the keys drawn on it only after those
of all sessions. When the server is stopped, there is no time for it.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mgdemo.folders import upload_folder
from mgdemo.serving.disk import FOLDER, Item, delete_copies, sweep
from mgdemo.serving.phases import Ended, Saving
from mgdemo.serving.registry import Registry
from mgdemo.serving.session import Session
from mgdemo.settings import Settings

SWEEP_SECONDS = 5.0  # between looks at the disk
REMEMBERED = 1000  # ended sessions; files are kept by number and size

STILL_WRITING = "The recording is still being written: reload the page later to get it."
NO_KEYS = "The film with the keys drawn on it could not be made."

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Job:
    """A session whose files are to be written. saved: called afterwards."""

    session: Session
    phase: Saving
    saved: Callable[[Session], None]

    @property
    def with_keys(self) -> bool:
        return not self.session.request.background  # else nobody would see that film


class Archive:
    """Writes recordings in threads of its own, one for each kind of film: the cores belong to those who play.

    in_use: returns the folders that must not be pruned.
    """

    def __init__(self, settings: Settings, in_use: Callable[[], Collection[Path]]):
        self._settings, self._in_use = settings, in_use
        self.others: Callable[[], Iterable[Item]] = tuple  # what shares the disk with recordings and uploads
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._undrawn: queue.SimpleQueue[tuple[_Job, Ended] | None] = queue.SimpleQueue()
        self._pending: dict[_Job, Ended] = {}  # what is to be said of it if no time is left
        self._thread: threading.Thread | None = None  # that writes
        self._closing = False
        self._registry = Registry(settings.record_dir)
        self._owners = dict(self._registry.owners)  # whose the folders are, as far as it is known
        if self._registry.cut_off:
            threading.Thread(target=self._registry.recover, name="recover", daemon=True).start()

    def add(self, token: str, ended: Ended) -> None:
        """Remember how a session has ended."""
        with self._lock:
            self._ended[token] = ended
            while len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)

    def get(self, token: str) -> Ended | None:
        """How a session has ended; without its recording, if that is no longer on disk.

        May take seconds for one that an earlier server process had not finished.
        """
        with self._lock:
            ended = self._ended.get(token)
        return _without_deleted(ended) if ended is not None else self._registry.find(token)

    def delete(self, token: str) -> None:
        """Delete a session's recording, and Gradio's copies of it."""
        ended = self.get(token)
        if ended is None or ended.recording is None:
            return
        folder = ended.recording.mp4.parent
        if FOLDER.fullmatch(folder.name):
            delete_copies(folder, upload_folder())
            shutil.rmtree(folder, ignore_errors=True)
            self._forget_deleted()

    def save(self, session: Session, saved: Callable[[Session], None]) -> None:
        """Write the files of a `Saving` session, in a thread; never blocks. `saved` is called afterwards."""
        phase = session.phase
        assert isinstance(phase, Saving)
        job = _Job(session, phase, saved)
        with self._lock:
            self._pending[job] = Ended(phase.outcome, f"{phase.text} {STILL_WRITING}", None, phase.frames)
        self._waiting.put(job)
        self.start()

    def start(self) -> None:
        """Begin to watch the disk; can be repeated."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="save", daemon=True)
                self._thread.start()
                threading.Thread(target=self._draw, name="keys", daemon=True).start()

    def close(self, seconds: float) -> None:
        """Write the films that wait, but no more with keys. Then, after `seconds` at most, say how all have
        ended; whose film is not finished by then gets it from the next server."""
        self._closing = True
        self._waiting.put(None)
        self._undrawn.put(None)
        if self._thread is not None:
            self._thread.join(seconds)
        for job in list(self._pending):
            self._settle(job)

    def _work(self) -> None:
        more = True
        while more:
            try:
                self._sweep()
                more = self._finish_next()
            except Exception:  # others wait for their recordings
                log.exception("The archive goes on after an error.")
        self._sweep()  # of what was in use until now

    def _finish_next(self) -> bool:
        """Write the film of the session that is next, if one ends in a while; False at the end."""
        try:
            job = self._waiting.get(timeout=SWEEP_SECONDS)
        except queue.Empty:
            return True
        if job is not None:
            self._finish(job)
        return job is not None

    def _finish(self, job: _Job) -> None:
        ended = plain = self._write(job)
        if ended.recording is not None:
            self._owners[ended.recording.mp4.parent] = job.session.request.account
            if job.with_keys:
                plain = replace(ended, text=f"{ended.text} {NO_KEYS}")
        self._register(job, plain)
        if plain is ended or self._closing:
            self._settle(job, plain)
            return
        with self._lock:
            if job in self._pending:
                self._pending[job] = plain
        self._undrawn.put((job, ended))

    def _draw(self) -> None:
        more = True
        while more:
            try:
                more = self._draw_next()
            except Exception:  # others wait for their films
                log.exception("Drawing goes on after an error.")

    def _draw_next(self) -> bool:
        """Draw the keys on the film that is next; False at the end."""
        item = self._undrawn.get()
        if item is None or self._closing:
            return False
        job, ended = item
        assert ended.recording is not None
        drawn = None
        try:
            recording = job.phase.recorder.draw(ended.recording)
            if recording.overlay_mp4 is not None:
                drawn = replace(ended, recording=recording)
                self._register(job, drawn)
        except Exception:
            log.exception("The film with keys of a session could not be made.")
        self._settle(job, drawn)
        return True

    def _settle(self, job: _Job, ended: Ended | None = None) -> None:
        """Say how a session has ended, once; None: as far as it is known."""
        with self._lock:
            known = self._pending.pop(job, None)
        if known is None:
            return
        ended = ended or known
        self.add(job.session.token, ended)  # first, since the page asks for it as soon as it knows
        job.session.settle(ended)
        job.saved(job.session)

    def _sweep(self) -> None:
        settings = self._settings
        try:
            self._owners = {folder: owner for folder, owner in self._owners.items() if folder.exists()}
            sweep(
                settings.record_dir,
                upload_folder(),
                self._owners,
                self._in_use(),
                self.others(),
                hours=settings.keep_hours,
                megabytes=settings.keep_megabytes,
                sessions=settings.keep_sessions,
            )
            self._forget_deleted()
            self._registry.forget_deleted()
        except Exception:
            log.exception("Old recordings and uploads could not be deleted.")

    def _forget_deleted(self) -> None:
        """Keep no places of packets, megabytes of a session with branches, whose files are gone."""
        with self._lock:
            ended = list(self._ended.items())
        changed = {token: left for token, each in ended if (left := _without_deleted(each)) is not each}
        with self._lock:
            self._ended.update({token: left for token, left in changed.items() if token in self._ended})

    def _register(self, job: _Job, ended: Ended) -> None:
        request = job.session.request
        if request.folder is None:
            try:
                broken_off = bool(job.phase.recorder.trouble)
                self._registry.write(job.session.token, ended, broken_off, request.account)
            except Exception:
                log.exception("How a session has ended could not be written.")

    def _write(self, job: _Job) -> Ended:
        """Its film as it was shown."""
        phase = job.phase
        try:
            recording = phase.recorder.finish(phase.head, job.session.request.about)
            trouble = phase.recorder.trouble
        except Exception:
            log.exception("The files of a session could not be written.")
            recording, trouble = None, "The recording could not be written; see the server's log."
        return Ended(phase.outcome, f"{phase.text} {trouble}".rstrip(), recording, phase.frames)


def _without_deleted(ended: Ended) -> Ended:
    """The same, but without its recording if that is no longer on disk."""
    if ended.recording is None or ended.recording.mp4.exists():
        return ended
    return replace(ended, recording=None)
