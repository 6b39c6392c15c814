import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mgdemo import checkpoints, cli
from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import Located
from mgdemo.config import CONFIGS, load_config
from mgdemo.random_actions import random_actions
from mgdemo.scenario import OWN_PICTURE, load_scenario, parse_scenario, scenario_yaml
from mgdemo.video.mp4 import metadata, read_frames

SIZE = (48, 64)


class Paint:
    """A world that shows what it is given: a block's frames are grey, brighter with every key held."""

    def __init__(self, image, seed):
        self.image, self.seed, self.given = image, seed, []

    def step(self, track):
        self.given.append(track)
        grey = (40 + 40 * track.keyboard.sum(axis=1)).astype(np.uint8)
        return np.broadcast_to(grey[:, None, None, None], (len(track), *SIZE, 3)).copy()


@pytest.fixture
def worlds(monkeypatch, tmp_path):
    """Stands for the weights; the list of worlds that were started. Commands run in an empty folder."""
    started = []

    def load(located, *, device, optimization, progress):
        progress(1.0, "loaded")

        def start(image, seed):
            started.append(Paint(image, seed))
            return started[-1]

        return SimpleNamespace(
            start=start,
            size=SIZE,
            fps=25,
            name=located.config.name,
            config=located.config,
            located=located,
            device=device,
        )

    def resolve(checkpoint=None, *, mode=None, config=None):
        config = config or load_config(CONFIGS / f"{mode}.yaml")
        return Located(config, Path("t"), Path("v"), Path("i"))

    monkeypatch.setattr("mgdemo.loading.load_world_model", load, raising=False)
    monkeypatch.setattr(checkpoints, "resolve", resolve)
    monkeypatch.setattr(checkpoints, "start_images", lambda name: [])
    monkeypatch.chdir(tmp_path)
    return started


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (100, 100), "olive").save(path)
    return path


def run(*arguments) -> int:
    return cli.main([str(argument) for argument in arguments])


def given(world) -> ActionTrack:
    return ActionTrack.concat(world.given)


@pytest.mark.parametrize("mode", MODES)
def test_generate_writes_all_frames_of_the_references_walk(worlds, photo, tmp_path, mode, capsys):
    out = tmp_path / "out"
    arguments = ("--mode", mode, "--image", photo, "--output-folder", out, "--num-output-frames", 6)
    assert run("generate", *arguments, "--seed", 42) == 0
    (world,) = worlds
    assert [len(track) for track in world.given] == [9, 12]
    assert given(world) == random_actions(mode, 21, 42)
    assert world.seed == 42 and world.image.size == SIZE[::-1]
    plain, drawn = (list(read_frames(out / name)) for name in ("demo.mp4", "demo_icon.mp4"))
    assert len(plain) == len(drawn) == 4 * 6 - 3
    assert plain[0].shape == (*SIZE, 3)
    keys = given(world).keyboard.sum(axis=1)
    assert all(abs(frame.mean() - 40 - 40 * held) < 4 for frame, held in zip(plain, keys, strict=True))
    assert all((a != b).any() for a, b in zip(plain, drawn, strict=True))
    assert "21 frames" in capsys.readouterr().out


def test_what_generate_made_can_be_replayed_from_its_mp4_or_its_yaml(worlds, photo, tmp_path):
    run("generate", "--image", photo, "--num-output-frames", 3, "--seed", 5)
    photo.unlink()
    for source in ("outputs/demo.mp4", "outputs/demo.yaml"):
        assert run("replay", source, "--output-folder", tmp_path / "again") == 0
        assert given(worlds[-1]) == given(worlds[0]) and worlds[-1].seed == 5
        assert worlds[-1].image.tobytes() == worlds[0].image.tobytes()
    recorded = parse_scenario(metadata(tmp_path / "again" / "demo.mp4")["scenario"])
    assert recorded.track == given(worlds[0]) and recorded.seed == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "outputs/demo.yaml"),
        ("replay", "outputs/demo.mp4", "--seed", 8),
        ("generate", "--scenario", "outputs/demo.yaml"),
    ],
)
def test_what_is_replayed_is_not_overwritten(worlds, photo, arguments, capsys):
    run("generate", "--image", photo, "--num-output-frames", 3)
    files = [Path("outputs") / name for name in ("demo.yaml", "demo.mp4", "demo_icon.mp4")]
    before = [file.read_bytes() for file in files]
    assert run(*arguments) == 2
    assert "would be overwritten: choose another folder with --output-folder" in capsys.readouterr().err
    assert [file.read_bytes() for file in files] == before and len(worlds) == 1


