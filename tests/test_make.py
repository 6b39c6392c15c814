"""`make demo` on machines where it cannot work says what to do. Nothing is installed here."""

import shutil
import subprocess

import pytest

from mgdemo.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.fixture
def make(tmp_path):
    folder = tmp_path / "with spaces and 中"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, folder)

    def make(**variables):
        command = ["make", "demo", *(f"{name}={value}" for name, value in variables.items())]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode != 0 and not list(folder.glob(".venv/bin/*"))
        return done.stdout

    return make


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_is_not_there_is_named(make):
    assert "There is no python3.99: install Python 3.11 or newer" in make(PYTHON="python3.99")


def test_a_python_without_venv_and_virtualenv_says_what_to_install(make, tmp_path):
    text = 'case "$1" in -m) mkdir -p .venv/bin; touch .venv/bin/python; exit 1;; esac'
    said = make(PYTHON=script(tmp_path / "python", text))
    assert "sudo apt install python3-venv" in said and "-m pip install virtualenv" in said


def test_a_folder_that_cannot_be_written_names_another_place(make, tmp_path):
    (tmp_path / "file").touch()
    said = make(PYTHON=script(tmp_path / "python", "exit 0"), VENV=tmp_path / "file" / "venv")
    assert "cannot be written" in said and "make demo VENV=/tmp/venv-mgdemo" in said
