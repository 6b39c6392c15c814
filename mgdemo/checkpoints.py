"""Which checkpoints there are, and where their files lie. Nothing here reads weights or needs torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mgdemo.actions import MODES
from mgdemo.config import CheckpointConfig, load_config
from mgdemo.errors import UserError
from mgdemo.paths import CONFIGS, ROOT, checkpoint_folder

PARTS = ("transformer", "vae", "image_encoder")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
ORDER = "starts.json"  # beside the start images: which comes first
LOOP = "loop.mp4"
OWN = (  # what people call a transformer of their own, whole or in shards
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "transformer.safetensors",  # as embedded worlds call it
)
MOST_HEADER = 2**24  # bytes of names and shapes that begin a weight file


class CheckpointError(UserError):
    """A checkpoint that cannot be found or used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Entry:
    """One line of the catalog. `available`: all its files are on this machine."""

    config: CheckpointConfig
    available: bool

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def title(self) -> str:
        return self.config.title

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def embedded(self) -> bool:
        return self.config.embedded

    @property
    def needs(self) -> str:
        """What it takes to get and to play it, in words."""
        return self.config.needs


@dataclass(frozen=True)
class Located:
    """A checkpoint whose three weight files have been found."""

    config: CheckpointConfig
    transformer: Path
    vae: Path
    image_encoder: Path


def configs() -> list[CheckpointConfig]:
    """All checkpoints that can be chosen: the embedded ones that ship, then the published ones."""
    shipped = [c for c in _read_configs(CONFIGS) if not c.embedded or (ROOT / c.files.folder).is_dir()]
    return sorted(shipped, key=lambda c: (not c.embedded, list(MODES).index(c.mode), c.name))


@cache
def _read_configs(folder: Path) -> list[CheckpointConfig]:
    return [load_config(path) for path in sorted(folder.glob("*.yaml"))]


def catalog() -> list[Entry]:
    """Every checkpoint that can be chosen, with what it needs and whether it is there."""
    return [Entry(config, all(_find(config).values())) for config in configs()]


def config_named(name: str) -> CheckpointConfig:
    """The configuration of a catalog name. Raises CheckpointError, naming the ones there are."""
    for config in configs():
        if config.name == name:
            return config
    known = ", ".join(config.name for config in configs())
    raise CheckpointError(f'There is no checkpoint or file called "{name}"; the checkpoints are {known}.')


def start_images(name: str) -> list[Path]:
    """The start images that ship for the checkpoint called `name`, in the order to show them.

    That is the order of `starts.json` (one object an image, with its file's name as `image`), then of names.
    """
    config = config_named(name)
    folder = ROOT / (config.files.folder if config.embedded else f"worlds/{config.mode}") / "start"
    order = folder / ORDER
    listed = [row["image"] for row in json.loads(order.read_text("utf-8"))] if order.is_file() else []
    found = [p for p in folder.glob("*") if p.suffix.lower() in PICTURES]
    return sorted(found, key=lambda p: (listed.index(p.name) if p.name in listed else len(listed), p.name))


def opening_loop(name: str) -> Path | None:
    """A short film made by the embedded world called `name` from its first start image, if one ships."""
    config = config_named(name)
    path = ROOT / config.files.folder / LOOP
    return path if config.embedded and path.is_file() else None


def resolve(
    checkpoint: str | Path | Located | None = None,
    *,
    mode: str | None = None,
    config: CheckpointConfig | None = None,
) -> Located:
    """Find the files of a checkpoint.

    checkpoint: a catalog name; "embedded", the one that ships for `mode`; a folder laid out like the public
        repository, as `<mode>/model.safetensors`, or with one of the files in `OWN`; a transformer's file,
        whose shapes tell mode and size where they are easily read; None for the published checkpoint of
        `mode` where it is complete, else the embedded one. VAE and image encoder, where they are not beside
        it, are looked for in the usual places; a transformer never is.
        A `Located` is returned as it is.
    mode: for a folder or file that could be several.
    config: replaces the catalog's configuration.
    Raises CheckpointError with a cure.
    """
    if isinstance(checkpoint, Located):
        return checkpoint
    pool = [config] if config else [c for c in configs() if mode in (None, c.mode)]
    if checkpoint is None:
        return _located(min(pool, key=lambda c: (not all(_find(c).values()), c.embedded)))
    if checkpoint == "embedded":
        if shipped := [c for c in pool if c.embedded]:
            return _located(shipped[0])
        raise CheckpointError(f"No embedded world ships for mode {mode}; name another checkpoint.")
    if named := next((c for c in configs() if c.name == checkpoint), None):
        if mode not in (None, named.mode):
            raise CheckpointError(f"Checkpoint {checkpoint} is for mode {named.mode}, not for {mode}.")
        return replace(_located(named), config=config or named)
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        laid_out = [c for c in pool if _transformer_in(path, c, bool(config))]
        own = next((path / name for name in OWN if (path / name).is_file()), None)
        pool = laid_out or (pool if config else _fitting(own, pool) if own else [])
    elif path.is_file():
        owner = [c for c in pool if (stock := _find(c)["transformer"]) and stock.samefile(path)]
        pool = owner or (pool if config else _fitting(path, pool))
    else:
        config_named(str(checkpoint))  # raises, naming what there is
    modes = sorted({c.mode for c in pool})
    if len(modes) == 1 and _find(pool[0], path)["transformer"]:
        return _located(pool[0], path)
    if len(modes) > 1:
        problem = f"could be for mode {' or '.join(modes)}: say which with --mode"
        raise CheckpointError(f"{path} {problem} (`python -m mgdemo check {path}` tells more).")
    raise CheckpointError(_without_transformer(path, pool))


