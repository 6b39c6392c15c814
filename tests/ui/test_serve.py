"""The command as people start it: what it says, where it listens, where its files go."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from devtools.ports import free_port
from mgdemo import ui
from mgdemo.messages import UNKNOWN
from mgdemo.paths import ROOT
from mgdemo.serving import SessionService, Settings


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*arguments, program=("-m", "mgdemo"), **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "MGDEMO_"))}
        environment |= {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", **variables}
        command = [sys.executable, *program, "app", "--no-browser", *arguments]
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


def test_a_file_says_where_the_page_is_served_and_variables_come_before_it(start, tmp_path):
    port, logins, file = free_port(), tmp_path / "logins.txt", tmp_path / "hosting.yaml"
    logins.write_text("ann:pass\n")
    file.write_text(f"host: 0.0.0.0\nport: 1\nroot_path: /worlds\nauth: {logins}\n")
    process = start("--settings", str(file), GRADIO_SERVER_PORT=str(port))
    assert f"http://localhost:{port} and at this machine's other" in process.stdout.readline()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/config").status_code == 401
        votes, follower = "/gradio_api/compare/votes.csv", f"ws://127.0.0.1:{port}/gradio_api/compare/x/live"
        assert client.get(votes).status_code == 401, "Gradio checks its own routes alone"
        with pytest.raises(InvalidStatus, match="403"), connect(follower):
            pass
        client.post("/login", data={"username": "ann", "password": "pass"})
        assert client.get("/config").json()["root"].endswith("/worlds")
        assert client.get(votes).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with connect(follower, additional_headers={"Cookie": cookies}) as page:
            with pytest.raises(ConnectionClosed) as closed:
                page.recv()
            assert closed.value.rcvd and closed.value.rcvd.code == UNKNOWN


def test_a_taken_port_and_a_wrong_one_end_in_one_sentence(start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        out, err = start("--port", str(port)).communicate(timeout=60)
        assert not out and err.startswith(f"mgdemo: Port {port} is taken by another program")
        assert "server_port" not in err and "Traceback" not in err
    _, err = start(GRADIO_SERVER_PORT="abc").communicate(timeout=60)
    assert err.startswith("mgdemo: GRADIO_SERVER_PORT is 'abc': give a number") and "Traceback" not in err


def test_tools_that_could_never_log_in_are_not_offered(start, tmp_path):
    (tmp_path / "logins.txt").write_text("ann:pass\n")
    _, err = start("--mcp", "--auth", str(tmp_path / "logins.txt")).communicate(timeout=60)
    assert err.startswith("mgdemo: MCP tools cannot log in: leave out --auth")


def test_a_record_folder_that_cannot_be_written_is_told_at_the_start(start, tmp_path):
    (tmp_path / "file").touch()
    process = start(MGDEMO_RECORD_DIR=str(tmp_path / "file"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("mgdemo: ") and "set MGDEMO_RECORD_DIR to a folder of your own" in err


def test_nobody_gets_in_while_comparisons_end(tmp_path, monkeypatch):
    service = SessionService(Settings(record_dir=tmp_path))
    page, seen = ui.build(service), []
    with monkeypatch.context() as patch:
        patch.setattr(page.bench, "close", lambda: seen.append(service.draining))
        page.end()
    page.close(verbose=False)
    assert seen == [True] and service.health()["status"] == "closing"


SLOW = """
import sys, httpx
from mgdemo.cli import main

def too_slow(*_, **__):
    raise httpx.ReadTimeout("a machine with much else to do")

httpx.head = too_slow  # what Gradio asks before it gives a page up, with a limit of three seconds
sys.exit(main(sys.argv[1:]))
"""


def test_a_page_that_answers_slowly_is_served(start):
    process = start(program=["-c", SLOW])
    assert process.stdout.readline().startswith("The page is at ")


def test_a_proxy_in_front_of_this_machine_is_told_at_the_start(start):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        _, err = start(HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="", no_proxy="").communicate(timeout=60)
    assert err.startswith("mgdemo: The page does not answer at http://127.0.0.1:") and "NO_PROXY" in err

    class Forbidding(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.server_port}"
        _, err = start(HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="", no_proxy="").communicate(timeout=60)
        server.shutdown()
    assert err.startswith("mgdemo: The page does not answer at http://127.0.0.1:") and "NO_PROXY" in err


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told_at_the_start(start):
    process = start(MGDEMO_DEVICE="cuda", MGDEMO_QUEUE="3")
    assert process.stderr.readline().startswith("mgdemo: cuda cannot be used. There is no NVIDIA GPU here.")
    assert process.stdout.readline().startswith("The page is at ")
