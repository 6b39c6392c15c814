"""Where the files that ship lie: in a checkout at its top, in an installed package under mgdemo/data."""

import os
import sys
from pathlib import Path

from mgdemo.folders import lasting_folder, temporary_folder

_PACKAGE = Path(__file__).resolve().parent
INSTALLED = (_PACKAGE / "data").is_dir()

ROOT = _PACKAGE / "data" if INSTALLED else _PACKAGE.parent  # what paths in configs/ are relative to
CONFIGS = ROOT / "configs"
SCENARIOS = ROOT / "scenarios"


def checkpoint_folder() -> Path:
    """The folder for published weights: $MGDEMO_CHECKPOINTS, else `checkpoints` in a Space's storage, in the
    checkout or, for an installed package, in the user's cache."""
    if chosen := os.environ.get("MGDEMO_CHECKPOINTS"):
        return Path(chosen).expanduser()
    if lasting := lasting_folder():
        return lasting / "checkpoints"
    return (_cache() if INSTALLED else ROOT) / "checkpoints"


def _cache() -> Path:
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "mgdemo"
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mgdemo"
    except RuntimeError:  # a user without a home, as in some containers
        return temporary_folder("cache")
