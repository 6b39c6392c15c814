"""This program on a Space of the Hugging Face Hub: what goes there, and sending it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from httpx import HTTPError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
from huggingface_hub.utils import filter_repo_objects

from mgdemo.checkpoints import PARTS, configs
from mgdemo.errors import UserError
from mgdemo.paths import INSTALLED, ROOT

SENT = [  # patterns as the Hub knows them: * also stands for /
    "app.py",
    "README.md",
    "LICENSE",
    "requirements.txt",
    "docs/*.md",
    "docs/*.json",
    "docs/*.webp",
    "mgdemo/*",
    "configs/*",
    "scenarios/*",
    "worlds/*",
]
LEFT_OUT = ["*__pycache__*", "*.pyc"]
THUMBNAIL = "docs/page.webp"


class SpaceError(UserError):
    """A Space that cannot be made or changed; the message names the cure."""


def files() -> list[Path]:
    """What goes to a Space, relative to the folder of this program. Raises SpaceError."""
    if INSTALLED:
        raise SpaceError(
            "An installed package is not the whole program: do this in a clone of its repository."
        )
    found = (path.relative_to(ROOT).as_posix() for name in _tops() for path in _below(ROOT / name))
    return sorted(map(Path, filter_repo_objects(found, allow_patterns=SENT, ignore_patterns=LEFT_OUT)))


def card(address: str, hardware: str) -> str:
    """README.md as it goes to the Space at an address: with a thumbnail from there, and for a GPU with the
    published weights, which are then fetched while the Space is built. hardware: "" where it is not known.
    """
    _, head, text = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    values = yaml.safe_load(head) | {"thumbnail": f"{address}/resolve/main/{THUMBNAIL}"}
    if hardware:
        values["suggested_hardware"] = hardware
    if hardware and not hardware.startswith("cpu"):
        values["preload_from_hub"] = _published()
    head = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{head}---\n{text}"


def push(name: str, *, private: bool = False, hardware: str | None = None) -> str:
    """Make a Space, as USER/NAME, or bring it up to date; its address. Raises SpaceError.

    hardware: that a new one asks for, as in t4-small; None: what an existing one has. Files that are no
    longer sent are deleted there.
    """
    found = files()
    api = HfApi()
    try:
        made = api.create_repo(
            name,
            repo_type="space",
            space_sdk="gradio",
            private=private,
            space_hardware=hardware,  # pyright: ignore[reportArgumentType]
            exist_ok=True,
        )
        if hardware is None:
            runtime = api.get_space_runtime(name)
            hardware = runtime.requested_hardware or runtime.hardware
        with TemporaryDirectory() as folder:
            for file in found:
                target = Path(folder, file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, target)
            Path(folder, "README.md").write_text(card(str(made), hardware or ""), "utf-8")
            api.upload_folder(
                repo_id=name,
                repo_type="space",
                folder_path=folder,
                delete_patterns=SENT,
                commit_message="mgdemo space push",
            )
    except HFValidationError:
        raise SpaceError(f"{name} is not a Space name: give USER/NAME.") from None
    except LocalTokenNotFoundError:
        raise SpaceError("You are not logged in: run `hf auth login` with a token that may write.") from None
    except HfHubHTTPError as error:
        raise SpaceError(_refusal(name, error.response.status_code)) from error
    except (HTTPError, OSError) as error:
        raise SpaceError(f"The Hub cannot be reached ({error}): try again.") from error
    return str(made)


def _published() -> list[str]:
    """What the published checkpoints need, as the card of a Space names it: REPOSITORY FILE,FILE REVISION."""
    needed: dict[tuple[str, str], dict[str, None]] = {}
    for files in (config.files for config in configs() if not config.embedded):
        named = needed.setdefault((files.repo, files.revision), {})
        named.update(dict.fromkeys(getattr(files, part) for part in PARTS))
    return [f"{repo} {','.join(named)} {revision}" for (repo, revision), named in needed.items()]


def _tops() -> Sequence[str]:
    return sorted({pattern.split("/")[0] for pattern in SENT})


def _below(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]


def _refusal(name: str, status: int) -> str:
    if status == 401:
        return "The Hub does not know you: run `hf auth login` with a token that may write."
    if status == 403:
        return f"You may not write to {name}: give a name of your own, or a token that may write."
    if status == 402:
        return "The Hub wants a payment method for this hardware: choose another, or set it up there."
    return f"The Hub refused {name} with status {status}: see https://status.huggingface.co, and try again."