@pytest.fixture
def scenario(tmp_path, photo):
    """14 frames, which reach into the second block, beginning at the photo."""
    track = ActionTrack.hold("gta_drive", ["accelerate"], frames=14)
    path = tmp_path / "drive.yaml"
    path.write_text(scenario_yaml(track, title="Away", image=photo.name, seed=9))
    return path


def test_replay_fills_the_last_block_and_keeps_to_the_scenario(worlds, scenario):
    assert run("replay", scenario) == 0
    assert given(worlds[0]) == load_scenario(scenario).track.padded()
    assert worlds[0].seed == 9
    assert len(list(read_frames("outputs/demo.mp4"))) == 21
    assert metadata("outputs/demo.mp4")["title"] == "Away"
    assert run("replay", scenario, "--seed", 10) == 0 and worlds[1].seed == 10


@pytest.mark.parametrize(("latents", "frames"), [(None, 21), (3, 9), (9, 33)])
def test_generate_with_a_scenario_has_its_length_or_the_one_asked_for(worlds, scenario, latents, frames):
    assert (
        run("generate", "--scenario", scenario, *(["--num-output-frames", latents] if latents else [])) == 0
    )
    track = given(worlds[0])
    assert len(track) == frames
    assert track.keyboard[:14, 0].all() and not track.keyboard[14:].any()


def test_an_image_that_ships_is_referred_to_by_name(worlds, photo, scenario, monkeypatch):
    shipped = photo.rename(photo.with_name("meadow.png"))
    monkeypatch.setattr(checkpoints, "start_images", lambda name: [shipped])
    assert run("generate", "--num-output-frames", 3) == 0
    assert load_scenario("outputs/demo.yaml").image == "embedded:meadow"
    assert not Path("outputs/demo.png").exists()
    assert run("replay", "outputs/demo.yaml", "--output-folder", "again") == 0
    assert worlds[1].image.getpixel((0, 0)) == (128, 128, 0)


def type_in(monkeypatch, *lines):
    """Answers to the prompts; an exception class is raised instead."""
    answers, asked = iter(lines), []

    def read(prompt):
        asked.append(prompt)
        answer = next(answers)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr("builtins.input", read)
    return asked


@pytest.mark.parametrize("leave", ["quit", EOFError, KeyboardInterrupt])
def test_play_asks_for_an_image_and_for_each_blocks_action(worlds, photo, monkeypatch, capsys, leave):
    asked = type_in(monkeypatch, "nosuch.png", str(photo), "w+l", "", "hop", "q", leave)
    assert run("play", "--mode", "universal", "--seed", 3) == 0
    assert asked[0].startswith("Start image") and asked[1] == asked[0]
    assert asked[2:] == [f"block {n}> " for n in (0, 1, 2, 2, 3)]
    universal = MODES["universal"].frame
    expected = [universal(["forward", "look_right"])] * 2 + [universal([])]
    assert [len(track) for track in worlds[0].given] == [9, 12, 12]
    for track, (keyboard, mouse) in zip(worlds[0].given, expected, strict=True):
        assert (track.keyboard == keyboard).all() and (track.mouse == mouse).all()
    assert '"hop" is not an action' in capsys.readouterr().out
    assert len(list(read_frames("outputs/demo.mp4"))) == 33
    assert Image.open("outputs/now.png").size == SIZE[::-1]
    assert load_scenario("outputs/demo.yaml").track == given(worlds[0])


