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


class Weights(NamedTuple):
    """A checkpoint as it is in memory: changed for speed by its optimizations."""

    checkpoint: str
    optimization: str = ""


@dataclass(frozen=True)
class Loaded:
    """Weights were loaded, or could not be."""

    weights: Weights
    result: Model | Exception
    seconds: float = 0.0  # that it took


class CheckpointCache:
    """Models by their weights, the least recently used first; at most `settings.models`, but those in use.

    loaded: called with every result, from the thread that loads
    emit: called with the progress, from that thread, too, and with failures
    """

    def __init__(
        self,
        settings: Settings,
        device: str,
        loaded: Callable[[Loaded], None],
        emit: Callable[[m.Loading], None],
        watch: Watch,
    ):
        self._settings, self._device = settings, device
        self._loaded, self._emit, self._watch = loaded, emit, watch
        self._models: OrderedDict[Weights, Model] = OrderedDict()
        self._loading: set[Weights] = set()
        self._one_load = threading.Lock()

    def __len__(self) -> int:
        return len(self._models)

    @property
    def held(self) -> list[Weights]:
        return list(self._models)

    def get(self, weights: Weights) -> Model | None:
        return self._models.get(weights)

    def load(self, weights: Weights, in_use: Collection[Weights]) -> None:
        """Load a checkpoint unless it is there or on its way; those `in_use` stay."""
        if weights in self._models:
            self._models.move_to_end(weights)
        elif weights not in self._loading:
            self._loading.add(weights)
            unused = [held for held in self._models if held not in in_use]
            while unused and len(self._models) + len(self._loading) > self._settings.models:
                del self._models[unused.pop(0)]  # before loading, so that memory never holds one more
            # So that sessions continue. A new thread each time: OpenMP keeps a pool for each living thread
            # that has computed, and with more threads than cores it no longer spins: blocks take half as
            # long again.
            threading.Thread(target=self._load, args=(weights,), daemon=True).start()

    @property
    def models(self) -> dict[Weights, Model]:
        """Those that are loaded."""
        return dict(self._models)

    def inherit(self, models: dict[Weights, Model]) -> None:
        """Take what another cache in this process has loaded."""
        self._models |= models

    def add(self, loaded: Loaded) -> None:
        """Take what `loaded` was called with, and tell of a failure; from the thread that owns the cache."""
        self._loading.discard(loaded.weights)
        if not isinstance(loaded.result, Exception):
            self._models[loaded.weights] = loaded.result
            return
        (checkpoint, words), error = loaded.weights, sentence(loaded.result)
        self._emit(m.Loading(checkpoint=checkpoint, progress=0.0, text="", optimization=words, error=error))

    def _load(self, weights: Weights) -> None:
        (checkpoint, words), began = weights, time.monotonic()

        def progress(fraction: float, text: str) -> None:
            self._watch.progress(weights, self._settings.load_seconds or math.inf)
            event = m.Loading(checkpoint=checkpoint, progress=float(fraction), text=text, optimization=words)
            self._emit(event)

        try:
            progress(0.0, "Starting the engine")
            module, _, function = self._settings.loader.partition(":")
            with self._one_load:
                load: Loader = getattr(importlib.import_module(module), function)
                model = load(checkpoint, device=self._device, progress=progress, optimization=words)
                # The first encoder finds out whether the GPU can encode, which takes a while.
                height, width = model.size
                live_encoder(width, height, model.fps, gpu_index(self._device))
            self._loaded(Loaded(weights, model, time.monotonic() - began))
        except Exception as error:
            log.exception("%s could not be loaded.", checkpoint)
            self._loaded(Loaded(weights, error))
        finally:
            self._watch.done(weights)


def gpu_index(device: str) -> int | None:
    """The GPU of a device, which may encode, too: None for a CPU."""
    kind, _, index = device.partition(":")
    return None if kind == "cpu" else int(index or 0)
