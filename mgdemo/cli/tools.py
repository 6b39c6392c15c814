"""The commands about weights, and the one that serves the page."""

from __future__ import annotations

import argparse
from pathlib import Path

from mgdemo.actions import MODES
from mgdemo.cli.terminal import status


def check(args: argparse.Namespace) -> int:
    """Say of each weight file what it is and for which mode, or exactly what is wrong with it; exit code 1
    if one is wrong. Without PATH: the embedded worlds and the folder for published weights. Of large files
    only tables of contents are read, unless --deep looks at every number and compares published files with
    their known hashes.

      python -m mgdemo check
      python -m mgdemo check --deep checkpoints
      python -m mgdemo check my_finetune.safetensors Wan2.1_VAE.pth
    """
    from mgdemo.weight_files.check import check as look

    def progress(path: Path) -> None:
        status(f"looking at {path.name} …")

    def say(text: str) -> None:
        status("")
        print(text)

    return 0 if look(args.paths, deep=args.deep, say=say, progress=progress) else 1


def download(args: argparse.Namespace) -> None:
    """Fetch the files that the published checkpoints need, and only those. A download that broke off
    resumes where it stopped when the command is repeated.

      python -m mgdemo download --mode gta_drive --mode templerun
      MGDEMO_CHECKPOINTS=/data/worlds python -m mgdemo download
    """
    from mgdemo.download import download as fetch

    folder = fetch(args.mode or list(MODES), args.to, revision=args.revision)
    print(f"Complete in {folder}; `python -m mgdemo check --deep {folder}` looks through the files.")


def app(args: argparse.Namespace) -> None:
    """Serve the page on this machine. Settings come from a file, then the environment (MGDEMO_*), then --set;
    docs/hosting.md lists them.

      python -m mgdemo app --set sessions=2 --set device=cuda:0,cuda:1
      python -m mgdemo app --host 0.0.0.0 --port 8080 --settings hosting.yaml --auth logins.txt --no-browser
    """
    from mgdemo.checkpoints import CheckpointError, resolve
    from mgdemo.devices import tell_at_start
    from mgdemo.folders import gradio_folder
    from mgdemo.serving import SessionService, Settings, SettingsError

    settings = Settings.from_env(file=args.settings, given=dict(args.set or ()))
    gradio_folder()
    from mgdemo.ui import build, launch  # after both: Gradio's import would trip over a wrong port

    if settings.warm and settings.loader == Settings.loader:
        try:
            resolve(settings.warm)
        except CheckpointError as error:
            raise SettingsError(f"MGDEMO_WARM is {settings.warm!r}. {error}") from None
    if settings.engine == "process":
        tell_at_start(settings.device)
    launch(build(SessionService(settings)), open_browser=not args.no_browser)
