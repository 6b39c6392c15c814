"""What an operator can set: the fields of `Settings`; each also a variable MGDEMO_<FIELD>."""

from __future__ import annotations

import ipaddress
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

from mgdemo.config import ConfigError, Optimization
from mgdemo.errors import UserError
from mgdemo.folders import recordings_folder
from mgdemo.logs import STYLES

RENAMED = {  # earlier names of variables, which still work
    "MGDEMO_PLAYS": "MGDEMO_SESSIONS",
    "MGDEMO_PLAY_SECONDS": "MGDEMO_SESSION_SECONDS",
    "MGDEMO_HANG_SECONDS": "MGDEMO_WORKER_TIMEOUT_SECONDS",
    "MGDEMO_REMAKE": "MGDEMO_REGENERATE",
    "MGDEMO_KEEP_PLAYS": "MGDEMO_KEEP_SESSIONS",
}
GRADIO = {  # Gradio's names of variables, which work too
    "MGDEMO_HOST": "GRADIO_SERVER_NAME",
    "MGDEMO_PORT": "GRADIO_SERVER_PORT",
    "MGDEMO_ROOT_PATH": "GRADIO_ROOT_PATH",
    "MGDEMO_SHARE": "GRADIO_SHARE",
    "MGDEMO_MCP": "GRADIO_MCP_SERVER",
}
ENGINES = ("process", "ray", "zerogpu")


class SettingsError(UserError):
    """A setting that cannot be used; the message names the variable and the cure."""


def _usual_engine() -> str:
    """On a ZeroGPU Space, as the package `spaces` recognizes it, the one that gets GPUs there."""
    return "zerogpu" if os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") else "process"


def _usual_sessions() -> int:
    return 4 if _usual_engine() == "zerogpu" else 1


