"""`mgdemo app` as operators start it: settings from everywhere, a login, a path of the proxy's."""

import socket
import subprocess
import sys
import time

import httpx

from devtools.web_process import PATIENCE, web_process
from mgdemo.paths import ROOT


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def test_the_page_is_served_as_the_flags_say(tmp_path):
    (tmp_path / "hosting.yaml").write_text("warm: universal\noperator_token: secret\nsessions: 2\n")
    (tmp_path / "logins.txt").write_text("ann:pass\n")
    arguments = ["--settings", str(tmp_path / "hosting.yaml"), "--set", "sessions=3"]
    arguments += ["--auth", str(tmp_path / "logins.txt"), "--root-path", "/worlds"]
    with (
        web_process(tmp_path, arguments=arguments, MGDEMO_QUEUE="5") as web,
        httpx.Client(base_url=web.address) as client,
    ):
        assert client.get("/healthz").text == "ok"
        assert client.get("/config").status_code == 401
        until = time.monotonic() + PATIENCE
        while client.get("/readyz").text == "loading" and time.monotonic() < until:
            time.sleep(0.2)
        assert client.get("/readyz").text == "ok", "it has loaded what the file names"
        assert client.get("/metrics").status_code == 401
        metrics = client.get("/metrics", headers={"Authorization": "Bearer secret"}).text
        assert "mgdemo_places 3.0" in metrics, "a flag comes before the file"
        login = client.post("/login", data={"username": "ann", "password": "pass"})
        assert login.status_code == 200
        assert client.get("/config").json()["root"].endswith("/worlds")
        guesses = [client.post("/login", data={"username": "ann", "password": f"{n}"}) for n in range(12)]
        assert guesses[0].status_code == 400 and guesses[-1].status_code == 429
        assert client.get("/worlds/monitoring").status_code == client.get("/monitoring").status_code == 404


def test_what_cannot_be_used_is_told_in_a_sentence(tmp_path):
    def told(*arguments):
        command = [sys.executable, "-m", "mgdemo", "app", "--no-browser", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        return done.stderr

    assert "sesions on the command line: there is no such setting; did you mean sessions?" in told(
        "--set", "sesions=2"
    )
    assert "give NAME=VALUE, as in sessions=2" in told("--set", "sessions")
    warm = told("--set", "warm=universal")
    assert "MGDEMO_WARM is 'universal'" in warm and "`python -m mgdemo download --mode universal`" in warm
    assert "none.txt cannot be read" in told("--auth", str(tmp_path / "none.txt"))


def test_a_server_is_ready_once_the_embedded_world_is_in_memory(tmp_path):
    variables = {"MGDEMO_LOADER": "mgdemo.loading:load_world_model", "MGDEMO_WARM": "universal-tiny"}
    with web_process(tmp_path, **variables) as web:
        answers = [httpx.get(f"{web.address}/readyz")]
        until = time.monotonic() + PATIENCE
        while answers[-1].text == "loading" and time.monotonic() < until:
            time.sleep(0.1)
            answers.append(httpx.get(f"{web.address}/readyz"))
        assert (answers[0].status_code, answers[0].text) == (503, "loading")
        assert (answers[-1].status_code, answers[-1].text) == (200, "ok")
        (worker,) = web.health()["workers"]
        assert worker["checkpoints"] == 1


def test_figures_may_have_a_port_of_their_own(tmp_path):
    port = free_port()
    (tmp_path / "web").mkdir()
    variables = {"MGDEMO_OPERATOR_PORT": str(port), "MGDEMO_OPERATOR_TOKEN": "secret"}
    headers = {"Authorization": "Bearer secret"}
    with web_process(tmp_path / "web", **variables) as web:
        apart = f"http://127.0.0.1:{port}"
        for path in ("/metrics", "/gradio_api/live-health", "/operator", "/operator/state"):
            assert httpx.get(web.address + path, headers=headers).status_code == 404, path
            assert httpx.get(apart + path, headers=headers).status_code == 200, path
        assert httpx.get(f"{apart}/metrics").status_code == 401
        assert httpx.get(f"{apart}/config").status_code == 404, "visitors have nothing to look for there"
        page = httpx.get(f"{apart}/operator").text
        script = page.partition('src="')[2].partition('"')[0]
        assert httpx.get(f"{apart}/{script}").status_code == 200
        for where in (web.address, apart):
            assert [httpx.get(where + path).text for path in ("/healthz", "/readyz")] == ["ok", "ok"]
        command = [sys.executable, "-m", "mgdemo", "app", "--no-browser", "--set", f"operator_port={port}"]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        assert second.returncode == 2 and f"MGDEMO_OPERATOR_PORT is {port}, which cannot" in second.stderr
