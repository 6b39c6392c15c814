"""The command as people start it: what it says, where it listens, where its files go."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request

import pytest

from devtools.ports import free_port
from mgdemo.paths import ROOT


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*arguments, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "MGDEMO_"))}
        environment |= {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", **variables}
        command = [sys.executable, "-m", "mgdemo", "app", "--no-browser", *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_variables_choose_the_address_and_nothing_is_said_of_public_links(start, tmp_path):
    port = free_port()
    process = start(GRADIO_SERVER_NAME="0.0.0.0", GRADIO_SERVER_PORT=str(port))
    line = process.stdout.readline()
    where = f"http://localhost:{port} and at this machine's other addresses"
    assert line == f"The page is at {where}. Ctrl-C ends it.\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.status == 200
    for name in ("sessions", "uploads"):
        (folder,) = tmp_path.glob(f"mgdemo-{name}-*")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "gradio").exists()


def test_a_taken_port_and_a_wrong_one_end_in_one_sentence(start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        out, err = start("--port", str(port)).communicate(timeout=60)
        assert not out and err.startswith(f"mgdemo: Port {port} is taken by another program")
        assert "server_port" not in err and "Traceback" not in err
    _, err = start(GRADIO_SERVER_PORT="abc").communicate(timeout=60)
    assert err.startswith("mgdemo: abc is not a port") and "Traceback" not in err


def test_a_record_folder_that_cannot_be_written_is_told_at_the_start(start, tmp_path):
    (tmp_path / "file").touch()
    process = start(MGDEMO_RECORD_DIR=str(tmp_path / "file"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("mgdemo: ") and "set MGDEMO_RECORD_DIR to a folder of your own" in err


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told_at_the_start(start):
    process = start(MGDEMO_DEVICE="cuda", MGDEMO_QUEUE="3")
    assert process.stderr.readline().startswith("mgdemo: cuda cannot be used. There is no NVIDIA GPU here.")
    assert process.stdout.readline().startswith("The page is at ")
