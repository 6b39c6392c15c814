"""The checkpoints that a worker holds in memory, and loading them beside the sessions that play."""

from __future__ import annotations

import importlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from mgdemo import messages as m
from mgdemo.interfaces import Loader, Model
from mgdemo.settings import Settings
from mgdemo.video.encode import live_encoder
from mgdemo.worker.failures import sentence
from mgdemo.worker.watch import Watch

log = logging.getLogger(__name__)


class ModelKey(NamedTuple):
    """What identifies a loaded model: the checkpoint's name and the words of its optimization."""

    checkpoint: str
    optimization: str = ""


@dataclass(frozen=True)
class Loaded:
    """A model was loaded, or could not be."""

    key: ModelKey
    result: Model | Exception
    seconds: float = 0.0  # that it took


class CheckpointCache:
    """Models by their keys, the least recently used first; at most `settings.models`, but those in use.

    It belongs to one worker at a time, and outlives it where the process does (`mgdemo.worker.lease`).
    """

    def __init__(self):
        self._models: OrderedDict[ModelKey, Model] = OrderedDict()
        self._loading: dict[ModelKey, Loaded | None] = {}  # and with what result, until `add` takes it
        self._one_load, self._lock = threading.Lock(), threading.Lock()
        self.detach()

    def attach(
        self,
        settings: Settings,
        device: str,
        loaded: Callable[[Loaded], None],
        emit: Callable[[m.Loading], None],
        watch: Watch,
    ) -> None:
        """Belong to a worker from now on, with what was loaded meanwhile; what was not can be tried again.

        loaded: called with every result, from the thread that loads
        emit: called with the progress, from that thread, too, and with failures
        """
        self._settings, self._device = settings, device
        with self._lock:
            self._loaded, self._emit, self._watch = loaded, emit, watch
            for late in [result for result in self._loading.values() if result is not None]:
                self._take(late)

    def detach(self) -> None:
        """The worker is over. What is on its way is for the next one, which does not load it once more."""
        with self._lock:
            self._loaded: Callable[[Loaded], None] = _ignore
            self._emit: Callable[[m.Loading], None] = _ignore
            self._watch = Watch()

    def fits(self, settings: Settings, device: str) -> bool:
        """Whether a worker with these would load the same models."""
        return (self._settings.loader, self._device) == (settings.loader, device)

    @property
    def held(self) -> list[ModelKey]:
        return list(self._models)

    @property
    def loading(self) -> bool:
        """Whether a checkpoint is on its way."""
        return bool(self._loading)

    def get(self, key: ModelKey) -> Model | None:
        return self._models.get(key)

    def load(self, key: ModelKey, in_use: Collection[ModelKey]) -> None:
        """Load a checkpoint unless it is there or on its way; those `in_use` stay."""
        if key in self._models:
            self._models.move_to_end(key)
        elif key not in self._loading:
            self._loading[key] = None
            unused = [held for held in self._models if held not in in_use]
            while unused and len(self._models) + len(self._loading) > self._settings.models:
                del self._models[unused.pop(0)]  # before loading, so that memory never holds one more
            # So that sessions continue. A new thread each time: OpenMP keeps a pool for each living thread
            # that has computed, and with more threads than cores it no longer spins: blocks take half as
            # long again.
            threading.Thread(target=self._load, args=(key,), daemon=True).start()

    def add(self, loaded: Loaded) -> None:
        """Take what `loaded` was called with, and tell of a failure; from the thread that owns the cache."""
        self._take(loaded)
        if isinstance(loaded.result, Exception):
            self._tell(loaded.key, 0.0, "", sentence(loaded.result))

    def _take(self, loaded: Loaded) -> None:
        self._loading.pop(loaded.key, None)
        if not isinstance(loaded.result, Exception):
            self._models[loaded.key] = loaded.result

    def _load(self, key: ModelKey) -> None:
        self._tell(key, 0.0, "Starting the engine")
        with self._one_load:  # what waits here makes no progress, and is not stuck
            try:
                result = self._read(key)
            except Exception as error:
                log.exception("%s could not be loaded.", key.checkpoint)
                result = Loaded(key, error)
            with self._lock:
                self._watch.done(key)
                self._loading[key] = result
                self._loaded(result)

    def _read(self, key: ModelKey) -> Loaded:
        began, limit = time.monotonic(), self._settings.load_seconds or math.inf

        def progress(fraction: float, text: str) -> None:
            self._watch.progress(key, limit)
            self._tell(key, float(fraction), text)

        self._watch.progress(key, limit)
        module, _, function = self._settings.loader.partition(":")
        load: Loader = getattr(importlib.import_module(module), function)
        model = load(key.checkpoint, device=self._device, progress=progress, optimization=key.optimization)
        # The first encoder finds out whether the GPU can encode, which takes a while.
        height, width = model.size
        live_encoder(width, height, model.fps, gpu_index(self._device))
        return Loaded(key, model, time.monotonic() - began)

    def _tell(self, key: ModelKey, progress: float, text: str, error: str = "") -> None:
        checkpoint, words = key
        event = m.Loading(
            checkpoint=checkpoint, progress=progress, text=text, optimization=words, error=error
        )
        self._emit(event)


def _ignore(_: object) -> None:
    pass


def gpu_index(device: str) -> int | None:
    """The GPU of a device, which may encode, too: None for a CPU."""
    kind, _, index = device.partition(":")
    return None if kind == "cpu" else int(index or 0)
