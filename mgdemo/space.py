"""This program on a Space of the Hugging Face Hub: what goes there, and sending it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from httpx import HTTPError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
from huggingface_hub.utils import filter_repo_objects

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


def push(name: str, *, private: bool = False, hardware: str | None = None) -> str:
    """Make a Space, as USER/NAME, or bring it up to date; its address. Raises SpaceError.

    hardware: that a new one asks for, as in t4-small; files that are no longer sent are deleted there.
    """
    files()
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
        api.upload_folder(
            repo_id=name,
            repo_type="space",
            folder_path=ROOT,
            allow_patterns=SENT,
            ignore_patterns=LEFT_OUT,
            delete_patterns=SENT,
            commit_message="mgdemo space push",
        )
    except HFValidationError:
        raise SpaceError(f"{name} is no name of a Space: give USER/NAME.") from None
    except LocalTokenNotFoundError:
        raise SpaceError("You are not logged in: run `hf auth login` with a token that may write.") from None
    except HfHubHTTPError as error:
        raise SpaceError(_refusal(name, error.response.status_code)) from error
    except (HTTPError, OSError) as error:
        raise SpaceError(f"The Hub cannot be reached ({error}): try again.") from error
    return str(made)


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
