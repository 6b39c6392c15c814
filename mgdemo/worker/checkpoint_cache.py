"""The checkpoints that a worker holds in memory, and loading them beside the sessions that play."""

from __future__ import annotations

import importlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mgdemo import messages as m
from mgdemo.interfaces import Loader, Model
from mgdemo.settings import Settings
from mgdemo.video.encode import live_encoder
from mgdemo.worker.watch import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint was loaded, or could not be."""

    checkpoint: str
    result: Model | Exception


class CheckpointCache:
    """Models by name, the least recently used first; at most `settings.models`, if that many are unused.

    loaded: called with every result, from the thread that loads
    emit: called with the progress, from that thread, too
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
        self._models: OrderedDict[str, Model] = OrderedDict()
        self._loading: set[str] = set()
        self._one_load = threading.Lock()

    @property
    def names(self) -> list[str]:
        return list(self._models)

    def get(self, checkpoint: str) -> Model | None:
        return self._models.get(checkpoint)

    def load(self, checkpoint: str, in_use: Collection[str]) -> None:
        """Load a checkpoint unless it is there or on its way; those `in_use` stay."""
        if checkpoint in self._models:
            self._models.move_to_end(checkpoint)
        elif checkpoint not in self._loading:
            self._loading.add(checkpoint)
            unused = [name for name in self._models if name not in in_use]
            while unused and len(self._models) + len(self._loading) > self._settings.models:
                del self._models[unused.pop(0)]  # before loading, so that memory never holds one more
            # So that sessions continue. A new thread each time: OpenMP keeps a pool for each living thread
            # that has computed, and with more threads than cores it no longer spins: blocks take half as
            # long again.
            threading.Thread(target=self._load, args=(checkpoint,), daemon=True).start()

    def add(self, loaded: Loaded) -> None:
        """Take what `loaded` was called with; from the thread that owns the cache."""
        self._loading.discard(loaded.checkpoint)
        if not isinstance(loaded.result, Exception):
            self._models[loaded.checkpoint] = loaded.result

    def _load(self, checkpoint: str) -> None:
        def progress(fraction: float, text: str) -> None:
            self._watch.progress(checkpoint)
            self._emit(m.Loading(checkpoint=checkpoint, progress=float(fraction), text=text))

        settings = self._settings
        try:
            progress(0.0, "Starting the engine")
            module, _, function = settings.loader.partition(":")
            with self._one_load:
                load: Loader = getattr(importlib.import_module(module), function)
                model = load(
                    checkpoint, device=self._device, progress=progress, optimization=settings.optimization
                )
                # The first encoder finds out whether the GPU can encode, which takes a while.
                height, width = model.size
                live_encoder(width, height, model.fps, gpu_index(self._device))
            self._loaded(Loaded(checkpoint, model))
        except Exception as error:
            log.exception("%s could not be loaded.", checkpoint)
            self._loaded(Loaded(checkpoint, error))
        finally:
            self._watch.done(checkpoint)


def gpu_index(device: str) -> int | None:
    """The GPU of a device, which may encode, too: None for a CPU."""
    kind, _, index = device.partition(":")
    return None if kind == "cpu" else int(index or 0)
