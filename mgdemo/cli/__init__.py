"""The command line: `mgdemo COMMAND`. Commands import what they need, so that --help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from inspect import cleandoc
from pathlib import Path

from mgdemo.actions import MODES
from mgdemo.cli import record, scenario, space, tools
from mgdemo.cli.compare import compare
from mgdemo.devices import out_of_memory
from mgdemo.errors import UserError
from mgdemo.seeds import SeedError, seed_of

MODULE = "python -m mgdemo"  # what is typed where the command mgdemo is not installed
EXAMPLES = """examples:
  python -m mgdemo app                              play in the browser
  python -m mgdemo play --mode gta_drive            play at this console, block by block
  python -m mgdemo replay scenarios/gta_drive/slalom.yaml
  python -m mgdemo generate --mode universal --image street.jpg --output-folder out --num-output-frames 150
  python -m mgdemo compare 'scenarios/*/*.yaml'      which world follows its controls?
  python -m mgdemo download --mode universal        fetch the published weights
  python -m mgdemo check --deep                     which weights are here, and are they intact?
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0; 1 a check failed; 2 it cannot be done; 130 interrupted."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("mgdemo: interrupted.", file=sys.stderr)
        return 130
    except (UserError, OSError) as error:  # any other is a bug and shows where it is
        print(f"mgdemo: {_sentence(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if not (memory := out_of_memory(error)):
            raise
        print(f"mgdemo: {memory}", file=sys.stderr)
        return 2


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}."
    return str(error)


def parser() -> argparse.ArgumentParser:
    program = "mgdemo" if Path(sys.argv[0]).stem == "mgdemo" else MODULE
    whole = argparse.ArgumentParser(
        prog=program,
        description="Play, replay and check Matrix-Game 2.0 worlds. Each command has a --help of its own.",
        epilog=EXAMPLES.replace(MODULE, program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    command = _adding(commands, program)
    _recording(command)
    _comparing(command(compare, "compare checkpoints over scenarios"))
    summary = "put scenarios together; import WBench's cases, and export results for it"
    about = commands.add_parser("scenario", help=summary, description=f"{summary[0].upper() + summary[1:]}.")
    _scenarios(_adding(about.add_subparsers(required=True, metavar="COMMAND"), program))
    summary = "run this program on a Space of the Hugging Face Hub"
    about = commands.add_parser("space", help=summary, description=f"{summary.capitalize()}.")
    _spaces(_adding(about.add_subparsers(required=True, metavar="COMMAND"), program))
    check = command(tools.check, "say what weight files are, and what is wrong with them")
    check.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file or a folder")
    check.add_argument("--deep", action="store_true", help="look at every number; takes minutes")

    download = command(tools.download, "fetch the published weights from the Hugging Face Hub")
    download.add_argument("--mode", choices=MODES, action="append", help="only this one (can be repeated)")
    download.add_argument(
        "--to", type=Path, metavar="DIR", help="default: $MGDEMO_CHECKPOINTS, or checkpoints/ in this program"
    )
    download.add_argument(
        "--revision", metavar="NAME", help="a commit, branch or tag on the Hub (default: the one in configs/)"
    )

    app = command(tools.app, "play in the browser")
    app.add_argument("--settings", type=Path, metavar="FILE", help="YAML (default: $MGDEMO_SETTINGS)")
    app.add_argument(
        "--set",
        action="append",
        type=_pair,
        metavar="NAME=VALUE",
        help="a setting, as in sessions=2; overrides the settings file and the environment (can be repeated)",
    )
    _short(app)
    app.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return whole


def _short(app: argparse.ArgumentParser) -> None:
    """Settings that have a flag of their own."""
    for name, metavar, summary in (
        ("host", "HOST", "0.0.0.0 lets other machines in (default: this machine only)"),
        ("port", "PORT", "default: the first free one from 7860 on"),
        ("auth", "FILE", "ask for a login: a line NAME:PASSWORD for each"),
        ("root_path", "PATH", "where a proxy shows the page"),
    ):
        app.add_argument(
            f"--{name.replace('_', '-')}",
            dest="set",
            action="append",
            type=lambda text, name=name: (name, text),
            metavar=metavar,
            help=summary,
        )
    for name, summary in (
        ("share", "make a public address at gradio.live, for 72 hours"),
        ("mcp", "offer MCP tools to other programs; see docs/api.md"),
    ):
        app.add_argument(f"--{name}", dest="set", action="append_const", const=(name, "1"), help=summary)


def _adding(commands: argparse._SubParsersAction, program: str) -> Callable:
    """What adds a command whose long help is the docstring of its function."""

    def command(run: Callable, summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            run.__name__.rstrip("_"),  # import_
            help=summary,
            description=cleandoc(run.__doc__ or "").replace(MODULE, program),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    return command


def _spaces(command: Callable[[Callable, str], argparse.ArgumentParser]) -> None:
    """The commands about Spaces."""
    push = command(space.push, "make a Space of this program, or bring it up to date")
    push.add_argument("name", metavar="USER/NAME")
    push.add_argument("--dry-run", action="store_true", help="only list what would go")
    push.add_argument("--private", action="store_true", help="a new Space that only its owner sees")
    push.add_argument(
        "--hardware", metavar="NAME", help="of a new Space, as in t4-small (default: cpu-basic)"
    )


def _scenarios(command: Callable[[Callable, str], argparse.ArgumentParser]) -> None:
    """The commands about scenario files."""
    flatten = command(scenario.flatten, "make one file of a scenario and those that it includes")
    flatten.add_argument("file", type=Path, metavar="SCENARIO", help="a .yaml file, or a recorded .mp4")
    flatten.add_argument("--out", type=Path, metavar="FILE", help="write it there (default: print it)")

    taken = command(scenario.import_, "make scenarios of WBench's cases")
    taken.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="JSON files, or folders of them")
    taken.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="what the paths of start images are relative to (default: the case's folder, or the one above)",
    )
    taken.add_argument("--out", type=Path, metavar="DIR", default=Path("wbench"), help="default: wbench")

    given = command(scenario.export, "make a folder for WBench's evaluation of films of its cases")
    given.add_argument("films", nargs="+", type=Path, metavar="FILM", help="films, or folders with films")
    given.add_argument("--name", required=True, metavar="MODEL", help="of the model, as in matrix-game-2")
    given.add_argument("--display-name", metavar="TEXT", help="as the board shows it (default: the name)")
    given.add_argument("--org", metavar="TEXT", default="", help="whose model it is")
    given.add_argument("--contact", metavar="TEXT", default="", help="an address for questions")
    given.add_argument("--checkpoint", metavar="NAME", help="only films that this one has made")
    given.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("wbench-results"), help="default: wbench-results"
    )


