"""Folders that only one user of a machine may read."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

from mgdemo.errors import UserError

DATA = Path("/data")  # on a Space with storage


class FolderError(UserError):
    """A folder that cannot be used; the message names the cure."""


def temporary_folder(name: str) -> Path:
    """Where this user's files of a kind go among the machine's temporary files; it need not exist yet."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"mgdemo-{name}-{user}"


def lasting_folder() -> Path | None:
    """Where a Space keeps files over its restarts, if it has such storage."""
    return DATA if os.environ.get("SPACE_ID") and os.access(DATA, os.W_OK) else None


def recordings_folder() -> Path:
    """Where sessions are kept, unless something else is set."""
    lasting = lasting_folder()
    return temporary_folder("sessions") if lasting is None else lasting / "sessions"


def private_folder(folder: Path, variable: str) -> Path:
    """Make a folder that only its user may read, if it is not there, and see that it can be written.

    variable: the environment variable that chooses another folder. Raises FolderError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written ({error.strerror}): set {variable} to a folder of your own."
        ) from error
    return folder


def upload_folder() -> Path | None:
    """Where Gradio keeps uploads and copies of what it shows, if `gradio_folder` has said."""
    folder = os.environ.get("GRADIO_TEMP_DIR")
    return Path(folder) if folder else None


def gradio_folder() -> None:
    """Let Gradio keep uploads in a folder of this user's. It reads the variable when it is imported."""
    if not os.environ.get("GRADIO_TEMP_DIR"):
        folder = private_folder(temporary_folder("uploads").resolve(), "GRADIO_TEMP_DIR")
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
