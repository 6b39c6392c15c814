"""What `pip install` gives: the wheel in a fresh environment outside the repository."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import av
import pytest

import mgdemo

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A new environment with the wheel; everything else it borrows from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", wheel],
        check=True,
    )
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def run(environment: Path, *command: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MGDEMO"))}
    done = subprocess.run(
        [environment / "bin" / command[0], *command[1:]],
        cwd=environment,
        env=clean,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_wheel_carries_the_program_and_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {name.split("/")[0] for name in names}
    assert rooms == {"mgdemo", f"mgdemo-{mgdemo.__version__}.dist-info"}
    shipped = {
        f"mgdemo/{path.relative_to(ROOT / 'mgdemo')}"
        for path in (ROOT / "mgdemo").rglob("*.*")
        if path.is_file()
    }
    assert {name for name in shipped if not name.endswith(".pyc")} <= set(names)
    for folder in ("configs", "scenarios", "worlds"):
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
        assert files and {f"mgdemo/data/{path.as_posix()}" for path in files} <= set(names)


def test_the_installed_command_makes_a_video(environment):
    where = run(environment, "python", "-c", "import mgdemo; print(mgdemo.__file__)")
    assert Path(where).is_relative_to(environment)
    run(environment, "mgdemo", "generate", "--mode", "templerun", "--num-output-frames", "3")
    with av.open(environment / "outputs" / "demo.mp4") as film:
        assert sum(1 for _ in film.decode(video=0)) == 9