def _recording(command: Callable[[Callable, str], argparse.ArgumentParser]) -> None:
    """The commands that make videos."""
    generate = command(record.generate, "make a video from an image and a sequence of actions")
    replay = command(record.replay, "make the video of a scenario")
    play = command(record.play, "play at the console, block by block")
    generate.add_argument("--mode", choices=MODES, help="default: the scenario's, or universal")
    generate.add_argument("--scenario", type=Path, metavar="FILE", help="take the actions from this file")
    generate.add_argument(
        "--num-output-frames",
        type=int,
        metavar="N",
        help="latent frames, a multiple of 3 (default: 150, or as long as the scenario)",
    )
    replay.add_argument(
        "scenarios",
        nargs="+",
        metavar="SCENARIO",
        help="a .yaml file or a recorded .mp4; several, or a pattern",
    )
    play.add_argument("--mode", choices=MODES, default="universal", help="default: universal")
    scripted = "the scenario's, or one that ships", "the scenario's, or 0"
    for made, (image, seed) in (
        (generate, scripted),
        (replay, scripted),
        (play, ("you are asked for it", "0")),
    ):
        made.add_argument(
            "--image", type=Path, metavar="FILE", help=f"start image, of any size (default: {image})"
        )
        made.add_argument(
            "--output-folder", type=Path, metavar="DIR", default=Path("outputs"), help="default: outputs"
        )
        made.add_argument("--seed", type=_seed, metavar="S", help=f"default: {seed}")
        made.add_argument(
            "--checkpoint",
            metavar="PATH|NAME|embedded",
            help="a folder, a transformer's file, or a name of the catalog (default: the published weights "
            "of the mode if they are here, else the embedded world)",
        )
        made.add_argument(
            "--config", type=Path, metavar="FILE", help="like those in configs/, for other weights"
        )
        made.add_argument(
            "--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU if there is one)"
        )
        made.add_argument(
            "--optimization",
            metavar="WORDS",
            default="",
            help='change what makes a GPU fast, as in "fp8,no-kernels": kernels, graphs, fp8, int8, low-vram',
        )


def _comparing(compared: argparse.ArgumentParser) -> None:
    compared.add_argument(
        "scenarios",
        nargs="+",
        metavar="SCENARIO",
        help='files, films or patterns such as "scenarios/*/*.yaml"',
    )
    compared.add_argument(
        "--checkpoints",
        nargs="+",
        metavar="NAME|PATH",
        help="columns, the baseline first (default: the embedded worlds)",
    )
    compared.add_argument(
        "--optimization", nargs="+", default=[""], metavar="WORDS", help='columns too, as in "" fp8'
    )
    compared.add_argument("--seeds", nargs="+", default=[], metavar="S", help="rows, as in 7 or 0..3")
    compared.add_argument("--images", nargs="+", type=Path, default=[], metavar="FILE|DIR", help="rows, too")
    compared.add_argument(
        "--by", choices=("meaning", "key"), default="meaning", help="how actions become those of another mode"
    )
    compared.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, or several such as cuda:0,cuda:1, each with a run (default: a GPU if there is one)",
    )
    compared.add_argument(
        "--out", type=Path, default=Path("comparison"), metavar="DIR", help="default: comparison"
    )
    compared.add_argument("--title", help="of the report (default: the checkpoints')")
    compared.add_argument(
        "--videos-beside", action="store_true", help="the report refers to the videos in runs/ (a small file)"
    )
    compared.add_argument("--dry-run", action="store_true", help="only say how much it would be")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("give NAME=VALUE, as in sessions=2")
    return name.strip().removeprefix("MGDEMO_").lower(), value.strip()


def _seed(text: str) -> int:
    try:
        return seed_of(text)
    except SeedError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
