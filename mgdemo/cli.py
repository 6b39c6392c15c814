"""The command line: `python -m mgdemo COMMAND`. Commands import what they need, so that --help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import LATENTS_PER_BLOCK, block_frames, frames_in_blocks
from mgdemo.console import ConsoleError, typed_action
from mgdemo.errors import UserError
from mgdemo.random_actions import random_actions
from mgdemo.scenario import MAX_SEED

if TYPE_CHECKING:
    from mgdemo.replay import Replay

EXAMPLES = """examples:
  python -m mgdemo app                              play in the browser
  python -m mgdemo play --mode gta_drive            play at this console, block by block
  python -m mgdemo replay scenarios/gta_drive/slalom.yaml
  python -m mgdemo generate --mode universal --image street.jpg --output-folder out --num-output-frames 150
  python -m mgdemo download --mode universal        fetch the published weights
  python -m mgdemo check --deep                     what weights are here, and are they whole?
"""


class UsageError(UserError):
    """A command that cannot be carried out; the message says what to change."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0; 1 a check failed; 2 it cannot be done; 130 interrupted."""
    args = _parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("mgdemo: interrupted.", file=sys.stderr)
        return 130
    except (UserError, OSError) as error:  # any other is a bug and shows where it is
        print(f"mgdemo: {_sentence(error)}", file=sys.stderr)
        return 2


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}."
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mgdemo",
        description="Play, replay and check Matrix-Game 2.0 worlds. Each command has a --help of its own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(run: Callable, summary: str) -> argparse.ArgumentParser:
        """A command whose long help is the docstring of its function."""
        added = commands.add_parser(
            run.__name__.strip("_"),
            help=summary,
            description=cleandoc(run.__doc__ or ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    generate = command(_generate, "make a video from an image and a sequence of actions")
    replay = command(_replay, "make the video of a scenario")
    play = command(_play, "play at the console, block by block")
    replay.add_argument("scenario", type=Path, metavar="SCENARIO", help="a .yaml file, or a play's .mp4")
    for made in (generate, play):
        made.add_argument("--mode", choices=MODES, help="default: the scenario's, or universal")
    generate.add_argument("--scenario", type=Path, metavar="FILE", help="take the actions from this file")
    generate.add_argument(
        "--num-output-frames",
        type=int,
        metavar="N",
        help="latent frames, a multiple of 3 (default: 150, or as long as the scenario)",
    )
    for made in (generate, replay, play):
        made.add_argument("--image", type=Path, metavar="FILE", help="start image, of any size")
        made.add_argument("--output-folder", type=Path, metavar="DIR", default=Path("outputs"))
        made.add_argument("--seed", type=_seed, metavar="S", help="default: the scenario's, or 0")
        made.add_argument(
            "--checkpoint",
            metavar="PATH|NAME|embedded",
            help="a folder, a transformer's file, or a name of the catalogue (default: the published weights "
            "of the mode if they are here, else the embedded world)",
        )
        made.add_argument(
            "--config", type=Path, metavar="FILE", help="like those in configs/, for other weights"
        )
        made.add_argument(
            "--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU if there is one)"
        )

    for made in (generate, replay, play):
        made.add_argument(
            "--optimization",
            metavar="WORDS",
            default="",
            help='change what makes a GPU fast, as in "fp8,no-kernels": kernels, graphs, fp8, low-vram',
        )

    check = command(_check, "say what weight files are, and what is wrong with them")
    check.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file or a folder")
    check.add_argument("--deep", action="store_true", help="look at every number; takes minutes")

    download = command(_download, "fetch the published weights from the Hugging Face Hub")
    download.add_argument("--mode", choices=MODES, action="append", help="only this one (can be repeated)")
    download.add_argument(
        "--to", type=Path, metavar="DIR", help="default: $MGDEMO_CHECKPOINTS, or checkpoints/ in this program"
    )
    download.add_argument(
        "--revision", metavar="NAME", help="a commit, branch or tag on the Hub (default: the one in configs/)"
    )

    app = command(_app, "play in the browser")
    app.add_argument(
        "--host", help="0.0.0.0 lets other machines in (default: $GRADIO_SERVER_NAME, else this machine only)"
    )
    app.add_argument(
        "--port", type=int, help="default: $GRADIO_SERVER_PORT, else the first free one from 7860 on"
    )
    app.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return parser


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {MAX_SEED}")
    return int(text)


def _generate(args: argparse.Namespace) -> None:
    """Make N latent frames, which are 4N-3 video frames, from a start image, and write demo.mp4 and, with
    keys and camera drawn on it, demo_icon.mp4. The actions are those of a scenario, else the random ones of
    the reference program for this seed. Ctrl-C ends early and keeps what is made.

      python -m mgdemo generate --mode templerun --image temple.png --output-folder out --seed 7
      python -m mgdemo generate --image street.jpg --scenario my.yaml --checkpoint embedded
    """
    count = args.num_output_frames
    if count is not None and (count < 1 or count % LATENTS_PER_BLOCK):
        near = max(LATENTS_PER_BLOCK, count - count % LATENTS_PER_BLOCK)
        raise UsageError(f"--num-output-frames {count} is not a multiple of 3; give {near}, for example.")
    replay = _replayed(args.scenario) if args.scenario else None
    scenario = replay.scenario if replay else None
    if scenario and args.mode not in (None, scenario.mode):
        raise UsageError(f"{args.scenario} is for mode {scenario.mode}, not {args.mode}; leave --mode out.")
    if scenario:
        track = scenario.track.padded()
        if count is not None:
            frames = frames_in_blocks(count // LATENTS_PER_BLOCK)
            idle = ActionTrack.hold(scenario.mode, (), frames=max(0, frames - len(track)))
            track = ActionTrack.concat([track, idle]).frames(0, frames)
    else:
        frames = frames_in_blocks((count or 150) // LATENTS_PER_BLOCK)
        track = random_actions(args.mode or "universal", frames, args.seed or 0)
    _make(args, track, replay)


def _replay(args: argparse.Namespace) -> None:
    """Make the video of a scenario from beginning to end: of a YAML file, or of an mp4 of an earlier play,
    which has its scenario inside. Checkpoint, image and seed are those of the play unless given here.

      python -m mgdemo replay scenarios/gta_drive/slalom.yaml
      python -m mgdemo replay outputs/demo.mp4 --checkpoint universal --output-folder again
    """
    replay = _replayed(args.scenario)
    _make(args, replay.scenario.track, replay)


def _make(args: argparse.Namespace, track: ActionTrack, replay: Replay | None) -> None:
    """The video of a whole track."""
    from mgdemo.checkpoints import catalogue
    from mgdemo.walk import blocks

    args.output_folder.mkdir(parents=True, exist_ok=True)
    scenario = replay.scenario if replay else None
    here = replay and any(e.name == replay.checkpoint and e.available for e in catalogue())
    if here and not (args.checkpoint or args.config):
        args.checkpoint = replay.checkpoint
    located = _locate(args, track.mode)
    image, name = _start_image(args, located.config.name, replay)
    total = frames_in_blocks(track.blocks)

    def told(frames, made: int, fps: float) -> None:
        _status(f"{made} of {total} frames, {fps:.1f} a second, {(total - made) / fps:.0f} s to go")

    title = scenario.title if scenario else f"{located.config.title}, random actions"
    _finish(args, located, image, blocks(track), scenario.seed if scenario else None, title, name, told)


def _play(args: argparse.Namespace) -> None:
    """Ask for a start image, then for the action of every block (of 12 video frames; the first has 9), until
    you leave with "quit", Ctrl-D or Ctrl-C. Then write demo.mp4, demo_icon.mp4 and demo.yaml. The latest
    picture is always in now.png of the output folder.

      universal  w a s d move, i j k l look, u leaves the camera still; several joined by +, as in w+l
      gta_drive  w s accelerate and brake, a d steer; several joined by +, as in w+a
      templerun  one of w jump, s slide, a d step aside, z c turn
      in each    q is nothing, and Enter the same again
    """
    mode = MODES[args.mode or "universal"]
    args.output_folder.mkdir(parents=True, exist_ok=True)
    located = _locate(args, mode.name)
    asked = args.image is None
    while True:
        if asked:
            answer = _ask("Start image (a file, or Enter for one that ships): ")
            args.image = Path(answer).expanduser() if answer else None
        try:
            image, name = _start_image(args, located.config.name, None)
            break
        except UserError as error:
            if not asked or not answer:
                raise
            print(error)

    def told(frames, made: int, fps: float) -> None:
        from PIL import Image

        Image.fromarray(frames[-1]).save(args.output_folder / "now.png")

    _finish(args, located, image, _console(mode), None, f"A play of {located.config.title}", name, told)


def _console(mode) -> Iterator[ActionTrack]:
    """The actions typed at the console, one block each, until the player leaves."""
    words = [f"{control.label.lower()} {control.hint.lower()}" for control in mode.controls]
    print(f"{', '.join(words)}, q nothing. Enter repeats the last action, quit ends the play.")
    block, last = 0, "q"
    while (word := _ask(f"block {block}> ")) not in ("quit", "exit", None):
        try:
            keyboard, mouse = typed_action(mode, word or last)
        except ConsoleError as error:
            print(error)
            continue
        last, frames = word or last, block_frames(block)
        yield ActionTrack(mode.name, [keyboard] * frames, None if mouse is None else [mouse] * frames)
        block += 1


def _ask(question: str) -> str | None:
    """The line typed, or None at the end of the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return None


def _finish(args, located, image, actions, seed, title, image_name, told) -> None:
    from mgdemo.walk import play
    from mgdemo.world import load_world_model

    print(f"{located.config.title}: {located.transformer}", file=sys.stderr)
    model = load_world_model(
        located,
        device=args.device,
        optimization=args.optimization,
        progress=lambda share, text: _status(f"{share:4.0%} {text}"),
    )
    seed = args.seed if args.seed is not None else seed or 0
    result = play(
        model, image, actions, args.output_folder, seed=seed, title=title, image_name=image_name, told=told
    )
    if result is None:
        print("Nothing was made.")
    else:
        _status("")
        print(f"{result.frames} frames: {result.mp4}, {result.overlay_mp4}, {result.scenario}")


def _locate(args: argparse.Namespace, mode: str):
    from mgdemo.checkpoints import resolve
    from mgdemo.config import load_config

    config = load_config(args.config) if args.config else None
    if config and config.mode != mode:
        raise UsageError(f"{args.config} is for mode {config.mode}, not {mode}; choose another one.")
    return resolve(args.checkpoint, mode=mode, config=config)


def _replayed(path: Path) -> Replay:
    from mgdemo.replay import open_replay

    return open_replay(path)


def _start_image(args: argparse.Namespace, checkpoint: str, replay: Replay | None):
    """The picture to begin with, and how a scenario refers to it if it ships.

    It is the one given, else the play's or scenario's own, else the first that ships.
    """
    from mgdemo.checkpoints import start_images
    from mgdemo.picture import open_picture

    shipped = start_images(checkpoint) if args.config is None else []
    wanted = (replay.scenario.image or "") if replay else ""
    path = args.image
    if path is None and replay and replay.image:
        return replay.image, None
    if path is None and wanted.startswith("embedded:"):
        path = next((p for p in shipped if p.stem == wanted.removeprefix("embedded:")), None)
    elif path is None and wanted:
        path = replay.scenario.path.with_name(wanted)
    if path is None and shipped:
        path = shipped[0]
    if path is None:
        raise UsageError("No start image ships for this checkpoint; give one with --image.")
    return open_picture(path), f"embedded:{path.stem}" if path.resolve() in shipped else None


def _status(text: str) -> None:
    """A line that the next one overwrites; only for people who watch."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _check(args: argparse.Namespace) -> int:
    """Say of each weight file what it is and for which mode, or exactly what is wrong with it; exit code 1
    if one is wrong. Without PATH: the embedded worlds and the folder for published weights. Of large files
    only tables of contents are read, unless --deep looks at every number and compares published files with
    their known hashes.

      python -m mgdemo check
      python -m mgdemo check --deep checkpoints
      python -m mgdemo check my_finetune.safetensors Wan2.1_VAE.pth
    """
    from mgdemo.weight_files.check import check

    def progress(path: Path) -> None:
        _status(f"looking at {path.name} …")

    def say(text: str) -> None:
        _status("")
        print(text)

    return 0 if check(args.paths, deep=args.deep, say=say, progress=progress) else 1


def _download(args: argparse.Namespace) -> None:
    """Fetch the files that the published checkpoints need, and only those. A download that broke off
    resumes where it stopped when the command is repeated.

      python -m mgdemo download --mode gta_drive --mode templerun
      MGDEMO_CHECKPOINTS=/data/worlds python -m mgdemo download
    """
    from mgdemo.download import download

    folder = download(args.mode or list(MODES), args.to, revision=args.revision)
    print(f"Complete in {folder}; `python -m mgdemo check --deep {folder}` looks through the files.")


def _app(args: argparse.Namespace) -> None:
    """Serve the page on this machine. The MGDEMO_* settings of README.md apply."""
    from mgdemo.folders import gradio_folder
    from mgdemo.serving import SessionService, Settings
    from mgdemo.serving.address import Address

    Address.choose(args.host, args.port)  # Gradio's import would trip over a wrong port
    gradio_folder()
    from mgdemo.ui import build, launch

    demo = build(SessionService(Settings.from_env()))
    launch(demo, open_browser=not args.no_browser, server_name=args.host, server_port=args.port)
