"""The commands that make videos: generate, replay and play."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.actions import MODES, ActionTrack, Mode
from mgdemo.blocks import LATENTS_PER_BLOCK, block_frames, frames_in_blocks
from mgdemo.cli.recorded import checkpoint_of, keep_source, say_missing, say_same
from mgdemo.cli.terminal import ask, frames_bar, status
from mgdemo.console import ConsoleError, typed_action
from mgdemo.errors import UserError
from mgdemo.random_actions import random_actions

if TYPE_CHECKING:
    import numpy as np

    from mgdemo.checkpoints import Located
    from mgdemo.picture import StartImage
    from mgdemo.replay import Replay
    from mgdemo.scenario import Mark
    from mgdemo.video.films import Recording

LATENTS = 150  # of a video whose length nobody has chosen


class UsageError(UserError):
    """A command that cannot be carried out; the message says what to change."""


@dataclass(frozen=True)
class Setting:
    """What a video is made with: the checkpoint, what runs it, and the options that hold for any actions."""

    located: Located
    shipped: tuple[Path, ...]  # start images
    folder: Path
    device: str
    optimization: str

    @staticmethod
    def of(args: argparse.Namespace, mode: str, checkpoint: str | None = None) -> Setting:
        """checkpoint: the one to take if the user has named none."""
        from mgdemo.checkpoints import resolve, start_images
        from mgdemo.config import load_config

        config = load_config(args.config) if args.config else None
        if config and config.mode != mode:
            raise UsageError(f"{args.config} is for mode {config.mode}, not {mode}; choose another one.")
        located = resolve(args.checkpoint or (None if config else checkpoint), mode=mode, config=config)
        shipped = () if config else tuple(start_images(located.config.name))
        return Setting(located, shipped, args.output_folder, args.device, args.optimization)

    @property
    def title(self) -> str:
        return self.located.config.title

    def start_image(self, path: Path | None, replay: Replay | None = None) -> StartImage:
        """The start image at a path, else that of the film or scenario, else the first that ships."""
        from mgdemo.picture import StartImage
        from mgdemo.references import ImageMissing, start_image, wanted_image

        if path is None and replay and replay.image:
            return StartImage(None, replay.image)
        try:
            path = path or (wanted_image(replay.scenario, self.shipped) if replay else None)
        except ImageMissing as error:
            raise UsageError(f"{str(error).rstrip('.')} with --image.") from None
        path = path or next(iter(self.shipped), None)
        if path is None:
            raise UsageError("No start image ships for this checkpoint; give one with --image.")
        return start_image(path, self.shipped)

    def record(
        self,
        start: StartImage,
        actions: Iterable[ActionTrack],
        seed: int,
        title: str,
        progress: Callable[[np.ndarray, int, float], None],
        marks: tuple[Mark, ...] = (),
    ) -> Recording | None:
        """Make the video and say where it is; None if there is none."""
        from mgdemo.loading import load_world_model
        from mgdemo.render import RenderJob, render

        print(f"{self.title}: {self.located.transformer}", file=sys.stderr)
        model = load_world_model(
            self.located,
            device=self.device,
            optimization=self.optimization,
            progress=lambda share, text: status(f"{share:4.0%} {text}"),
        )
        made = render(model, RenderJob(start, actions, seed, title, self.folder, marks), progress)
        status("")
        if made is None:
            print("Nothing was made.")
        else:
            print(f"{made.frames} frames: {made.mp4}, {made.overlay_mp4}, {made.scenario}")
        return made


def generate(args: argparse.Namespace) -> None:
    """Make N latent frames, which are 4N-3 video frames, from a start image, and write demo.mp4 and, with
    keys and camera drawn on it, demo_icon.mp4. The actions are those of a scenario, else the random ones of
    the reference program for this seed. Ctrl-C ends early and keeps what is made.

      python -m mgdemo generate --mode templerun --image temple.png --output-folder out --seed 7
      python -m mgdemo generate --image street.jpg --scenario my.yaml --checkpoint embedded
    """
    from mgdemo.scenario.grammar import MOST_FRAMES

    count = args.num_output_frames
    if count is not None and (count < 1 or count % LATENTS_PER_BLOCK):
        near = max(LATENTS_PER_BLOCK, count - count % LATENTS_PER_BLOCK)
        raise UsageError(f"--num-output-frames {count} is not a multiple of 3; give {near}, for example.")
    frames = frames_in_blocks((count or LATENTS) // LATENTS_PER_BLOCK)
    if frames > MOST_FRAMES:
        raise UsageError(
            f"--num-output-frames {count} is longer than 10 minutes: its film could not be replayed."
        )
    if not args.scenario:
        _record(args, random_actions(args.mode or "universal", frames, args.seed or 0), None)
        return
    replay = _opened(args.scenario)
    scenario = replay.scenario
    if args.mode not in (None, scenario.mode):
        raise UsageError(f"{args.scenario} is for mode {scenario.mode}, not {args.mode}; leave --mode out.")
    track = scenario.track.padded()
    if count is not None:
        idle = ActionTrack.hold(scenario.mode, (), frames=max(0, frames - len(track)))
        track = ActionTrack.concat([track, idle]).frames(0, frames)
    _record(args, track, replay)


def replay(args: argparse.Namespace) -> int | None:
    """Make the video of a scenario from beginning to end: of a YAML file, or of an mp4 that was recorded
    here, which has its scenario inside. Checkpoint, image and seed are those of the recorded session unless
    given here. Of an mp4, it says whether the frames are the same again.

    With several scenarios, or a pattern of such files, each gets a film of its name and a line of scores.
    What is there already is not made again. Returns 1 if one failed; the others are made nevertheless.

      python -m mgdemo replay scenarios/gta_drive/slalom.yaml
      python -m mgdemo replay 'scenarios/**/*.yaml' --output-folder all
      python -m mgdemo replay outputs/demo.mp4 --checkpoint universal --output-folder again
    """
    from mgdemo.cli.replays import replay_all
    from mgdemo.compare.catalog import files_of

    path = Path(args.scenarios[0])
    paths = [path] if len(args.scenarios) == 1 and not is_pattern(path) else files_of(args.scenarios)
    if len(paths) > 1:
        return replay_all(args, paths)
    args.scenario = paths[0]
    opened = _opened(args.scenario)
    made = _record(args, opened.scenario.track, opened)
    if made:
        say_same(args.scenario, opened, _opened(made.mp4).frames_sha256)
    return None


def is_pattern(path: Path) -> bool:
    return not path.exists() and any(character in str(path) for character in "*?[")


def _opened(path: Path) -> Replay:
    from mgdemo.replay import open_replay

    return open_replay(path)


def _record(args: argparse.Namespace, track: ActionTrack, replay: Replay | None) -> Recording | None:
    """The video of a whole track; None if nothing was made."""
    from mgdemo.render import blocks

    args.output_folder.mkdir(parents=True, exist_ok=True)
    if replay:
        keep_source(args.scenario, args.output_folder, ("demo.mp4", "demo_icon.mp4", "demo.yaml"))
    here = checkpoint_of(replay)
    setting = Setting.of(args, track.mode, here)
    start = setting.start_image(args.image, replay)
    if replay and not (args.checkpoint or args.config):
        say_missing(args.scenario, replay, here, setting.title)
    seed = args.seed if args.seed is not None else (replay.scenario.seed if replay else None) or 0
    title = replay.scenario.title if replay else f"{setting.title}, random actions"
    marks = replay.scenario.marks if replay else ()
    with frames_bar(frames_in_blocks(track.blocks)) as bar:

        def progress(_: np.ndarray, made: int, fps: float) -> None:
            bar.update(made - bar.n)

        return setting.record(start, blocks(track), seed, title, progress, marks)


def play(args: argparse.Namespace) -> None:
    """Ask for a start image, then for the action of every block (of 12 video frames; the first has 9), until
    you leave with "quit", Ctrl-D or Ctrl-C. Then write demo.mp4, demo_icon.mp4 and demo.yaml. The latest
    picture is always in now.png of the output folder.

      universal  w a s d move, i j k l look, u leaves the camera still; several joined by +, as in w+l
      gta_drive  w s accelerate and brake, a d steer; several joined by +, as in w+a
      templerun  one of w jump, s slide, a d step aside, z c turn
      in each    q is nothing, and Enter the same again
    """
    mode = MODES[args.mode]
    args.output_folder.mkdir(parents=True, exist_ok=True)
    setting = Setting.of(args, mode.name)
    start = setting.start_image(args.image) if args.image else _asked_image(setting)

    def progress(frames: np.ndarray, made: int, fps: float) -> None:
        from PIL import Image

        Image.fromarray(frames[-1]).save(setting.folder / "now.png")

    setting.record(start, _typed(mode), args.seed or 0, f"{setting.title}, played at the console", progress)


def _asked_image(setting: Setting) -> StartImage:
    while answer := ask("Start image (a file, or Enter for one that ships): "):
        try:
            return setting.start_image(Path(answer).expanduser())
        except UserError as error:
            print(error)
    return setting.start_image(None)


def _typed(mode: Mode) -> Iterator[ActionTrack]:
    """The actions typed at the console, one block each, until the player leaves."""
    words = [f"{control.label.lower()} {control.hint.lower()}" for control in mode.controls]
    print(f"{', '.join(words)}, q nothing. Enter repeats the last action, quit ends.")
    block, last = 0, "q"
    while (word := ask(f"block {block}> ")) not in ("quit", "exit", None):
        try:
            keyboard, mouse = typed_action(mode, word or last)
        except ConsoleError as error:
            print(error)
            continue
        last, frames = word or last, block_frames(block)
        yield ActionTrack.still(mode.name, keyboard, mouse, frames)
        block += 1