def test_leaving_play_at_once_leaves_no_video(worlds, photo, monkeypatch, capsys):
    type_in(monkeypatch, "quit")
    assert run("play", "--image", photo) == 0
    assert "Nothing was made" in capsys.readouterr().out
    assert not Path("outputs/demo.mp4").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_made_is_kept_when_it_is_interrupted_or_fails(worlds, photo, monkeypatch, error):
    step = Paint.step

    def breaks(self, track):
        if len(self.given) == 2:
            raise error
        return step(self, track)

    monkeypatch.setattr(Paint, "step", breaks)
    arguments = ("generate", "--image", photo, "--num-output-frames", 30)
    if error is KeyboardInterrupt:
        assert run(*arguments) == 0
        assert len(list(read_frames("outputs/demo_icon.mp4"))) == 21
    else:
        with pytest.raises(RuntimeError):
            run(*arguments)
    assert len(list(read_frames("outputs/demo.mp4"))) == 21
    assert parse_scenario(metadata("outputs/demo.mp4")["scenario"]).track == given(worlds[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generate", "--num-output-frames", 10), "--num-output-frames 10 is not a multiple of 3; give 9"),
        (("generate", "--num-output-frames", -3), "is not a multiple of 3; give 3"),
        (("generate", "--num-output-frames", 3765), "3765 is longer than 10 minutes: its film could not be"),
        (("generate", "--image", "none.png"), "none.png cannot be used as a start image: No such file"),
        (
            ("generate", "--image", "text.png"),
            "text.png cannot be used as a start image: it is not a picture",
        ),
        (
            ("generate", "--num-output-frames", 3),
            "No start image ships for this checkpoint; give one with --image",
        ),
        (
            ("generate", "--scenario", "drive.yaml", "--mode", "templerun"),
            "is for mode gta_drive, not templerun",
        ),
        (("generate", "--config", "none.yaml", "--image", "photo.png"), "none.yaml"),
        (
            ("generate", "--config", str(CONFIGS / "templerun.yaml"), "--image", "photo.png"),
            "is for mode templerun",
        ),
        (
            ("generate", "--image", "photo.png", "--output-folder", "photo.png"),
            "photo.png cannot be used: File",
        ),
        (("generate", "--image", "dot.png"), "dot.png is only 1x9 pixels; give a larger"),
        (("replay", "none.yaml"), "none.yaml cannot be read"),
        (("replay", "text.png"), "text.png"),
        (("replay", "text.mp4"), "text.mp4 cannot be read as a video"),
        (("replay", "lost.yaml"), "This scenario starts from gone.png: choose it with --image."),
        (("generate", "--scenario", "lost.yaml"), "starts from gone.png: choose it with --image."),
        (("replay", "typo.yaml"), "starts from meadw: choose it with --image."),
        (("replay", "itself.yaml"), "starts from itself.yaml: choose it with --image."),
        (("replay", "emoji.yaml"), ": choose it with --image."),
        (
            ("replay", "own.yaml"),
            "its author's own picture, which is not in the file: choose",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(worlds, scenario, capsys, arguments, said):
    Path("text.png").write_text("not a picture")
    Image.new("RGB", (1, 9)).save("dot.png")
    Path("text.mp4").write_text("not a film")
    images = {"lost": "gone.png", "typo": "embedded:meadw", "itself": "itself.yaml", "emoji": "🏔" * 120}
    for name, image in (images | {"own": OWN_PICTURE}).items():
        Path(f"{name}.yaml").write_text(scenario.read_text().replace("photo.png", image), encoding="utf-8")
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("mgdemo: ") and said in error and "\n" not in error
    assert not worlds


def test_an_mp4_without_a_scenario_is_refused(worlds, photo, capsys):
    from mgdemo.video.mp4 import write_mp4

    write_mp4("film.mp4", [np.zeros((*SIZE, 3), np.uint8)], 25)
    assert run("replay", "film.mp4") == 2
    assert "film.mp4 has no scenario inside" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "1.5", "many", str(2**32)])
def test_a_seed_is_a_number_that_a_scenario_can_hold(seed, capsys):
    with pytest.raises(SystemExit) as exit:
        run("generate", "--seed", seed)
    assert exit.value.code == 2
    assert "cannot be a seed: give a whole number from 0 to 4294967295" in capsys.readouterr().err


def test_check_prints_a_line_a_file_and_says_which_checkpoints_are_complete(tmp_path, capsys):
    (tmp_path / "empty.safetensors").touch()
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert run("check", tmp_path / "x.safetensors") == 1
    assert capsys.readouterr().out.startswith(f"other  {tmp_path / 'x.safetensors'}: not a file of these")
    assert run("check", tmp_path) == 1
    assert "wrong" in capsys.readouterr().out


def test_check_succeeds_on_good_files(tmp_path, capsys):
    from tests.support.published import manifest, sparse

    for name, file in (("dit_universal", "t"), ("dit_gta_drive", "g"), ("clip_visual", "c")):
        sparse(tmp_path / f"{file}.safetensors", manifest(name))
    assert run("check", tmp_path) == 0
    assert "universal: lacks the vae\n" in capsys.readouterr().out
    sparse(tmp_path / "v.safetensors", manifest("vae"))
    assert run("check", tmp_path, tmp_path / "v.safetensors") == 0
    said = capsys.readouterr().out
    assert "universal: complete\ngta_drive: complete\n" in said and "templerun: " not in said


def test_download_fetches_all_modes_unless_told(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(
        "mgdemo.download.download",
        lambda modes, to, revision: asked.append((modes, to, revision)) or Path("there"),
    )
    assert run("download") == 0
    assert run("download", "--mode", "templerun", "--mode", "universal", "--to", tmp_path) == 0
    assert run("download", "--revision", "main") == 0
    everything = list(MODES)
    assert asked == [
        (everything, None, None),
        (["templerun", "universal"], tmp_path, None),
        (everything, None, "main"),
    ]
    assert "mgdemo check --deep there" in capsys.readouterr().out


def test_memory_that_ran_out_is_a_sentence_with_the_cure(monkeypatch, capsys):
    def full(*args, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("mgdemo.download.download", full)
    assert run("download") == 2
    said = capsys.readouterr().err
    assert said.startswith("mgdemo: The GPU ran out of memory") and "low-vram" in said and "fp8" in said


def test_an_interrupt_is_not_a_traceback(monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mgdemo.download.download", interrupted)
    assert run("download") == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["generate", "replay", "play", "check", "download", "app"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as exit:
        run(command, "--help")
    said = capsys.readouterr().out
    assert exit.value.code == 0
    assert said.startswith(f"usage: python -m mgdemo {command} ")
    assert len(said.split("\n\n")[1]) > 60  # more than a usage line


def test_help_tells_defaults_and_that_of_play_speaks_of_no_scenario(capsys):
    for command in ("generate", "replay", "play"):
        with pytest.raises(SystemExit):
            run(command, "--help")
        said = " ".join(capsys.readouterr().out.split())
        assert ("scenario" in said) == (command != "play")
        assert said.count("default: ") >= 5


@pytest.mark.parametrize(
    ("started_as", "name"), [("/usr/bin/mgdemo", "mgdemo"), ("mgdemo/__main__.py", "python -m mgdemo")]
)
def test_help_names_the_command_as_it_was_typed(monkeypatch, capsys, started_as, name):
    monkeypatch.setattr(sys, "argv", [started_as])
    with pytest.raises(SystemExit):
        run("check", "--help")
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {name} check ") and f"  {name} check " in said


def test_a_film_of_a_checkpoint_that_is_not_here_says_which_one_is_used(worlds, photo, capsys):
    run("generate", "--image", photo, "--num-output-frames", 3)
    film = Path("outputs/demo.mp4")
    film.write_bytes(re.sub(b"(?<!mode: )universal", b"my-tuning", film.read_bytes()))
    assert run("replay", film, "--output-folder", "again") == 0
    assert "was made with my-tuning, which is not here; using" in capsys.readouterr().err
    assert run("replay", film, "--checkpoint", "universal", "--output-folder", "again") == 0
    assert "was made with" not in capsys.readouterr().err


def test_help_is_instant_because_nothing_heavy_is_loaded():
    watch = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "
    script = (
        f"{watch} import runpy; sys.argv[1:] = ['--help']; runpy.run_module('mgdemo', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=CONFIGS.parent)
    *text, modules = done.stdout.splitlines()
    assert done.returncode == 0 and "examples:" in text
    assert not {"torch", "gradio", "av", "huggingface_hub", "PIL", "omegaconf"} & set(modules.split())
