"""The command that compares."""

import pytest

from mgdemo.cli import main
from mgdemo.paths import SCENARIOS

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
    assert "2 runs" in first.err and "about" not in first.err
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(runs) == 2 and not (tmp_path / ".sessions").exists()
    times = [(tmp_path / "runs" / name / "run.json").stat().st_mtime_ns for name in runs]
    assert main(arguments) == 0
    assert [(tmp_path / "runs" / name / "run.json").stat().st_mtime_ns for name in runs] == times
    assert capsys.readouterr().out == first.out


def test_a_dry_run_makes_nothing(tmp_path, capsys):
    assert main(["compare", SLALOM, "--dry-run", "--seeds", "0..3", "--out", str(tmp_path)]) == 0
    assert "12 runs" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["no-such.yaml"], "is no scenario"),
        ([SLALOM, "--checkpoints", "nothing"], 'no checkpoint or file called "nothing"'),
        ([SLALOM, "--optimization", "quick"], "quick"),
        ([SLALOM, "--seeds", "many"], "many is no seed"),
        ([SLALOM, "--checkpoints", *["gta_drive-tiny"] * 7], "choose 6 at most"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments, words, tmp_path, capsys):
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