def _fitting(file: Path, pool: list[CheckpointConfig]) -> list[CheckpointConfig]:
    """Those whose transformer a file may hold: by its keyboard layer, else all that are published. Raises
    CheckpointError for one of another mode."""
    shape = _keyboard_shape(file)
    actions = {c.name: c.transformer.action_config for c in (*configs(), *pool)}
    fits = {name for name, its in actions.items() if shape == [its.hidden_size, its.keyboard_dim_in]}
    fitting = [c for c in pool if c.name in fits]
    if fits and not fitting:
        mode = next(c.mode for c in configs() if c.name in fits)
        raise CheckpointError(f"{file} is for mode {mode}, not for {pool[0].mode}.")
    return fitting or [c for c in pool if not c.embedded]


def _keyboard_shape(file: Path) -> list[int] | None:
    """The sides of the layer that takes the keyboard, by what a safetensors file says at its beginning."""
    try:
        with file.open("rb") as opened:
            table = json.loads(opened.read(min(int.from_bytes(opened.read(8), "little"), MOST_HEADER)))
        return next(t["shape"] for name, t in table.items() if name.endswith("keyboard_embed.0.weight"))
    except (OSError, ValueError, AttributeError, KeyError, TypeError, StopIteration):
        return None


def _without_transformer(folder: Path, pool: list[CheckpointConfig]) -> str:
    names = dict.fromkeys([Path(c.files.transformer).name for c in pool] + list(OWN[:1]))
    found = sorted(p.name for p in folder.iterdir() if p.suffix in (".safetensors", ".pt", ".pth"))
    cure = (
        f"it has {', '.join(found[:4])}: name the right file itself"
        if found
        else "put one there, or name a weight file"
    )
    return (
        f"{folder} has no transformer (no {' and no '.join(names)}); {cure} "
        f"(`python -m mgdemo check {folder}` tells more)."
    )


def _located(config: CheckpointConfig, given: Path | None = None) -> Located:
    found = _find(config, given)
    present = {part: path for part, path in found.items() if path is not None}
    if len(present) == len(PARTS):
        return Located(config, **present)
    missing = [getattr(config.files, part) for part in PARTS if part not in present]
    if config.embedded:
        where, cure = config.files.folder, "restore it with `git checkout worlds`"
    else:
        where = f"{given or checkpoint_folder()} or the Hugging Face cache"
        cure = f"`python -m mgdemo download --mode {config.mode}` fetches it"
    raise CheckpointError(f"{config.title}: no {' and no '.join(missing)} in {where}; {cure}.")


def _find(config: CheckpointConfig, given: Path | None = None) -> dict[str, Path | None]:
    return {part: next((p for p in _places(config, part, given) if p.is_file()), None) for part in PARTS}


def _transformer_in(folder: Path, config: CheckpointConfig, chosen: bool) -> bool:
    """Whether a folder is laid out for a checkpoint, which was chosen or is one of several."""
    if config.embedded and not chosen:
        return folder.resolve() == (ROOT / config.files.folder).resolve()
    return any(path.is_file() for path in _layouts(folder, config, "transformer"))


def _places(config: CheckpointConfig, part: str, given: Path | None = None) -> Iterator[Path]:
    """Everywhere a part may lie, the most wanted first. A transformer that was given is not replaced."""
    if given and part == "transformer":
        if given.is_file():
            yield given
        else:
            yield from _layouts(given, config, part)
            yield from (given / name for name in OWN)
        return
    if given:
        folder = given.parent if given.is_file() else given
        yield from _layouts(folder, config, part)
        yield from _layouts(folder.parent, config, part)  # a mode's own folder shares these with others
    if config.embedded:
        yield ROOT / config.files.folder / getattr(config.files, part)
        return
    yield from _layouts(checkpoint_folder(), config, part)
    if cached := _in_hub_cache(config.files.repo, getattr(config.files, part), config.files.revision):
        yield cached


def _layouts(folder: Path, config: CheckpointConfig, part: str) -> list[Path]:
    file = Path(getattr(config.files, part))
    places = [folder / file, folder / config.mode / file.name, folder / file.name]
    if part == "transformer":
        places += [folder / config.mode / name for name in OWN]
        if folder.name == config.mode:
            places += [folder / name for name in OWN]
    return places


def _in_hub_cache(repo: str, file: str, revision: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in (revision, "main"):
        path = try_to_load_from_cache(repo, file, revision=name)
        if isinstance(path, str):
            return Path(path)
    return None