@dataclass(frozen=True)
class Settings:
    """Raises SettingsError for numbers below their minimum (0, or "min"), and for unknown optimizations."""

    host: str = "127.0.0.1"  # where the page is served; 0.0.0.0: at all of this machine's addresses
    port: int = 0  # 0: the first free one from 7860 on
    root_path: str = ""  # where a proxy shows the page
    auth: str = ""  # a file with the logins that the page asks for, NAME:PASSWORD lines; "": it asks for none
    share: bool = False  # make a public address at gradio.live, for 72 hours
    mcp: bool = False  # offer the endpoints for programs as MCP tools, too
    sessions: int = field(default_factory=_usual_sessions, metadata={"min": 1})  # at once, over all devices
    engine_sessions: int = 0  # at once on one device; 0: any number of them
    queue: int = 20  # visitors that may wait
    visitor_sessions: int = 2  # that one visitor may have, playing and waiting; 0: no limit
    visitor_starts: int = 20  # sessions that one visitor may begin in a minute; 0: no limit
    visitor_connections: int = 64  # from one address at once, and a quarter of what is open; 0: no limit
    visitor_requests: int = 10  # events and uploads a second, a tenth of all requests; 0: no limit
    visitor_megabytes: int = 120  # of files from one address in a minute; 0: no limit
    trusted_proxies: str = ""  # addresses or networks whose X-Forwarded-For is believed, with commas
    origins: str = ""  # other sites' pages that may open the WebSocket: "https://host", with commas
    operator_token: str = ""  # of health, metrics and the operator's page; "": there is no such page
    operator_port: int = 0  # of those three; 0: the page's own
    operator_host: str = "127.0.0.1"  # where that port is opened
    login: str = ""  # "huggingface": only visitors who are logged in there may play, on a Space
    warm: str = ""  # the checkpoint that is loaded at the start; "": when the first page is opened
    log: str = "text"  # or "json", with the beginnings and ends of sessions
    engine: str = field(default_factory=_usual_engine)  # what runs the workers, one of ENGINES
    lease_seconds: int = field(default=60, metadata={"min": 10})  # of a GPU at once for playing, on ZeroGPU
    device: str = "auto"  # of one worker process, or several separated by commas: "cuda:0,cuda:1"
    threads: int = 0  # CPU threads of the model; 0: one per core
    optimization: str = ""  # overrides the GPU optimizations: "fp8", "low-vram", "no-kernels", … with commas
    models: int = field(default=2, metadata={"min": 1})  # checkpoints that a worker keeps in memory
    loader: str = "mgdemo.loading:load_world_model"  # "module:function", called in the worker
    idle_seconds: float = 300.0  # without any input, after which a session ends; 0: never
    session_seconds: float = 300.0  # that a session may last while others wait; 0: no limit
    connect_seconds: float = 10.0  # that a session waits for its page's WebSocket, a call for its reader
    reconnect_seconds: float = 30.0  # that a session waits for its visitor to come back
    ack_seconds: float = 10.0  # without an acknowledgment, after which a connection counts as lost
    worker_timeout_seconds: float = 180.0  # a busy worker that makes no progress is restarted; 0: never
    load_seconds: float = 3600.0  # after which a worker that still loads is restarted as well; 0: never
    stuck_seconds: float = 120.0  # that the page or the server hangs, after which the server ends; 0: never
    regenerate: bool = True  # make the running block again when the input changes, if there is time
    stand_seconds: float = 1.0  # without an action, after which no blocks are made in some worlds; 0: never
    rewind_megabytes: int = 512  # of snapshots per session; with more, rewinding is quicker
    record_seconds: float = 600.0  # of video, after which a live session ends: as long as a scenario may be
    record_dir: Path = field(default_factory=recordings_folder)
    keep_sessions: int = field(default=50, metadata={"min": 1})  # recordings kept, the newest ones
    keep_megabytes: int = field(default=4000, metadata={"min": 1})  # of them, uploads and comparisons
    keep_hours: float = 168.0  # for which recordings and uploads are kept; 0: as long as there is room
    compare_frames: int = field(
        default=15_000, metadata={"min": 1}
    )  # of a visitor's comparison, all its runs
    compare_days: float = 30.0  # that runs, reports and plans of comparisons are kept unused; 0: no limit

    def __post_init__(self):
        for item in fields(self):
            value, least = getattr(self, item.name), item.metadata.get("min", 0)
            if isinstance(value, int | float) and not value >= least:
                raise SettingsError(f"{_variable(item.name)} is {value}: give a number from {least} on.")
        for device in self.device.split(","):
            if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device.strip()):
                raise SettingsError(
                    f"{_variable('device')} is {self.device!r}: give auto, cpu, cuda, or several "
                    "GPUs like cuda:0,cuda:1."
                )
        for proxy in filter(None, map(str.strip, self.trusted_proxies.split(","))):
            if proxy != "*" and not _is_network(proxy):  # uvicorn would trust nobody, without a word
                raise SettingsError(
                    f"{_variable('trusted_proxies')} has {proxy!r}: give addresses or networks, as in "
                    "10.0.0.7,10.244.0.0/16."
                )
        for name, choices in {"log": STYLES, "engine": ENGINES}.items():
            if (value := getattr(self, name)) not in choices:
                raise SettingsError(f"{_variable(name)} is {value!r}: give {' or '.join(choices)}.")
        if self.login not in ("", "huggingface"):
            raise SettingsError(f"{_variable('login')} is {self.login!r}: give huggingface, or unset it.")
        if not self.operator_token.isascii():
            raise SettingsError(f"{_variable('operator_token')} has characters that no header can carry.")
        for name in ("port", "operator_port"):
            if (port := getattr(self, name)) > 65535:
                raise SettingsError(f"{_variable(name)} is {port}: give 65535 at most.")
        try:
            Optimization.parse(self.optimization)
        except ConfigError as error:
            raise SettingsError(f"{_variable('optimization')}: {error}") from None

    @property
    def regenerates(self) -> bool:
        """Whether the running block is made again when the input changes; low-vram worlds cannot do it."""
        return self.regenerate and not Optimization.parse(self.optimization).low_vram

    @property
    def leases(self) -> bool:
        """Whether sessions have a device only for a while at a time, when their visitors ask for it."""
        return self.engine == "zerogpu"

    @property
    def sessions_each(self) -> int:
        """How many sessions one device takes at once; 0: any number. One that is lent is one visitor's."""
        return 1 if self.leases else self.engine_sessions

    @classmethod
    def from_env(
        cls,
        environment: Mapping[str, str] = os.environ,
        file: Path | None = None,
        given: Mapping[str, str] | None = None,
    ) -> Settings:
        """The defaults, changed by a YAML file, then by the variables that are set (MGDEMO_* or GRADIO), then
        by what is given by name. Raises SettingsError, which says where the wrong setting stands.

        file: that of MGDEMO_SETTINGS, if none. Earlier names of variables still work; each warns once.
        """
        path = file or Path(environment.get("MGDEMO_SETTINGS") or "")
        texts = {}  # what it is called where it is set, and its text, by field
        if path.name:
            texts = {key: (f"{key} in {path}", text) for key, text in settings_in(path).items()}
        for item in fields(cls):
            name, text = _lookup(_variable(item.name), environment)
            if text:
                texts[item.name] = name, text
        texts |= {key: (f"{key} on the command line", text) for key, text in (given or {}).items()}
        defaults, values = cls(), {}
        for key, (name, text) in texts.items():
            if key not in cls.__dataclass_fields__:
                near = get_close_matches(key, cls.__dataclass_fields__, 1)
                cure = f"did you mean {near[0]}?" if near else "docs/hosting.md lists them."
                raise SettingsError(f"{name}: there is no such setting; {cure}")
            default = getattr(defaults, key)
            read = _switch if isinstance(default, bool) else type(default)
            try:
                values[key] = read(text)
            except ValueError:
                like = "1 or 0" if read is _switch else f"a number like {default}"
                raise SettingsError(f"{name} is {text!r}: give {like}, or unset it.") from None
        return cls(**values)


def settings_in(path: Path) -> dict[str, str]:
    """The settings of a YAML file, by their names in small letters, as texts. Raises SettingsError.

    Variables of the environment may be used in it, as in `${oc.env:HOME}`.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config = OmegaConf.load(path)
        values = OmegaConf.to_container(config, resolve=True)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}): give another settings file."
        ) from None
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"{path} is not a settings file ({reason}): write lines like `sessions: 2`."
        ) from None
    if not isinstance(config, DictConfig) or not isinstance(values, dict):
        raise SettingsError(f"{path} is not a settings file: write lines like `sessions: 2`.")
    return {str(key): _text(value) for key, value in values.items() if value is not None}


def _text(value: object) -> str:
    """As it would be written in a variable."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(int(value) if isinstance(value, bool) else value)


def _lookup(variable: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The name by which a variable is set (its own, Gradio's, an earlier one), and its text ("": not set)."""
    for name in (variable, GRADIO.get(variable, "")):
        if text := environment.get(name, ""):
            return name, text
    for earlier, now in RENAMED.items():
        if now == variable and (text := environment.get(earlier, "")):
            warnings.warn(f"{earlier} is now called {variable}: rename it.", FutureWarning, stacklevel=3)
            return earlier, text
    return variable, ""


def _switch(text: str) -> bool:
    try:
        return {"0": False, "false": False, "off": False, "1": True, "true": True, "on": True}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _is_network(text: str) -> bool:
    """Whether it is an address, or a network without bits of a host."""
    try:
        return bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def _variable(name: str) -> str:
    return f"MGDEMO_{name.upper()}"
