"""What an operator can set: fields of `Settings`, each also an environment variable MGDEMO_<FIELD>."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from mgdemo.config import ConfigError, Optimization

OLD = {"regenerate": "MGDEMO_REMAKE"}  # the name of a setting before, which is still read


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and the cure."""


@dataclass(frozen=True)
class Settings:
    """Raises SettingsError for numbers below their minimum (0, or "min"), and for unknown optimizations."""

    plays: int = field(default=1, metadata={"min": 1})  # at once, over all devices
    queue: int = 20  # visitors that may wait in line
    device: str = "auto"  # of one worker process, or several separated by commas: "cuda:0,cuda:1"
    threads: int = 0  # of the model on a CPU; 0: one a core
    optimization: str = (
        ""  # what makes a GPU fast, changed: "fp8", "low-vram", "no-kernels" …, joined by commas
    )
    models: int = field(default=2, metadata={"min": 1})  # checkpoints kept in memory by a worker
    loader: str = "mgdemo.world:load_world_model"  # "module:function", called in the worker
    idle_seconds: float = 300.0  # without any input, after which a play ends; 0: never
    play_seconds: float = 300.0  # that a play may last while others wait; 0: as long as it likes
    reconnect_seconds: float = 30.0  # that a play waits for its visitor to come back
    ack_seconds: float = 10.0  # without acknowledgement, after which a line counts as lost
    hang_seconds: float = 180.0  # without a sign of a worker that has work, after which it is ended; 0: never
    regenerate: bool = (
        True  # a block again, from its next latent frame on, when the input changes while it plays
    )
    rewind_megabytes: int = 512  # of snapshots a play; going back costs less waiting with more
    record_seconds: float = 600.0  # of video, after which a live play ends: as long as a scenario may be
    record_dir: Path = Path(tempfile.gettempdir()) / "mgdemo-plays"
    keep_plays: int = field(default=50, metadata={"min": 1})  # recordings kept, the newest ones
    keep_megabytes: int = field(default=2000, metadata={"min": 1})  # and together at most so large

    def __post_init__(self):
        for item in fields(self):
            value, least = getattr(self, item.name), item.metadata.get("min", 0)
            if isinstance(value, int | float) and not value >= least:
                raise SettingsError(f"{_variable(item.name)} is {value}: give a number from {least} on.")
        try:
            Optimization.of(self.optimization)
        except ConfigError as error:
            raise SettingsError(f"{_variable('optimization')}: {error}") from None

    @property
    def regenerates(self) -> bool:
        """Whether worlds can make blocks again, and are to."""
        return self.regenerate and not Optimization.of(self.optimization).low_vram

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The defaults, changed by the MGDEMO_* variables that are set. Raises SettingsError."""
        values = {}
        for item in fields(cls):
            text = environment.get(_variable(item.name), "") or environment.get(OLD.get(item.name, ""), "")
            if text:
                read = _switch if isinstance(item.default, bool) else type(item.default)
                try:
                    values[item.name] = read(text)
                except ValueError:
                    like = "1 or 0" if read is _switch else f"a number like {item.default}"
                    raise SettingsError(
                        f"{_variable(item.name)} is {text!r}: give {like}, or unset it."
                    ) from None
        return cls(**values)


def _switch(text: str) -> bool:
    try:
        return {"0": False, "false": False, "off": False, "1": True, "true": True, "on": True}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _variable(name: str) -> str:
    return f"MGDEMO_{name.upper()}"
