"""The recordings of ended sessions: written one after the other, and found again by token."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from mgdemo.folders import upload_folder
from mgdemo.serving.disk import FOLDER, delete_copies, sweep
from mgdemo.serving.phases import Ended, Saving
from mgdemo.serving.registry import Registry
from mgdemo.serving.session import Session
from mgdemo.settings import Settings

SWEEP_SECONDS = 5.0  # between looks at the disk
REMEMBERED = 1000  # ended sessions; files are kept by number and size

Job = tuple[Session, Callable[[Session], None]]

log = logging.getLogger(__name__)


class Archive:
    """Writes recordings in a thread of its own, one at a time: the cores belong to the sessions that play.

    in_use: returns the folders that must not be pruned.
    """

    def __init__(self, settings: Settings, in_use: Callable[[], Collection[Path]]):
        self._settings, self._in_use = settings, in_use
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Session, Callable[[Session], None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._hurry = False
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
        if ended is None:
            return self._registry.find(token)
        if ended is not None and ended.recording is not None and not ended.recording.mp4.exists():
            return replace(ended, recording=None)
        return ended

    def delete(self, token: str) -> None:
        """Delete a session's recording, and Gradio's copies of it."""
        ended = self.get(token)
        if ended is None or ended.recording is None:
            return
        folder = ended.recording.mp4.parent
        if FOLDER.fullmatch(folder.name):
            delete_copies(folder, upload_folder())
            shutil.rmtree(folder, ignore_errors=True)

    def save(self, session: Session, saved: Callable[[Session], None]) -> None:
        """Write the files of a `Saving` session, in a thread; never blocks. `saved` is called afterwards."""
        self._waiting.put((session, saved))
        self.start()

    def start(self) -> None:
        """Begin to watch the disk; can be repeated."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="save", daemon=True)
                self._thread.start()

    def close(self, seconds: float) -> None:
        """Write what waits, but no more films with keys drawn on; wait for that at most `seconds`."""
        self._hurry = True
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(seconds)  # what is not finished then stays playable

    def _work(self) -> None:
        self._sweep()
        while True:
            try:
                job = self._waiting.get(timeout=SWEEP_SECONDS)
            except queue.Empty:
                self._sweep()
                continue
            if job is None:
                return
            self._finish(*job)
            del job  # or the session would stay in memory until the next one ends
            self._sweep()

    def _finish(self, session: Session, saved: Callable[[Session], None]) -> None:
        ended = self._write(session)
        self._register(session, ended)
        if ended.recording is not None:
            self._owners[ended.recording.mp4.parent] = session.request.account
        self.add(session.token, ended)  # first, since the page asks for it as soon as it knows
        session.settle(ended)
        saved(session)

    def _sweep(self) -> None:
        settings = self._settings
        self._owners = {folder: owner for folder, owner in self._owners.items() if folder.exists()}
        try:
            sweep(
                settings.record_dir,
                upload_folder(),
                self._owners,
                self._in_use(),
                hours=settings.keep_hours,
                megabytes=settings.keep_megabytes,
                sessions=settings.keep_sessions,
            )
        except OSError:
            log.exception("Old recordings and uploads could not be deleted.")

    def _register(self, session: Session, ended: Ended) -> None:
        phase = session.phase
        if session.request.folder is None and isinstance(phase, Saving):
            try:
                self._registry.write(session.token, ended, phase.head, session.request.account)
            except OSError:
                log.exception("How a session has ended could not be written.")

    def _write(self, session: Session) -> Ended:
        request, phase = session.request, session.phase
        assert isinstance(phase, Saving)
        about = request.about
        try:
            overlay = not (self._hurry or request.background)  # it takes long, and nobody would see it
            recording = phase.recorder.finish(phase.head, about, overlay)
            trouble = phase.recorder.trouble
        except Exception:
            log.exception("The files of a session could not be written.")
            recording, trouble = None, "The recording could not be written; see the server's log."
        return Ended(phase.outcome, f"{phase.text} {trouble}".rstrip(), recording, phase.frames)
