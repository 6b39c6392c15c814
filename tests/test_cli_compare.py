"""The command that compares."""

import pytest
from PIL import Image

from mgdemo import checkpoints
from mgdemo.cli import main
from mgdemo.paths import SCENARIOS
from mgdemo.video.mp4 import metadata

SLALOM = str(SCENARIOS / "gta_drive" / "slalom.yaml")


def stub(monkeypatch):
    """Stub worlds in place of the models behind the names of the embedded ones."""
    monkeypatch.setenv("MGDEMO_LOADER", "benchmarks.stub_world:load_small")


def test_a_comparison_is_made_once_and_says_where_it_is(tmp_path, monkeypatch, capsys):
    stub(monkeypatch)
    arguments = [
        "compare",
        SLALOM,
        "--checkpoints",
        "gta_drive-tiny",
        "templerun-tiny",
        "--out",
        str(tmp_path),
    ]
    assert main(arguments) == 0
    first = capsys.readouterr()
    assert "Slalom" in first.out and str(tmp_path / "report.html") in first.out
    assert "2 runs" in first.err and "s of video), about" in first.err, "before any run was made here"
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(runs) == 2 and not (tmp_path / ".sessions").exists()
    times = [(tmp_path / "runs" / name / "run.json").stat().st_mtime_ns for name in runs]
    assert main(arguments) == 0
    assert [(tmp_path / "runs" / name / "run.json").stat().st_mtime_ns for name in runs] == times
    again = capsys.readouterr()
    assert again.out == first.out and "all made already" in again.err


def test_a_dry_run_makes_nothing(tmp_path, monkeypatch, capsys):
    stub(monkeypatch)
    assert main(["compare", SLALOM, "--dry-run", "--seeds", "0..3", "--out", str(tmp_path)]) == 0
    assert "12 runs" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["no-such.yaml"], "is not a scenario"),
        ([SLALOM, "--checkpoints", "nothing"], 'no checkpoint or file called "nothing"'),
        ([SLALOM, "--optimization", "quick"], "quick"),
        ([SLALOM, "--device", "cpu", "--optimization", "", "fp8"], "FP8 needs an NVIDIA GPU"),
        ([SLALOM, "--device", "cpu", "--optimization", "no-graphs"], "Optimizations are for NVIDIA GPUs"),
        ([SLALOM, "--seeds", "many"], "many is not a seed"),
        ([SLALOM, "--checkpoints", *["gta_drive-tiny"] * 7], "choose 6 at most"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments, words, tmp_path, capsys):
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_several_scenarios_are_replayed_and_films_have_their_names(tmp_path, monkeypatch, capsys):
    stub(monkeypatch)
    walk = tmp_path / "walk.yaml"
    walk.write_text("title: A walk\nmode: universal\nactions:\n  - {hold: forward, for: 1 s}\n")
    out = tmp_path / "out"
    arguments = ["replay", str(walk), SLALOM, "--output-folder", str(out)]
    assert main(arguments) == 0
    assert {path.name for path in out.glob("*.mp4")} == {"walk.mp4", "slalom.mp4"}
    assert metadata(out / "walk.mp4")["checkpoint"].startswith("universal")
    assert len(list((out / "runs").iterdir())) == 2
    assert "Slalom" in capsys.readouterr().out


def test_of_several_films_each_is_made_again_with_its_own_checkpoint(tmp_path, monkeypatch, capsys):
    stub(monkeypatch)
    out, walk = tmp_path / "out", tmp_path / "walk.yaml"
    walk.write_text("title: A walk\nmode: universal\nactions:\n  - {hold: forward, for: 1 s}\n")
    assert main(["replay", str(walk), SLALOM, "--output-folder", str(out)]) == 0
    films = [out / "walk.mp4", out / "slalom.mp4"]
    foreign = tmp_path / "foreign.mp4"
    foreign.write_bytes(films[0].read_bytes().replace(b"universal-tiny", b"universal-mine"))
    asked, resolve = [], checkpoints.resolve
    monkeypatch.setattr(
        checkpoints, "resolve", lambda *a, **k: (asked.append(k["mode"]), resolve(*a, **k))[1]
    )
    capsys.readouterr()
    assert main(["replay", *map(str, [*films, foreign]), "--output-folder", str(tmp_path / "again")]) == 0
    said = capsys.readouterr()
    assert asked == ["universal"], "the mode's own checkpoint is for what is not here"
    assert f"{foreign} was made with universal-mine, which is not here; using" in said.err
    assert all(f"The frames are those of {film}." in said.out for film in [*films, foreign])
    assert main(["replay", *map(str, films), "--config", str(walk)]) == 2
    assert "--config is for one scenario" in capsys.readouterr().err
    assert main(["replay", *map(str, films), "--output-folder", str(out)]) == 2
    assert f"{films[0]} would be overwritten" in capsys.readouterr().err


def test_films_of_scenarios_that_are_called_the_same_all_stay(tmp_path, monkeypatch):
    stub(monkeypatch)
    walks = [tmp_path / one / "folder" / "walk.yaml" for one in "abc"]
    for walk in walks:
        walk.parent.mkdir(parents=True)
        walk.write_text("title: A walk\nmode: universal\nactions:\n  - {hold: forward, for: 1 s}\n")
    assert main(["replay", *map(str, walks), "--output-folder", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.mp4")} == {"folder-walk", "folder-walk-2", "folder-walk-3"}


def test_pictures_of_a_folder_are_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MGDEMO_LOADER", "no.such:loader")
    for name in ("b.png", "a.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    out = tmp_path / "out"
    assert main(["compare", SLALOM, "--dry-run", "--images", str(tmp_path), "--out", str(out)]) == 0
    err = capsys.readouterr().err
    assert "6 runs" in err and "a time that is not known yet" in err
